"""Checking a file against a signed manifest, without the platform: what `mintage verify-pack` does.

Not here: the signature (`packs.signed_manifest`), and how the command speaks (`cli`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from mintage.packs.signed_manifest import (
    MANIFEST_BYTES_MAX,
    ListedPack,
    ManifestRefused,
    check_signature,
    listed_packs,
    read_manifest,
)

_READ_BYTES: Final = 1024 * 1024
_NEIGHBOURS_MAX: Final = 10_000


@dataclass(frozen=True, slots=True)
class Verdict:
    """What holds: `kid` signed the manifest, which lists `listed` packs; `verified` are the files that are
    byte for byte the packs of these names."""

    manifest: Path
    kid: str
    listed: int
    verified: tuple[str, ...]


def verify_pack(file: Path, manifest: Path | None, keys: Mapping[str, Ed25519PublicKey]) -> Verdict:
    """Check `file`: a pack, by `manifest` or the one that lies beside it; or a manifest itself, with all of
    its packs that lie beside it under the names that it gives them.

    Raises `ManifestRefused` with what does not hold, `OSError` for what cannot be read.
    """
    content = None if manifest is not None else _manifest_of(file)
    if content is not None:
        return _verify_manifest(file, content, keys)
    digest = _digest(file)
    found = manifest or _manifest_beside(file, digest)
    if found is None:
        raise ManifestRefused(
            f"no manifest beside {file.name} lists it: give the group's manifest with --manifest, "
            "or the file was changed"
        )
    content = read_manifest(_head(found))
    kid = check_signature(content, keys)
    listed = listed_packs(content)
    for pack in listed:
        if (pack.byte_size, pack.sha256) == digest:
            return Verdict(found, kid, len(listed), (pack.name,))
    raise ManifestRefused(f"{file.name} is none of the {len(listed)} packs of {found.name}")


def _verify_manifest(
    file: Path, content: Mapping[str, object], keys: Mapping[str, Ed25519PublicKey]
) -> Verdict:
    kid = check_signature(content, keys)
    listed = listed_packs(content)
    verified = []
    for pack in listed:
        # A name is a file's own, never a path: what is signed is still not trusted with folders.
        neighbour = file.parent / Path(pack.name).name
        if not neighbour.is_file():
            continue
        if _digest(neighbour) != (pack.byte_size, pack.sha256):
            raise ManifestRefused(f"{neighbour.name} is not the file that {file.name} lists")
        verified.append(pack.name)
    return Verdict(file, kid, len(listed), tuple(verified))


def _manifest_of(file: Path) -> Mapping[str, object] | None:
    try:
        return read_manifest(_head(file))
    except ManifestRefused:
        return None


def _manifest_beside(file: Path, digest: tuple[int, str]) -> Path | None:
    for neighbour in sorted(file.parent.glob("*.json"))[:_NEIGHBOURS_MAX]:
        try:
            listed: list[ListedPack] = listed_packs(read_manifest(_head(neighbour)))
        except ManifestRefused:
            continue
        if any((pack.byte_size, pack.sha256) == digest for pack in listed):
            return neighbour
    return None


def _head(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(MANIFEST_BYTES_MAX + 1)


def _digest(file: Path) -> tuple[int, str]:
    """Size in bytes, and SHA-256 in hexadecimal."""
    sha256, size = hashlib.sha256(), 0
    with file.open("rb") as opened:
        while part := opened.read(_READ_BYTES):
            sha256.update(part)
            size += len(part)
    return size, sha256.hexdigest()
