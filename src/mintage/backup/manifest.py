"""The manifest of a backup: what its folder holds, by which a part that is missing or changed is found.

`manifest.json` is written last, so that a folder without one is no backup. Not here: how the parts come
about (`making`) and what becomes of them (`restoring`).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from mintage.errors import BackupError

MANIFEST: Final = "manifest.json"
DUMP: Final = "database.dump"
SECRETS: Final = "secrets.json"
PACKS: Final = "packs"
_FORM: Final = 1
_PART_PATH: Final = re.compile(r"[a-z0-9_-][a-z0-9._-]*(/[a-z0-9_-][a-z0-9._-]*)*")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_READ_BYTES: Final = 1024 * 1024
_INSTEAD: Final = "take another backup, or another copy of this one"


@dataclass(frozen=True, slots=True)
class Part:
    """A file of the backup: its path in the folder, size in bytes, SHA-256 in hexadecimal."""

    path: str
    byte_size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds.

    `moment`: of the snapshot, ISO 8601. `counts`: rows by table. `missing`: paths in the store of packs
    that the snapshot names and the store did not hold as they were written. `grantees`: roles that are not
    Mintage's own and have rights in the database.
    """

    release: str
    schema_version: int
    postgres_version: str
    moment: str
    counts: Mapping[str, int]
    parts: tuple[Part, ...]
    missing: tuple[str, ...]
    grantees: tuple[str, ...] = ()

    @property
    def has_secrets(self) -> bool:
        return any(part.path == SECRETS for part in self.parts)

    @property
    def packs(self) -> tuple[Part, ...]:
        """The parts that are packs; in the store a path is without the folder's name."""
        return tuple(part for part in self.parts if part.path.startswith(f"{PACKS}/"))


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `manifest.json` into `folder`, durably; with it the folder is a backup."""
    text = json.dumps({"form": _FORM} | asdict(manifest), indent=2) + "\n"
    path = folder / MANIFEST
    with path.open("x") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    flush_folder(folder)


def read_manifest(folder: Path) -> Manifest:
    """The manifest of the backup in `folder`. Raises `BackupError` for one that is none, or not ours."""
    path = folder / MANIFEST
    try:
        content = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise BackupError(
            f"{folder} is no whole backup: it has no {MANIFEST}, which is written last; name a folder "
            "that `mintage backup` finished"
        ) from None
    except ValueError as error:
        raise BackupError(f"{path} is damaged: it is no JSON ({error})") from None
    if not isinstance(content, dict) or content.get("form") != _FORM:
        raise BackupError(_other_form(path, content))
    try:
        manifest = Manifest(
            release=str(content["release"]),
            schema_version=int(content["schema_version"]),
            postgres_version=str(content["postgres_version"]),
            moment=str(content["moment"]),
            counts={str(name): int(count) for name, count in content["counts"].items()},
            parts=tuple(_part(entry) for entry in content["parts"]),
            missing=tuple(str(missing) for missing in content["missing"]),
            grantees=tuple(str(name) for name in content.get("grantees", ())),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BackupError(f"{path} is damaged: {type(error).__name__} {error}") from None
    if not any(part.path == DUMP for part in manifest.parts):
        raise BackupError(f"{path} is damaged: it names no {DUMP}")
    return manifest


def verify_parts(folder: Path, manifest: Manifest, told: Callable[[Part], None]) -> None:
    """Read every part and compare it with the manifest; `told` of each that is right.

    Raises `BackupError`, which names the first that is not.
    """
    for part in manifest.parts:
        try:
            found = part_of(folder, part.path)
        except OSError as error:
            raise BackupError(
                f"the backup is broken: {part.path} cannot be read ({error.strerror}); {_INSTEAD}"
            ) from None
        if found != part:
            raise BackupError(
                f"the backup is broken: {part.path} has {found.byte_size} bytes of SHA-256 "
                f"{found.sha256}, its manifest says {part.byte_size} of {part.sha256}; {_INSTEAD}"
            )
        told(part)


def part_of(folder: Path, path: str) -> Part:
    """The part at `path` as it is on the disk."""
    digest = hashlib.sha256()
    byte_size = 0
    with (folder / path).open("rb") as file:
        while content := file.read(_READ_BYTES):
            digest.update(content)
            byte_size += len(content)
    return Part(path, byte_size, digest.hexdigest())


def flush_folder(folder: Path) -> None:
    """Make the names in `folder` last."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _other_form(path: Path, content: object) -> str:
    form = content.get("form") if isinstance(content, dict) else None
    if not isinstance(content, dict) or not isinstance(form, int):
        return f"{path} is no manifest of a backup: it has no form; {_INSTEAD}"
    release = str(content.get("release", "unknown"))[:40]
    return (
        f"{path} is of form {form}, written by release {release}, and this release knows form {_FORM}: "
        "use that release or a later one"
    )


def _part(entry: Mapping[str, object]) -> Part:
    path, byte_size, sha256 = entry["path"], entry["byte_size"], entry["sha256"]
    if not isinstance(path, str) or not _PART_PATH.fullmatch(path):
        raise ValueError(f"{path!r} is no path of a part")
    if not isinstance(byte_size, int) or not isinstance(sha256, str):
        raise TypeError(f"{path} without its size or SHA-256")
    if not _SHA256.fullmatch(sha256):
        raise ValueError(f"{path} has no SHA-256")
    return Part(path, byte_size, sha256)
