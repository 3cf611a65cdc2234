"""The manifest of a backup: what is broken is named, and a folder without one is no backup."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mintage.backup.manifest import (
    DUMP,
    MANIFEST,
    Manifest,
    Part,
    part_of,
    read_manifest,
    verify_parts,
    write_manifest,
)
from mintage.errors import BackupError


def backup_in(folder: Path) -> Manifest:
    (folder / "packs").mkdir()
    for path in (DUMP, "packs/one.csv"):
        (folder / path).write_bytes(path.encode())
    parts = tuple(part_of(folder, path) for path in (DUMP, "packs/one.csv"))
    manifest = Manifest("1.0", 13, "18.1", "2026-01-01T00:00:00+00:00", {"brand": 1}, parts, ("x",))
    write_manifest(folder, manifest)
    return manifest


def verified(folder: Path) -> list[Part]:
    told: list[Part] = []
    verify_parts(folder, read_manifest(folder), told.append)
    return told


def test_a_manifest_is_read_as_it_was_written(tmp_path: Path) -> None:
    manifest = backup_in(tmp_path)
    assert read_manifest(tmp_path) == manifest
    assert verified(tmp_path) == list(manifest.parts)
    assert [part.path for part in manifest.packs] == ["packs/one.csv"]
    assert not manifest.has_secrets


def test_a_folder_without_a_manifest_is_no_backup(tmp_path: Path) -> None:
    backup_in(tmp_path)
    (tmp_path / MANIFEST).unlink()
    with pytest.raises(BackupError, match="no whole backup"):
        read_manifest(tmp_path)


def test_a_changed_part_is_named(tmp_path: Path) -> None:
    backup_in(tmp_path)
    (tmp_path / "packs/one.csv").write_bytes(b"packs/two.csv")
    with pytest.raises(BackupError, match=r"packs/one\.csv has 13 bytes"):
        verified(tmp_path)


def test_a_missing_part_is_named(tmp_path: Path) -> None:
    backup_in(tmp_path)
    (tmp_path / DUMP).unlink()
    with pytest.raises(BackupError, match=r"database\.dump cannot be read"):
        verified(tmp_path)


@pytest.mark.parametrize("path", ["../out", "/etc/passwd", "packs/../../out", "packs//one", ""])
def test_a_part_outside_of_the_folder_is_refused(tmp_path: Path, path: str) -> None:
    backup_in(tmp_path)
    content = json.loads((tmp_path / MANIFEST).read_text("utf-8"))
    content["parts"][1]["path"] = path
    (tmp_path / MANIFEST).write_text(json.dumps(content), "utf-8")
    with pytest.raises(BackupError, match="is damaged"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"form": 2}', '{"form": 1}'])
def test_a_damaged_manifest_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / MANIFEST).write_text(text, "utf-8")
    with pytest.raises(BackupError, match=r"manifest\.json is"):
        read_manifest(tmp_path)
