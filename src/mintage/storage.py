"""Bytes by key: the private bucket of payload packs, in a local directory or in S3, GCS or Azure.

The store's synchronous calls run in threads: the asynchronous ones of obstore can abort the interpreter
at exit. Not here: who may read a file and whether its pack is complete (`operations.downloads`), the
tokens of signed URLs (`permits`), HTTP (`api.storage`).
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import itertools
import os
import re
import secrets
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeVar
from urllib.parse import urlsplit
from urllib.request import url2pathname

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, GenericError, NotSupportedError
from obstore.store import AzureStore, GCSStore, LocalStore, S3Store, from_url

from mintage.settings import Limits, SettingsError

if TYPE_CHECKING:
    from obstore.store import ObjectStore

BUCKET: Final = "payload-packs"
READ_BYTES: Final = 1024 * 1024
_LISTED_AT_ONCE: Final = 500
_LASTING_FOLDERS_MAX: Final = 10_000
# What is smaller is sent in one request: there is nothing to put together, and no part to be left over.
_ONE_REQUEST_BYTES: Final = 5 * 1024 * 1024
_PARTS_AT_ONCE: Final = 2
_THREADS_MAX: Final = 16
_PROBE_BYTES: Final = 4096
_REFUSALS: Final = frozenset({errno.EACCES, errno.ENOENT, errno.ENOTDIR, errno.EPERM, errno.EROFS})
_PART_NAME_BITS: Final = 63
_PATH: Final = re.compile(r"(?:(?!\.\.?/)[a-z0-9._-]+/)*(?!\.\.?$)[a-z0-9._-]+")
_SCHEMES: Final = ("s3", "s3a", "gs", "az", "azure", "adl", "abfs", "abfss", "https")
_STATUS: Final = re.compile(r"status code: (\d{3})(?:.*?<Code>(\w{1,60})</Code>)?", re.DOTALL)
_FULL: Final = "507"
_NO_CREDENTIALS: Final = re.compile(r"169\.254\.169\.254|metadata\.google|MissingAccount")

_Result = TypeVar("_Result")


class StorageFailure(Exception):
    """The store did not do as told; the cause is chained."""


class FileTaken(StorageFailure):
    """There is a file of that path already: it was left as it is."""


class StoreAway(StorageFailure):
    """The store did not answer, or answered that it cannot now: it may do so later."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """What is known of a file once it is written: size in bytes, SHA-256 in hexadecimal."""

    byte_size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A file as a listing has it; `written_at` is by the store's own clock."""

    path: str
    written_at: datetime


class PackStore:
    """Files by path, `[a-z0-9/._-]` only. A file is visible when it is whole, and never changes.

    `local_root` is the directory of a local store. `title` names the store to the operator, without
    secrets.
    """

    def __init__(
        self, store: ObjectStore, local_root: Path | None = None, title: str = "the store"
    ) -> None:
        self._store = store
        self._local_root = local_root
        self._has_hard_links = local_root is not None and _has_hard_links(local_root)
        # Folders whose own names are on the disk for good; forgotten when there are many.
        self._lasting_folders: set[Path] = set()
        self._title = title
        # Its own: a store that hangs must not hold up what else goes to threads, such as passwords.
        self._threads = ThreadPoolExecutor(_THREADS_MAX, thread_name_prefix="store")

    async def check(self, *, writes: bool = False) -> None:
        """Look into the store once. Raises `SettingsError` with what would be right where it refuses
        the credentials, has no such bucket or directory, or may not be used; `StoreAway` where it does not
        answer or is full.

        `writes`: a directory is written to as well. In an object store that is not tried: it would leave a
        file.
        """
        root = self._local_root
        if root is not None:
            await self._in_thread(lambda: _look_into_directory(root, writes=writes))
            return
        try:
            await self._in_thread(lambda: next(iter(obstore.list(self._store, chunk_size=1)), None))
        except StorageFailure as failure:
            wrong = _what_is_wrong(str(failure.__cause__))
            if wrong is None:
                raise StoreAway("the store cannot be looked into") from failure.__cause__
            raise SettingsError(f"MINTAGE_STORAGE_URL={self._title}: {wrong}") from None

    async def put(
        self, path: str, chunks: Iterable[bytes | memoryview], *, name: str | None = None
    ) -> StoredFile:
        """Write `chunks` to `path`, all or nothing, and make it last. `name`, of `A-Za-z0-9._-`, is what a
        store elsewhere calls the file towards who opens it there.

        Raises `FileTaken` where there is a file already, as far as the store can tell; `StorageFailure`.
        """
        return await self._in_thread(lambda: self._put(path, chunks, name))

    async def put_file(self, path: str, file: Path, *, name: str | None = None) -> StoredFile:
        """The same with the bytes of a local file, a part at a time. Raises `StorageFailure`."""

        def parts() -> Iterator[bytes]:
            with file.open("rb") as opened:
                while part := opened.read(READ_BYTES):
                    yield part

        return await self.put(path, parts(), name=name)

    async def get(self, path: str, start: int, stop: int) -> AsyncIterator[bytes]:
        """The bytes `start` … `stop` − 1, a part at a time; each part is a read of its own.

        A slow reader therefore holds no connection to the store. Raises `StorageFailure`.
        """
        for first in range(start, stop, READ_BYTES):
            read = partial(self._read, path, first, min(first + READ_BYTES, stop))
            yield await self._in_thread(read)

    async def head(self, path: str) -> int | None:
        """The size in bytes of the file at `path`, or None. Raises `StorageFailure`."""

        def size() -> int | None:
            try:
                return obstore.head(self._store, path)["size"]
            except FileNotFoundError:
                return None

        return await self._in_thread(size)

    async def signed_url(
        self, path: str, method: Literal["GET", "HEAD"], lifetime_s: int
    ) -> str | None:
        """A URL of the store's own that opens `path` for that long, by that method alone; whoever has it
        needs nothing else. None where the store cannot sign. Raises `StorageFailure`.
        """
        store = self._store
        if not isinstance(store, S3Store | GCSStore | AzureStore):
            return None
        lifetime = timedelta(seconds=lifetime_s)
        return await self._in_thread(lambda: obstore.sign(store, method, path, lifetime))

    async def delete(self, path: str) -> None:
        """Remove the file at `path`, if there is one. Raises `StorageFailure`."""

        def delete() -> None:
            try:
                obstore.delete(self._store, path)
            except FileNotFoundError:
                return

        await self._in_thread(delete)

    async def files(self, folder: str) -> AsyncIterator[list[ListedFile]]:
        """All files under `folder`, some hundred at a time. Raises `StorageFailure`."""
        stream = await self._in_thread(
            lambda: iter(obstore.list(self._store, folder, chunk_size=_LISTED_AT_ONCE))
        )
        while (listed := await self._in_thread(lambda: next(stream, None))) is not None:
            yield [ListedFile(entry["path"], entry["last_modified"]) for entry in listed]

    async def paths(self, folder: str) -> AsyncIterator[list[str]]:
        """Their paths alone."""
        async for files in self.files(folder):
            yield [file.path for file in files]

    async def remove_unfinished(self, folder: str, age_s: float) -> int:
        """Remove what writers that died left of their files under `folder`; how many there were.

        Only what nobody has written to for `age_s` seconds, and only on the local disk: an object store has a
        rule of its own for uploads that were never completed. Raises `StorageFailure`.
        """
        root = self._local_root
        if root is None:
            return 0
        return await self._in_thread(lambda: _remove_parts(root, folder, age_s))

    async def _in_thread(self, work: Callable[[], _Result]) -> _Result:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except GenericError as error:
            if self._local_root is None and _may_pass(str(error)):
                raise StoreAway("the store is away") from error
            raise StorageFailure("the store refused") from error
        except (BaseError, OSError) as error:
            raise StorageFailure(f"the store failed: {type(error).__name__}") from error

    def _put(self, path: str, chunks: Iterable[bytes | memoryview], name: str | None) -> StoredFile:
        digest = hashlib.sha256()
        byte_size = 0

        def counted() -> Iterator[bytes | memoryview]:
            nonlocal byte_size
            for chunk in chunks:
                digest.update(chunk)
                byte_size += len(chunk)
                yield chunk

        if self._local_root is not None:
            self._write(self._local_root, path, counted())
        else:
            self._send(path, counted(), _attributes(name or path.replace("/", "-")))
        return StoredFile(byte_size, digest.hexdigest())

    def _write(self, root: Path, path: str, content: Iterable[bytes | memoryview]) -> None:
        """Write a new file to the disk: to one beside it, which gets its name when it is whole."""
        file = _file_at(root, path)
        # The library lists no file whose name ends so.
        part = file.with_name(f"{file.name}#{secrets.randbits(_PART_NAME_BITS)}")
        with _new_file(part) as opened:
            try:
                for chunk in content:
                    _write_all(opened, chunk)
                if self._has_hard_links:
                    _give_name(part, file)
                else:
                    part.replace(file)
            finally:
                part.unlink(missing_ok=True)
            self._flush_to_disk(opened, root, file)

    def _send(
        self, path: str, content: Iterator[bytes | memoryview], attributes: dict[str, str]
    ) -> None:
        """Send a new file to the store elsewhere. Parts cannot be made to depend on there being none:
        that is asked before."""
        beginning = bytearray()
        for chunk in content:
            beginning += chunk
            if len(beginning) > _ONE_REQUEST_BYTES:
                break
        if len(beginning) > _ONE_REQUEST_BYTES:
            if self._has(path):
                raise FileTaken("a file of this path is there already")
            obstore.put(
                self._store,
                path,
                itertools.chain([beginning], content),
                attributes=attributes,
                use_multipart=True,
                max_concurrency=_PARTS_AT_ONCE,
            )
            return
        put = partial(
            obstore.put,
            self._store,
            path,
            bytes(beginning),
            attributes=attributes,
            use_multipart=False,
        )
        try:
            put(mode="create")
        except AlreadyExistsError as error:
            raise FileTaken("a file of this path is there already") from error
        except NotSupportedError:
            # A store without conditional writes.
            put()

    def _has(self, path: str) -> bool:
        try:
            obstore.head(self._store, path)
        except FileNotFoundError:
            return False
        return True

    def _flush_to_disk(self, opened: FileIO, root: Path, file: Path) -> None:
        # The row that follows is durable: the file must be so before it, by content and by name.
        os.fsync(opened.fileno())
        if file.parent in self._lasting_folders:
            _flush(file.parent)
            return
        if len(self._lasting_folders) > _LASTING_FOLDERS_MAX:
            self._lasting_folders.clear()
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


def open_pack_store(
    storage_url: str | None, data_dir: Path, limits: Limits | None = None
) -> PackStore:
    """The store at `storage_url`, or in `data_dir`/payload-packs, which only its owner can enter.

    Nothing is asked of a store elsewhere yet (`PackStore.check`); its credentials come from the
    variables of its own clients (docs/settings.md). Raises `SettingsError` for a URL that names none.
    """
    if storage_url is None:
        root = data_dir / BUCKET
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        return PackStore(LocalStore(root), root)
    parts = urlsplit(storage_url)
    if parts.scheme == "file":
        root = Path(url2pathname(parts.path))
        if not root.is_dir():
            raise SettingsError(f"MINTAGE_STORAGE_URL={storage_url}: make that directory first")
        return PackStore(LocalStore(root), root)
    title = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    hint = (
        "write s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, az://CONTAINER/PREFIX or file:///DIRECTORY"
    )
    if parts.scheme not in _SCHEMES or not parts.netloc or parts.query or parts.fragment:
        raise SettingsError(f"MINTAGE_STORAGE_URL={title} names no object store: {hint}")
    limits = limits or Limits()
    try:
        # Without client options: they would take the place of those that the environment gives.
        store = from_url(
            storage_url,
            retry_config={
                "max_retries": limits.store_retries_max,
                "retry_timeout": timedelta(seconds=limits.store_retry_s),
                "backoff": {
                    "init_backoff": timedelta(seconds=0.2),
                    "max_backoff": timedelta(seconds=5),
                    "base": 2,
                },
            },
        )
    except (BaseError, ValueError) as error:
        wrong = _what_is_wrong(str(error)) or f"names no object store: {hint}"
        raise SettingsError(f"MINTAGE_STORAGE_URL={title}: {wrong}") from None
    if not isinstance(store, S3Store | GCSStore | AzureStore):
        raise SettingsError(f"MINTAGE_STORAGE_URL={title} names no object store: {hint}")
    return PackStore(store, title=title)


def _what_is_wrong(answer: str) -> str | None:
    """What the operator has to mend, by what the store answered; None where it is to be waited for."""
    if _NO_CREDENTIALS.search(answer):
        return (
            "there are no credentials: set the variables of its clients, as docs/settings.md says"
        )
    match = _STATUS.search(answer)
    if match is None:
        return None
    status, code = match.groups()
    said = f"{status} {code}" if code else status
    if status in {"401", "403"}:
        return (
            f"the store refuses the credentials ({said}): give those of an account that may list, "
            "read, write and delete"
        )
    if status == "404":
        return f"the store has no such bucket ({said}): make it, or name another"
    if status.startswith(("3", "4")) and status not in {"408", "429"}:
        return f"the store refuses to be looked into ({said}): look at its region and its address"
    return None


def _may_pass(answer: str) -> bool:
    """Whether it is to be waited for: a store that did not answer, or has a trouble of its own."""
    match = _STATUS.search(answer)
    is_full = match is not None and match[1] == _FULL
    return not is_full and _what_is_wrong(answer) is None


def _look_into_directory(root: Path, *, writes: bool) -> None:
    try:
        with os.scandir(root) as entries:
            next(entries, None)
        if writes:
            # It has no name, so that nobody ever takes it for a pack.
            with tempfile.TemporaryFile(dir=root) as file:
                file.write(bytes(_PROBE_BYTES))
                file.flush()
    except OSError as error:
        if error.errno not in _REFUSALS:
            raise StoreAway("the directory of packs cannot be used now") from error
        to_do = "read and write" if writes else "read"
        raise SettingsError(
            f"the directory of packs, {root}, cannot be used ({error.strerror}): it must be there, and this "
            f"process must be allowed to {to_do} in it"
        ) from None


def _attributes(name: str) -> dict[str, str]:
    """What the store says of a file to whoever opens it by a signed URL: an attachment, never a page."""
    return {
        "Content-Type": "application/octet-stream",
        "Content-Disposition": f'attachment; filename="{name}"',
        "Cache-Control": "private, no-store",
    }


def _file_at(root: Path, path: str) -> Path:
    """Where the file of `path` lies, below `root`. Raises `StorageFailure` for what is no path."""
    if not _PATH.fullmatch(path):
        raise StorageFailure("this is no path of a file")
    return root / path


def _new_file(file: Path) -> FileIO:
    try:
        return FileIO(file, "x")
    except FileNotFoundError:
        file.parent.mkdir(parents=True, exist_ok=True)
        return FileIO(file, "x")


def _write_all(opened: FileIO, chunk: bytes | memoryview) -> None:
    # The system may take a part of it only: where the disk is nearly full.
    rest = memoryview(chunk)
    while len(rest) > 0:
        rest = rest[opened.write(rest) :]


def _give_name(part: Path, file: Path) -> None:
    try:
        os.link(part, file)
    except FileExistsError as error:
        raise FileTaken("a file of this path is there already") from error


def _has_hard_links(root: Path) -> bool:
    # What the store needs to write a file only where there is none.
    try:
        with tempfile.TemporaryDirectory(dir=root) as folder:
            file = Path(folder, "file")
            file.touch()
            os.link(file, file.with_name("link"))
    except OSError:
        return False
    return True


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
