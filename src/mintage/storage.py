"""Bytes by key: the private bucket of payload packs, and the tokens that open one file for a while.

The store is a local directory, or S3, GCS or Azure by URL. Its synchronous calls run in threads: the
asynchronous ones of obstore can abort the interpreter at exit. Not here: who may read a file and
whether its pack is complete (`operations.downloads`), HTTP (`api.storage`).
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar
from uuid import UUID

import jwt
import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, from_url

if TYPE_CHECKING:
    from obstore.store import ObjectStore

BUCKET: Final = "payload-packs"
AUDIENCE: Final = "storage"
READ_BYTES: Final = 1024 * 1024
_LISTED_AT_ONCE: Final = 500
_LASTING_FOLDERS_MAX: Final = 10_000
_CLAIMS: Final = ["aud", "exp", "iat", "bucket", "path", "pack", "by_type"]


_Result = TypeVar("_Result")


class StorageFailure(Exception):
    """The store did not do as told; the cause is chained."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """What is known of a file once it is written: size in bytes, SHA-256 in hexadecimal."""

    byte_size: int
    sha256: str


class PackStore:
    """Files by path, `[a-z0-9/._-]` only. A file is visible when it is whole, and never changes."""

    def __init__(self, store: ObjectStore, local_root: Path | None = None) -> None:
        self._store = store
        self._local_root = local_root
        # Folders whose own names are on the disk for good; forgotten when there are many.
        self._lasting_folders: set[Path] = set()

    async def put(self, path: str, chunks: Iterable[bytes]) -> StoredFile:
        """Write `chunks` to `path`, all or nothing, and make it last. Raises `StorageFailure`."""
        return await _in_thread(lambda: self._put(path, chunks))

    async def put_file(self, path: str, file: Path) -> StoredFile:
        """The same with the bytes of a local file, a part at a time. Raises `StorageFailure`."""

        def parts() -> Iterator[bytes]:
            with file.open("rb") as opened:
                while part := opened.read(READ_BYTES):
                    yield part

        return await self.put(path, parts())

    async def get(self, path: str, start: int, stop: int) -> AsyncIterator[bytes]:
        """The bytes `start` … `stop` − 1, a part at a time; each part is a read of its own.

        A slow reader therefore holds no connection to the store. Raises `StorageFailure`.
        """
        for first in range(start, stop, READ_BYTES):
            read = partial(self._read, path, first, min(first + READ_BYTES, stop))
            yield await _in_thread(read)

    async def head(self, path: str) -> int | None:
        """The size in bytes of the file at `path`, or None. Raises `StorageFailure`."""

        def size() -> int | None:
            try:
                return obstore.head(self._store, path)["size"]
            except FileNotFoundError:
                return None

        return await _in_thread(size)

    async def delete(self, path: str) -> None:
        """Remove the file at `path`, if there is one. Raises `StorageFailure`."""

        def delete() -> None:
            try:
                obstore.delete(self._store, path)
            except FileNotFoundError:
                return

        await _in_thread(delete)

    async def paths(self, folder: str) -> AsyncIterator[list[str]]:
        """All paths under `folder`, some hundred at a time. Raises `StorageFailure`."""
        stream = await _in_thread(
            lambda: iter(obstore.list(self._store, folder, chunk_size=_LISTED_AT_ONCE))
        )
        while (listed := await _in_thread(lambda: next(stream, None))) is not None:
            yield [entry["path"] for entry in listed]

    async def remove_unfinished(self, folder: str, age_s: float) -> int:
        """Remove what writers that died left of their files under `folder`; how many there were.

        Only what nobody has written to for `age_s` seconds, and only on the local disk: an object store has a
        rule of its own for uploads that were never completed. Raises `StorageFailure`.
        """
        root = self._local_root
        if root is None:
            return 0
        return await _in_thread(lambda: _remove_parts(root, folder, age_s))

    def _put(self, path: str, chunks: Iterable[bytes]) -> StoredFile:
        digest = hashlib.sha256()
        byte_size = 0

        def counted() -> Iterator[bytes]:
            nonlocal byte_size
            for chunk in chunks:
                digest.update(chunk)
                byte_size += len(chunk)
                yield chunk

        obstore.put(self._store, path, counted())
        if self._local_root is not None:
            self._flush_to_disk(self._local_root, path)
        return StoredFile(byte_size, digest.hexdigest())

    def _flush_to_disk(self, root: Path, path: str) -> None:
        # The row that follows is durable: the file must be so before it, by content and by name.
        if len(self._lasting_folders) > _LASTING_FOLDERS_MAX:
            self._lasting_folders.clear()
        file = root / path
        _flush(file)
        for folder in file.parents:
            _flush(folder)
            if folder == root or folder in self._lasting_folders:
                break
        self._lasting_folders.update(file.parents[: len(file.relative_to(root).parts)])

    def _read(self, path: str, start: int, stop: int) -> bytes:
        part = bytes(obstore.get_range(self._store, path, start=start, end=stop))
        if len(part) != stop - start:
            raise StorageFailure("a file is shorter than its record")
        return part


def open_pack_store(storage_url: str | None, data_dir: Path) -> PackStore:
    """The store at `storage_url`, or in `data_dir`/payload-packs, which only its owner can enter."""
    if storage_url is not None:
        return PackStore(from_url(storage_url))
    root = data_dir / BUCKET
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    return PackStore(LocalStore(root), root)


@dataclass(frozen=True, slots=True)
class DownloadPermit:
    """What a signed URL's token says: this file of this pack, until then, signed by that caller."""

    bucket: str
    path: str
    pack_id: UUID
    signed_at_s: float
    expires_at_s: float
    signer_type: str
    signer_id: UUID | None


def sign_permit(key: bytes, permit: DownloadPermit) -> str:
    """`permit` as a JWT (RFC 7519, HS256) under the storage key, which signs nothing else."""
    claims: dict[str, object] = {
        "aud": AUDIENCE,
        "bucket": permit.bucket,
        "path": permit.path,
        "pack": str(permit.pack_id),
        "iat": permit.signed_at_s,
        "exp": permit.expires_at_s,
        "by_type": permit.signer_type,
    }
    if permit.signer_id is not None:
        claims["by_id"] = str(permit.signer_id)
    return jwt.encode(claims, key, algorithm="HS256")


def read_permit(key: bytes, token: str) -> DownloadPermit | None:
    """The permit in `token`, or None for one that this key did not sign for this use.

    Whether it has expired is for the reader to say, by the database's clock.
    """
    try:
        claims = jwt.decode(
            token,
            key,
            algorithms=["HS256"],
            audience=AUDIENCE,
            options={
                "require": _CLAIMS,
                "strict_aud": True,
                "verify_exp": False,
                "verify_iat": False,
            },
        )
        signer_id = claims.get("by_id")
        return DownloadPermit(
            bucket=str(claims["bucket"]),
            path=str(claims["path"]),
            pack_id=UUID(claims["pack"]),
            signed_at_s=float(claims["iat"]),
            expires_at_s=float(claims["exp"]),
            signer_type=str(claims["by_type"]),
            signer_id=UUID(signer_id) if signer_id is not None else None,
        )
    except (jwt.PyJWTError, ArithmeticError, AttributeError, TypeError, ValueError, RecursionError):
        return None


async def _in_thread(work: Callable[[], _Result]) -> _Result:
    try:
        return await asyncio.to_thread(work)
    except (BaseError, OSError) as error:
        raise StorageFailure(f"the store failed: {type(error).__name__}") from error


def _remove_parts(root: Path, folder: str, age_s: float) -> int:
    with tempfile.TemporaryFile(dir=root) as now:
        # The disk's own clock, which stamped the others: a worker's may be anything.
        oldest_kept = os.fstat(now.fileno()).st_mtime - age_s
    removed = 0
    # The store writes to "name#number" and renames at the end.
    for part in (root / folder).rglob("*#*"):
        try:
            if part.stat().st_mtime < oldest_kept:
                part.unlink()
                removed += 1
        except FileNotFoundError:
            continue
    return removed


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
