"""Packs in a real S3 server: what the store does, what it says when it cannot, and the way to the file."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from mintage import storage
from mintage.app import Doors, Runtime, open_doors, run_worker
from mintage.health import StoreWatch
from mintage.operations.pack_sweep import sweep_orphans
from mintage.secrets import new_secrets_text, parse_secrets
from mintage.settings import Limits, SettingsError, read_settings
from mintage.storage import FileTaken, PackStore, StorageFailure, StoreAway, open_pack_store
from tests.packs.desk import Desk
from tests.storage.s3_server import (
    BUCKET,
    READER_KEY_ID,
    READER_SECRET,
    S3Server,
    Weather,
    s3_server,
)
from tests.storage.window import BASE, OBJECT, Window, open_window
from tests.support.world import World

pytestmark = pytest.mark.long

PATH = "brand/group/0001-1.csv"
# As long as a test waits for a store that does not come back.
IMPATIENT = replace(Limits(), store_retries_max=0)

Opener = Callable[..., PackStore]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("s3")) as started:
        yield started


@pytest.fixture
def opened(server: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Opener:
    """Opens the store of a test, in a folder of the bucket that is the test's own."""

    def open_it(
        folder: str = tmp_path.name,
        bucket: str = BUCKET,
        limits: Limits | None = None,
        **variables: str,
    ) -> PackStore:
        for name, value in server.environment(**variables).items():
            monkeypatch.setenv(name, value)
        return open_pack_store(f"s3://{bucket}/{folder}", tmp_path, limits)

    return open_it


@pytest.fixture
def store(opened: Opener) -> PackStore:
    return opened()


@pytest.fixture
def desk(world: World, store: PackStore, tmp_path: Path) -> Desk:
    return Desk(world, store, tmp_path)


@pytest.fixture
def window(desk: Desk, tmp_path: Path) -> Window:
    return open_window(desk, tmp_path)


async def read(store: PackStore, path: str, start: int, stop: int) -> bytes:
    return b"".join([chunk async for chunk in store.get(path, start, stop)])


async def listed(store: PackStore, folder: str) -> list[str]:
    return [path async for paths in store.paths(folder) for path in paths]


# Bytes by key


@pytest.mark.parametrize("size", [0, 1, 300_000, 5 * 1024 * 1024, 12_000_000])
async def test_what_is_put_is_got_with_its_size_and_hash(store: PackStore, size: int) -> None:
    content = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    chunks = [content[first : first + 300_000] for first in range(0, size, 300_000)]
    written = await store.put(PATH, chunks)
    assert (written.byte_size, written.sha256) == (size, hashlib.sha256(content).hexdigest())
    assert await store.head(PATH) == size
    assert await read(store, PATH, 0, size) == content
    assert await read(store, PATH, size // 2, size) == content[size // 2 :]


async def test_a_file_whose_writing_fails_is_never_there(store: PackStore) -> None:
    for size in (10, 12_000_000):

        def broken(size: int = size) -> Iterator[bytes]:
            yield bytes(size)
            raise RuntimeError("no ink")

        with pytest.raises(RuntimeError, match="no ink"):
            await store.put(PATH, broken())
        assert await store.head(PATH) is None
    assert await listed(store, "brand") == []


async def test_a_writer_that_is_killed_leaves_no_file(
    store: PackStore, server: S3Server, tmp_path: Path
) -> None:
    url = f"s3://{BUCKET}/{tmp_path.name}"
    writer = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.storage.upload_process", url, PATH),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, **server.environment()},
    )
    assert writer.stdout is not None
    assert await writer.stdout.readline() == b"half\n"
    writer.kill()
    await writer.wait()
    assert await store.head(PATH) is None
    assert await listed(store, "brand") == []
    assert (await store.put(PATH, [b"whole"])).byte_size == 5


@pytest.mark.parametrize("size", [1, 6_000_000])
async def test_a_file_is_written_once_and_stays_as_it_is(store: PackStore, size: int) -> None:
    await store.put(PATH, [b"1" * size])
    with pytest.raises(FileTaken):
        await store.put(PATH, [b"2" * size])
    assert await read(store, PATH, 0, 1) == b"1"


async def test_a_missing_file_has_no_size_cannot_be_read_and_may_be_deleted(
    store: PackStore,
) -> None:
    assert await store.head(PATH) is None
    with pytest.raises(StorageFailure):
        await read(store, PATH, 0, 1)
    await store.delete(PATH)


async def test_deleted_files_are_gone_and_only_the_folder_is_listed(
    store: PackStore, opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "_LISTED_AT_ONCE", 2)
    paths = [f"a/g/{index:04}-1.csv" for index in range(1, 6)]
    for path in (*paths, "b/g/0001-1.csv"):
        await store.put(path, [b"x"])
    await store.delete(paths[0])
    assert await listed(store, "a") == paths[1:]
    assert await listed(store, "none") == []
    assert await listed(opened(folder="another"), "a") == []


# What is wrong


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "refuses the credentials (403 SignatureDoesNotMatch)"),
        ({"AWS_ACCESS_KEY_ID": "unknown"}, "refuses the credentials (403 InvalidAccessKeyId)"),
        (
            {"AWS_ACCESS_KEY_ID": READER_KEY_ID, "AWS_SECRET_ACCESS_KEY": READER_SECRET},
            "refuses the credentials (403 AccessDenied)",
        ),
        ({"bucket": "no-such-bucket"}, "no such bucket (404 NoSuchBucket)"),
    ],
)
async def test_a_store_that_refuses_us_is_named_with_what_would_be_right(
    opened: Opener, changes: dict[str, str], said: str
) -> None:
    with pytest.raises(SettingsError) as raised:
        await opened(**changes).check()
    bucket = changes.get("bucket", BUCKET)
    assert str(raised.value).startswith(f"MINTAGE_STORAGE_URL=s3://{bucket}/")
    assert said in str(raised.value)
    assert "wrong" not in str(raised.value)


async def test_a_store_that_takes_us_is_found_in_order(store: PackStore) -> None:
    await store.check()
    await store.put(PATH, [b"x"])
    await store.check()


async def test_a_store_that_does_not_answer_is_no_fault_of_the_settings(opened: Opener) -> None:
    store = opened(limits=IMPATIENT, AWS_ENDPOINT_URL="http://127.0.0.1:9")
    with pytest.raises(StoreAway):
        await store.check()


async def test_readiness_tells_a_store_that_refuses_from_one_that_is_away(opened: Opener) -> None:
    stores = (
        opened(),
        opened(bucket="no-such-bucket"),
        opened(limits=IMPATIENT, AWS_ENDPOINT_URL="http://127.0.0.1:9"),
    )
    found = [await StoreWatch(store, writes=True).state() for store in stores]
    assert found == ["reachable", "refusing", "away"]


@pytest.mark.parametrize("has_worker", [True, False])
async def test_a_wrong_store_ends_the_start(
    opened: Opener, world: World, tmp_path: Path, has_worker: bool
) -> None:
    runtime = Runtime(
        settings=read_settings({"MINTAGE_DATA": str(tmp_path)}),
        direct_dsn="",
        platform=world.platform,
        keys=parse_secrets(new_secrets_text()),
        store=opened(bucket="no-such-bucket"),
    )
    with pytest.raises(SettingsError, match="no such bucket"):
        async with run_worker(runtime) if has_worker else open_doors(runtime, Doors()):
            pass
    # The resolver needs no files.
    async with open_doors(runtime, Doors(has_api=False)) as doors:
        assert doors is not None


async def test_an_error_that_passes_is_not_noticed(server: S3Server, opened: Opener) -> None:
    weather = Weather(server.endpoint)
    try:
        weather.drops_left = 2
        await opened(AWS_ENDPOINT_URL=weather.endpoint).put(PATH, [b"abc"])
        assert (weather.drops_left, weather.seen) == (0, 3)
        weather.drops_left = 2
        again = opened(AWS_ENDPOINT_URL=weather.endpoint)
        assert await read(again, PATH, 0, 3) == b"abc"
        assert (weather.drops_left, weather.seen) == (0, 6)
    finally:
        weather.close()


async def test_a_store_that_stays_away_costs_no_attempt(
    server: S3Server, opened: Opener, world: World, tmp_path: Path
) -> None:
    weather = Weather(server.endpoint)
    try:
        store = opened(limits=IMPATIENT, AWS_ENDPOINT_URL=weather.endpoint)
        desk = Desk(world, store, tmp_path).with_limits(store_pause_s=40.0, store_pause_s_max=100.0)
        await desk.request((await world.minted(2))["mint_batch_id"])
        weather.drops_left = 1000
        pauses = []
        for _ in range(5):
            outcome = await desk.process()
            assert (outcome.result, outcome.error) == ("postponed", "STORAGE_AWAY")
            (pack,) = await desk.packs()
            assert (pack["status"], pack["error"]) == ("pending", "STORAGE_AWAY")
            pauses.append(await pause_s(desk))
            assert (await desk.process()).result == "idle"
            await desk.execute(END_PAUSES)
        assert [round(each, -1) for each in pauses] == [40, 80, 100, 100, 100]
        weather.drops_left = 0
        assert (await desk.process()).result == "completed"
        (pack,) = await desk.packs()
        assert pack["error"] is None
        assert await store.head(pack["storage_path"]) == pack["byte_size"]
    finally:
        weather.close()


async def test_a_store_that_is_stopped_and_started_again_is_waited_for(
    opened: Opener, world: World, tmp_path: Path
) -> None:
    await Desk(world, opened(), tmp_path).request((await world.minted(2))["mint_batch_id"])
    stopped = opened(limits=IMPATIENT, AWS_ENDPOINT_URL="http://127.0.0.1:9")
    desk = Desk(world, stopped, tmp_path)
    for _ in range(4):
        assert (await desk.process()).error == "STORAGE_AWAY"
        await desk.execute(END_PAUSES)
    assert (await desk.row(ITEM))["attempts"] == 0
    started = replace(desk, store=opened())
    assert [each.result for each in await started.process_all()] == ["completed"]


async def test_a_store_that_refuses_costs_an_attempt(
    opened: Opener, world: World, tmp_path: Path
) -> None:
    store = opened(AWS_ACCESS_KEY_ID=READER_KEY_ID, AWS_SECRET_ACCESS_KEY=READER_SECRET)
    desk = Desk(world, store, tmp_path)
    await desk.request((await world.minted(2))["mint_batch_id"])
    outcome = await desk.process()
    assert (outcome.result, outcome.error) == ("retried", "STORAGE_FAILED")
    assert (await desk.row(ITEM))["attempts"] == 1


ITEM = "select attempts, runnable_at from work_item where runnable_at < 'infinity'"
END_PAUSES = (
    "update work_item set runnable_at = clock_timestamp() "
    "where runnable_at between clock_timestamp() and 'infinity' and runnable_at < 'infinity'"
)


async def pause_s(desk: Desk) -> float:
    """How long the only item waits, which has had no attempt."""
    item = await desk.row(
        "select attempts, extract(epoch from runnable_at - clock_timestamp())::double precision as pause_s "
        "from work_item where runnable_at < 'infinity'"
    )
    assert item["attempts"] == 0
    return float(item["pause_s"])


# Packs in it


async def test_packs_are_written_read_and_swept(desk: Desk, store: PackStore) -> None:
    desk = desk.with_limits(pack_units=2)
    packs = await desk.exported(5)
    assert [pack["status"] for pack in packs] == ["completed"] * 3
    for pack in packs:
        content = await read(store, pack["storage_path"], 0, pack["byte_size"])
        assert hashlib.sha256(content).hexdigest() == pack["sha256"]
    orphan = packs[0]["storage_path"].replace("-1.csv", "-7.csv")
    await store.put(orphan, [b"half"])
    assert await sweep_orphans(desk.transactions, store) == 1
    kept = await listed(store, str(desk.world.brand_id))
    packs.append(await desk.manifest())
    assert sorted(kept) == sorted(pack["storage_path"] for pack in packs)


async def test_a_signed_url_is_served_whole_in_ranges_and_by_head(
    window: Window, desk: Desk, store: PackStore
) -> None:
    (pack,) = await desk.exported(5)
    content = await read(store, pack["storage_path"], 0, pack["byte_size"])
    url = await window.signed(pack["storage_path"])
    whole = await window.open(url)
    assert (whole.status_code, whole.content) == (200, content)
    head = await window.open(url, "HEAD")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(content))
    for header, expected in (
        ("bytes=10-19", content[10:20]),
        ("bytes=-7", content[-7:]),
        (f"bytes={len(content) - 1}-", content[-1:]),
    ):
        part = await window.ask("GET", BASE + url, None, headers={"range": header})
        assert (part.status_code, part.content) == (206, expected)
    await store.delete(pack["storage_path"])
    assert (await window.open(url)).status_code == 500


async def test_a_download_from_a_store_that_is_away_is_to_be_tried_again(
    window: Window, desk: Desk, opened: Opener
) -> None:
    (pack,) = await desk.exported(3)
    url = await window.signed(pack["storage_path"])
    away = opened(limits=IMPATIENT, AWS_ENDPOINT_URL="http://127.0.0.1:9")
    answer = await replace(window, door=replace(window.door, store=away)).open(url)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert answer.json()["error"] == "ServiceUnavailable"
    assert "store" in answer.json()["message"]


# The store's own URLs


@pytest.fixture
async def redirected(desk: Desk) -> dict[str, Any]:
    """A pack of a brand whose signed URLs may lead on to the store."""
    await desk.world.rpc("update_brand_settings", patch={"redirect_signed_urls": True})
    return (await desk.exported(5))[0]


async def test_a_signed_url_leads_on_to_the_store_where_the_brand_allows_it(
    window: Window, desk: Desk, store: PackStore, server: S3Server, redirected: dict[str, Any]
) -> None:
    content = await read(store, redirected["storage_path"], 0, redirected["byte_size"])
    url = await window.signed(redirected["storage_path"])
    answer = await window.open(url)
    assert (answer.status_code, answer.content) == (307, b"")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["location"].startswith(server.endpoint)
    async with httpx2.AsyncClient() as client:
        whole = await client.get(answer.headers["location"])
        assert (whole.status_code, whole.content) == (200, content)
        name = f"{redirected['export_group_id']}-0001.csv"
        assert whole.headers["content-disposition"] == f'attachment; filename="{name}"'
        part = await client.get(answer.headers["location"], headers={"range": "bytes=10-19"})
        assert (part.status_code, part.content) == (206, content[10:20])
        head = await window.open(url, "HEAD")
        looked = await client.head(head.headers["location"])
        assert looked.headers["content-length"] == str(len(content))
        # A URL is for one method and one path.
        assert (await client.head(answer.headers["location"])).status_code == 403
        other = answer.headers["location"].replace("0001-1.csv", "0002-1.csv")
        assert (await client.get(other)).status_code == 403
    events = await desk.events(redirected["mint_batch_id"], "payload_pack_downloaded")
    assert len(events) == 1


@pytest.mark.parametrize("profile", [None, "bartender"])
async def test_the_store_calls_a_file_by_the_name_in_the_manifest(
    window: Window, desk: Desk, store: PackStore, profile: str | None
) -> None:
    await desk.world.rpc("update_brand_settings", patch={"redirect_signed_urls": True})
    await desk.request((await desk.world.minted(2))["mint_batch_id"], profile=profile)
    await desk.process_all()
    told = await desk.manifest()
    content = await read(store, told["storage_path"], 0, told["byte_size"])
    names = [pack["name"] for pack in json.loads(content)["packs"]]
    (pack,) = await desk.packs()
    answer = await window.open(await window.signed(pack["storage_path"]))
    async with httpx2.AsyncClient() as client:
        opened = await client.get(answer.headers["location"])
    assert [opened.headers["content-disposition"]] == [
        f'attachment; filename="{name}"' for name in names
    ]


async def test_the_stores_url_lives_no_longer_than_the_one_that_led_to_it(
    window: Window, redirected: dict[str, Any]
) -> None:
    now = datetime.now(UTC)
    url = await window.at(now).signed(redirected["storage_path"], expiresIn=60)
    for seconds, left in ((0, "60"), (50, "10"), (59.5, "1")):
        answer = await window.at(now + timedelta(seconds=seconds)).open(url)
        query = dict(
            pair.split("=") for pair in urlsplit(answer.headers["location"]).query.split("&")
        )
        assert query["X-Amz-Expires"] == left
    assert (await window.at(now + timedelta(seconds=60)).open(url)).status_code == 400


async def test_a_name_that_is_asked_for_is_given_by_the_platform_itself(
    window: Window, redirected: dict[str, Any]
) -> None:
    url = await window.signed(redirected["storage_path"])
    answer = await window.open(f"{url}&download=order-7.csv")
    assert answer.status_code == 200
    assert answer.headers["content-disposition"] == 'attachment; filename="order-7.csv"'


async def test_a_voided_batch_leads_nowhere(
    window: Window, desk: Desk, redirected: dict[str, Any]
) -> None:
    url = await window.signed(redirected["storage_path"])
    await desk.void(redirected["mint_batch_id"])
    assert (await window.open(url)).status_code == 404


async def test_a_member_with_a_token_is_served_by_the_platform_itself(
    window: Window, redirected: dict[str, Any]
) -> None:
    # His Authorization header would go with a redirect, and a store refuses it beside a signature.
    answer = await window.ask("GET", f"{OBJECT}/{redirected['storage_path']}")
    assert answer.status_code == 200
