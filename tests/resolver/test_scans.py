"""Scan events: who makes one, what is kept of it, and the buffer that they wait in."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address, ip_network
from uuid import uuid4

import pytest

from mintage.operations.resolving import Subject
from mintage.resolver.scan_buffer import ScanBuffer, SeenScan
from mintage.settings import Limits
from tests.resolver.desk import IPHONE, NOW, PROXY, Desk, get_all
from tests.support.world import GTIN_TABLE

BOTS = [
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
    "WhatsApp/2.23.20.0",
    "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
    "curl/8.1 (compatible; bingbot/2.0)",
]
PROGRAMS = ["", "okhttp/4.12.0", "curl/8.5.0", "python-requests/2.31.0", "Dart/3.2 (dart:io)"]


def seen_scan(desk: Desk, product_id: object, **changes: object) -> SeenScan:
    """A scan of a product, with `changes`."""
    seen = SeenScan(
        brand_id=desk.world.brand_id,
        scanned_at=NOW,
        subject=Subject(product_id=product_id),  # type: ignore[arg-type]
        outcome="recorded",
        traffic_class="human",
        address=ip_address("203.0.113.77"),
        user_agent=IPHONE,
        path="/01/09506000134352",
    )
    return seen._replace(**changes)  # type: ignore[arg-type]


async def test_after_an_orderly_stop_every_scan_has_its_row(desk: Desk) -> None:
    minted = await desk.world.minted(10)
    paths = await desk.urls(minted["mint_batch_id"])
    running = asyncio.create_task(desk.buffer.run())
    async with desk.phone() as phone:
        await get_all(phone, paths * 10)
    await desk.buffer.stop()
    await running
    assert await desk.value("select count(*) from scan_event") == 100
    assert await desk.value("select sum(delta) from tally_delta where metric = 'scans'") == 100
    states = await desk.fetch(
        "select scan_count, first_scanned_at, last_scanned_at from unit_state"
    )
    assert [tuple(state) for state in states] == [(10, NOW, NOW)] * 10
    assert desk.buffer.dropped_count == 0


async def test_a_running_buffer_writes_without_being_stopped(desk: Desk) -> None:
    product_id = await desk.world.product(gtin=GTIN_TABLE)
    running = asyncio.create_task(desk.buffer.run())
    for _ in range(2):
        async with desk.phone() as phone:
            await phone.get(f"/01/{GTIN_TABLE}")
        while len(desk.buffer):
            await asyncio.sleep(0.01)
    assert (
        await desk.value("select count(*) from scan_event where product_id = $1", product_id) == 2
    )
    await desk.buffer.stop()
    await running


async def test_a_scan_event_keeps_families_and_a_prefix_and_no_more(desk: Desk) -> None:
    minted = await desk.world.minted(1)
    [path] = await desk.urls(minted["mint_batch_id"])
    async with desk.phone("203.0.113.77") as phone:
        await phone.get(f"{path}?utm_source=mail")
    await desk.settle()
    [row] = await desk.fetch("select * from scan_event")
    listed = await desk.world.rpc("list_mint_units", mint_batch_id=minted["mint_batch_id"])
    assert row["ip_prefix"] == ip_network("203.0.113.0/24")
    assert (row["browser"], row["os"], row["device"]) == ("Mobile Safari", "iOS", "iPhone")
    assert (row["traffic_class"], row["outcome"], row["path"]) == ("human", "activated", path)
    assert (str(row["unit_id"]), row["scanned_at"]) == (str(listed["units"][0]["id"]), NOW)
    assert "203.0.113.77" not in repr(dict(row))


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("2001:db8:1234:5678::9", "2001:db8:1234::/48"),
        ("::ffff:198.51.100.200", "198.51.100.0/24"),
    ],
)
async def test_addresses_are_truncated(desk: Desk, address: str, kept: str) -> None:
    await desk.world.product(gtin=GTIN_TABLE)
    async with desk.phone(address) as phone:
        await phone.get(f"/01/{GTIN_TABLE}")
    await desk.settle()
    assert await desk.value("select ip_prefix from scan_event") == ip_network(kept)


@pytest.mark.parametrize("user_agent", BOTS)
async def test_a_bot_gets_a_preview_and_leaves_no_trace(desk: Desk, user_agent: str) -> None:
    minted = await desk.world.minted(1)
    [path] = await desk.urls(minted["mint_batch_id"])
    async with desk.phone() as phone:
        answer = await phone.get(path, headers={"User-Agent": user_agent})
        forged = await phone.get(f"{path[:-1]}-", headers={"User-Agent": user_agent})
    assert answer.status_code == 200
    assert '<meta property="og:title" content="Oak table">' in answer.text
    assert path.rpartition("/")[2] not in answer.text
    assert forged.status_code == 404
    assert await desk.outcomes() == []
    assert await desk.value("select count(*) from unit_state") == 0


@pytest.mark.parametrize("user_agent", PROGRAMS)
async def test_a_program_that_may_stand_for_a_person_is_a_scan(desk: Desk, user_agent: str) -> None:
    minted = await desk.world.minted(1)
    [path] = await desk.urls(minted["mint_batch_id"])
    async with desk.phone() as phone:
        answer = await phone.get(path, headers={"User-Agent": user_agent})
    assert answer.status_code == 307
    assert await desk.outcomes() == ["activated"]
    assert await desk.value("select traffic_class from scan_event") == "unknown"


async def test_the_client_behind_a_configured_proxy_is_the_one_that_is_kept(desk: Desk) -> None:
    await desk.world.product(gtin=GTIN_TABLE)
    forwarded = {"X-Forwarded-For": f"192.0.2.66, 198.51.100.7, {PROXY}"}
    for peer in (PROXY, "203.0.113.77"):
        async with desk.phone(peer) as phone:
            await phone.get(f"/01/{GTIN_TABLE}", headers=forwarded)
    await desk.settle()
    rows = await desk.fetch("select ip_prefix from scan_event order by ip_prefix")
    assert [str(row["ip_prefix"]) for row in rows] == ["198.51.100.0/24", "203.0.113.0/24"]


async def test_a_full_buffer_drops_new_scans_and_counts_them(desk: Desk) -> None:
    product_id = await desk.world.product()
    buffer = ScanBuffer(desk.resolver.database, Limits(scans_waiting_max=5))
    for _ in range(8):
        buffer.record(seen_scan(desk, product_id))
    assert (len(buffer), buffer.dropped_count) == (5, 3)
    await buffer.stop()
    assert await desk.value("select count(*) from scan_event") == 5


async def test_scans_of_two_brands_are_written_each_to_its_own(desk: Desk) -> None:
    product_id = await desk.world.product()
    theirs = await desk.world.product("stranger")
    for brand_id, product in (
        (desk.world.brand_id, product_id),
        (desk.world.other_brand_id, theirs),
    ):
        desk.buffer.record(seen_scan(desk, product, brand_id=brand_id))
    await desk.settle()
    rows = await desk.fetch("select brand_id, product_id from scan_event")
    assert [tuple(row) for row in rows] == [(desk.world.brand_id, product_id)]
    assert desk.buffer.dropped_count == 0


async def test_with_the_database_away_scans_wait_and_are_written_later(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    product_id = await desk.world.product()
    was_tried = asyncio.Event()

    def away(*_: object, **__: object) -> object:
        was_tried.set()
        raise ConnectionRefusedError

    monkeypatch.setattr(type(desk.resolver.database), "transaction", away)
    for _ in range(3):
        desk.buffer.record(seen_scan(desk, product_id))
    running = asyncio.create_task(desk.buffer.run())
    await was_tried.wait()
    assert len(desk.buffer) == 3
    monkeypatch.undo()
    await desk.buffer.stop()
    await running
    assert await desk.value("select count(*) from scan_event") == 3
    assert desk.buffer.dropped_count == 0


async def test_a_stop_with_the_database_away_ends_and_counts_what_is_lost(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> object:
        raise ConnectionRefusedError

    monkeypatch.setattr(type(desk.resolver.database), "transaction", away)
    buffer = ScanBuffer(desk.resolver.database, Limits(scan_stop_wait_s=0))
    for _ in range(3):
        buffer.record(seen_scan(desk, uuid4()))
    await buffer.stop()
    assert buffer.dropped_count == 3


async def test_scans_that_cannot_be_stored_are_dropped_and_hold_up_no_others(desk: Desk) -> None:
    product_id = await desk.world.product()
    long_ago = NOW.replace(year=1999)  # There is no partition for it.
    desk.buffer.record(seen_scan(desk, product_id, scanned_at=long_ago))
    await desk.buffer.stop()
    assert desk.buffer.dropped_count == 1
    desk.buffer.record(seen_scan(desk, product_id))
    await desk.buffer.stop()
    assert await desk.value("select count(*) from scan_event") == 1


async def test_a_chunk_that_was_committed_before_its_connection_broke_is_stored_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    minted = await desk.world.minted(1)
    listed = await desk.world.rpc("list_mint_units", mint_batch_id=minted["mint_batch_id"])
    product_id = await desk.world.product()
    subject = Subject(product_id=product_id, unit_id=listed["units"][0]["id"])
    desk.buffer.record(seen_scan(desk, product_id, subject=subject))
    database = desk.resolver.database
    original = type(database).transaction
    tries = []

    def breaking(*arguments: object, **options: object) -> object:
        tries.append(uuid4())
        return _BreaksAfterCommit(original(*arguments, **options), breaks=len(tries) == 1)  # type: ignore[arg-type]

    monkeypatch.setattr(type(database), "transaction", breaking)
    await desk.buffer.stop()
    monkeypatch.undo()
    assert len(tries) == 2
    assert await desk.value("select count(*) from scan_event") == 1
    assert await desk.value("select scan_count from unit_state") == 1
    assert await desk.value("select sum(delta) from tally_delta where metric = 'scans'") == 1


class _BreaksAfterCommit:
    """A transaction whose commit is done and whose connection then breaks."""

    def __init__(self, inner: object, *, breaks: bool) -> None:
        self._inner = inner
        self._breaks = breaks

    async def __aenter__(self) -> object:
        return await self._inner.__aenter__()  # type: ignore[attr-defined]

    async def __aexit__(self, *error: object) -> object:
        left = await self._inner.__aexit__(*error)  # type: ignore[attr-defined]
        if self._breaks:
            raise ConnectionResetError
        return left
