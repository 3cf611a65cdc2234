"""The store by itself: in a directory. In an object store: `test_s3_store`."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import stat
import tempfile
import threading
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mintage import storage
from mintage.settings import SettingsError
from mintage.storage import FileTaken, PackStore, StorageFailure, StoreAway, open_pack_store

if TYPE_CHECKING:
    from typing_extensions import Buffer


@pytest.fixture
def store(tmp_path: Path) -> PackStore:
    return open_pack_store(None, tmp_path)


async def _read(store: PackStore, path: str, start: int, stop: int) -> bytes:
    return b"".join([chunk async for chunk in store.get(path, start, stop)])


async def test_what_is_put_is_got_with_its_size_and_hash(store: PackStore) -> None:
    chunks = [b"abc", b"", bytes(1_500_000), b"z"]
    written = await store.put("a/b/c.csv", chunks)
    content = b"".join(chunks)
    assert (written.byte_size, written.sha256) == (
        len(content),
        hashlib.sha256(content).hexdigest(),
    )
    assert await _read(store, "a/b/c.csv", 0, len(content)) == content
    assert await _read(store, "a/b/c.csv", 2, 5) == content[2:5]
    assert await store.head("a/b/c.csv") == len(content)


async def test_a_large_file_is_read_a_part_at_a_time(
    store: PackStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "READ_BYTES", 4)
    await store.put("a/b.csv", [b"0123456789"])
    assert [chunk async for chunk in store.get("a/b.csv", 0, 10)] == [b"0123", b"4567", b"89"]


async def test_a_file_is_not_seen_before_it_is_whole(store: PackStore, tmp_path: Path) -> None:
    seen: list[int | None] = []

    def chunks() -> Iterator[bytes]:
        yield bytes(6 * 1024 * 1024)
        seen.append(len(list((tmp_path / "payload-packs").rglob("b.csv"))))
        yield b"end"

    await store.put("a/b.csv", chunks())
    assert seen == [0]
    assert await store.head("a/b.csv") == 6 * 1024 * 1024 + 3


async def test_a_file_whose_writing_fails_is_never_there(store: PackStore) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"begin"
        raise RuntimeError("no ink")

    with pytest.raises(RuntimeError, match="no ink"):
        await store.put("a/b.csv", chunks())
    assert await store.head("a/b.csv") is None


async def test_a_file_that_is_there_is_left_as_it_is(store: PackStore, tmp_path: Path) -> None:
    await store.put("a/b.csv", [b"first"])
    with pytest.raises(FileTaken):
        await store.put("a/b.csv", [b"second"])
    assert await _read(store, "a/b.csv", 0, 5) == b"first"
    assert [path.name for path in tmp_path.rglob("b.csv*")] == ["b.csv"]


async def test_where_files_cannot_be_linked_they_are_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    store = open_pack_store(None, tmp_path)
    await store.put("a/b.csv", [b"abc"])
    assert [path.name for path in tmp_path.rglob("b.csv*")] == ["b.csv"]
    assert await _read(store, "a/b.csv", 0, 3) == b"abc"


async def test_a_system_that_takes_a_part_of_each_write_gets_the_rest(
    store: PackStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Reluctant(FileIO):
        def write(self, content: Buffer, /) -> int:
            return super().write(bytes(content)[:3])

    monkeypatch.setattr(storage, "FileIO", Reluctant)
    written = await store.put("a/b.csv", [b"0123456789", memoryview(b"abcd")])
    assert written.byte_size == 14
    assert await _read(store, "a/b.csv", 0, 14) == b"0123456789abcd"


@pytest.mark.parametrize(
    "path", ["", "/a.csv", "a//b.csv", "a/", "../a.csv", "a/../b.csv", "a/..", "./a.csv", "a/B.csv"]
)
async def test_what_is_no_path_is_written_nowhere(
    store: PackStore, tmp_path: Path, path: str
) -> None:
    with pytest.raises(StorageFailure, match="no path"):
        await store.put(path, [b"x"])
    assert [each for each in tmp_path.rglob("*") if each.is_file()] == []


async def test_a_missing_file_has_no_size_cannot_be_read_and_may_be_deleted(
    store: PackStore,
) -> None:
    assert await store.head("a/none.csv") is None
    with pytest.raises(StorageFailure):
        await _read(store, "a/none.csv", 0, 1)
    await store.delete("a/none.csv")


async def test_a_file_that_is_shorter_than_its_record_is_an_error(store: PackStore) -> None:
    await store.put("a/b.csv", [b"abc"])
    with pytest.raises(StorageFailure):
        await _read(store, "a/b.csv", 0, 5)


async def test_deleted_files_are_gone_and_only_the_folder_is_listed(store: PackStore) -> None:
    for path in ("a/1.csv", "a/g/2.csv", "b/3.csv"):
        await store.put(path, [b"x"])
    await store.delete("a/1.csv")
    assert [path async for paths in store.paths("a") for path in paths] == ["a/g/2.csv"]
    assert [path async for paths in store.paths("none") for path in paths] == []


async def test_the_folder_of_packs_is_closed_to_other_users(
    store: PackStore, tmp_path: Path
) -> None:
    assert stat.S_IMODE((tmp_path / "payload-packs").stat().st_mode) == 0o700


async def test_a_store_by_url_holds_the_same(tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    store = open_pack_store(folder.as_uri(), tmp_path)
    await store.put("a/b.csv", [b"abc"])
    assert (folder / "a" / "b.csv").read_bytes() == b"abc"
    assert await _read(store, "a/b.csv", 0, 3) == b"abc"


async def test_the_store_works_outside_the_event_loops_thread(store: PackStore) -> None:
    threads = []

    def chunks() -> Iterator[bytes]:
        threads.append(threading.current_thread())
        yield b"x"

    await store.put("a/b.csv", chunks())
    assert threading.main_thread() not in threads


async def test_writers_that_hang_hold_up_no_other_work(store: PackStore) -> None:
    may_go_on = threading.Event()

    def chunks() -> Iterator[bytes]:
        may_go_on.wait()
        yield b"x"

    writers = [
        asyncio.create_task(store.put(f"a/g/{index:04}-1.csv", chunks())) for index in range(40)
    ]
    try:
        # Would wait for ever behind them in the event loop's own threads.
        assert await asyncio.wait_for(asyncio.to_thread(lambda: 7), 30) == 7
    finally:
        may_go_on.set()
    assert len(await asyncio.gather(*writers)) == 40


async def test_a_directory_signs_no_urls(store: PackStore) -> None:
    await store.put("a/b.csv", [b"abc"])
    assert await store.signed_url("a/b.csv", "GET", 60) is None


async def test_looking_into_a_directory_leaves_nothing_in_it(tmp_path: Path) -> None:
    store = open_pack_store(tmp_path.as_uri(), tmp_path)
    for writes in (False, True):
        await store.check(writes=writes)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.EPERM])
async def test_a_directory_that_may_not_be_written_to_is_named_with_what_would_be_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refused(**_: object) -> None:
        raise OSError(number, os.strerror(number))

    store = open_pack_store(tmp_path.as_uri(), tmp_path)
    monkeypatch.setattr(tempfile, "TemporaryFile", refused)
    with pytest.raises(SettingsError, match=r"must be allowed to read and write in it") as raised:
        await store.check(writes=True)
    assert str(tmp_path) in str(raised.value)
    await store.check()


async def test_a_directory_that_is_gone_is_refused_and_a_full_one_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(**_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    folder = tmp_path / "packs"
    folder.mkdir()
    store = open_pack_store(folder.as_uri(), tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "TemporaryFile", full)
        with pytest.raises(StoreAway):
            await store.check(writes=True)
    folder.rmdir()
    with pytest.raises(SettingsError, match="No such file or directory"):
        await store.check()


@pytest.mark.parametrize(
    ("url", "variables"),
    [
        ("gs://bucket/packs", {}),
        ("abfss://packs@account.dfs.core.windows.net/mintage", {}),
        ("az://packs/mintage", {"AZURE_STORAGE_ACCOUNT_NAME": "account"}),
        ("https://bucket.s3.eu-central-1.amazonaws.com/packs", {}),
    ],
)
def test_stores_of_other_clouds_are_opened_by_url(
    url: str, variables: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert isinstance(open_pack_store(url, tmp_path), PackStore)


@pytest.mark.parametrize(
    "url",
    [
        "bucket",
        "s3://",
        "s3:///packs",
        "ftp://bucket/packs",
        "memory:///",
        "https://example.com/packs",
        "s3://bucket/packs?key=value",
        "s3://bucket/packs#part",
    ],
)
def test_a_url_that_names_no_store_is_refused_with_those_that_do(url: str, tmp_path: Path) -> None:
    with pytest.raises(
        SettingsError, match=r"MINTAGE_STORAGE_URL=.* names no object store: write s3://"
    ):
        open_pack_store(url, tmp_path)


def test_a_url_is_named_without_what_it_may_hide(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as raised:
        open_pack_store("ftp://user:hunter2@bucket/packs?token=hunter3", tmp_path)
    assert "hunter" not in str(raised.value)


def test_missing_credentials_and_directories_are_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="there are no credentials"):
        open_pack_store("az://packs/mintage", tmp_path)
    with pytest.raises(SettingsError, match="make that directory first"):
        open_pack_store((tmp_path / "none").as_uri(), tmp_path)


async def test_what_a_dead_writer_left_is_removed_once_it_is_old(
    store: PackStore, tmp_path: Path
) -> None:
    await store.put("brand/group/0001-1.csv", [b"whole"])
    for name in ("0001-2.csv#1", "0002-1.csv#1"):
        next(tmp_path.rglob("0001-1.csv")).with_name(name).write_bytes(b"half")
    (old,) = tmp_path.rglob("0001-2.csv#1")
    os.utime(old, (0, 0))
    assert await store.remove_unfinished("elsewhere", 3600) == 0
    assert await store.remove_unfinished("brand", 3600) == 1
    assert sorted(path.name for path in tmp_path.rglob("*.csv*")) == ["0001-1.csv", "0002-1.csv#1"]
