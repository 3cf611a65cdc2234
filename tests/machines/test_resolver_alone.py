"""`mintage resolver` by itself: with a login that may do nothing else, and while its database goes away."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import httpx2
import pytest

from tests.machines.processes import IPHONE, machines, until
from tests.machines.resolver_stage import LOGIN, Stage, resolver_stage
from tests.machines.servers import ask
from tests.support.country_file import write_country_file

pytestmark = pytest.mark.long
PHONES = 12


def _client(url: str, printed_url: str) -> httpx2.AsyncClient:
    headers = {"Host": urlsplit(printed_url).netloc, "User-Agent": IPHONE}
    return httpx2.AsyncClient(base_url=url, headers=headers, timeout=30)


async def _refused(dsn: str, statement: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await ask(dsn, statement)


async def test_it_serves_alone_with_a_login_that_may_do_nothing_else(tmp_path: Path) -> None:
    async with resolver_stage(2) as stage:
        dsn = stage.resolvers_dsn
        here = {"127.0.0.0/8": {"country": {"iso_code": "AT"}}}
        country_file = write_country_file(tmp_path / "country.mmdb", here)
        more = {"MINTAGE_DATABASE_URL": dsn, "MINTAGE_COUNTRY_FILE": str(country_file)}
        async with machines(tmp_path, **more) as fleet:
            url = await fleet.serve("resolver")
            [first, second] = [urlsplit(printed).path for printed in stage.urls]
            async with _client(url, first_url := stage.urls[0]) as phone:
                scans = [await phone.get(path) for path in (first, first, second)]
                others = [
                    await phone.get(f"/p/{stage.product_id}"),
                    await phone.get(f"{first}?linkType=linkset"),
                    await phone.get("/.well-known/gs1resolver"),
                    await phone.get(first[:-1] + "!"),
                    await phone.get("/01/123"),
                ]
                ready = await phone.get("/readyz")
            assert [scan.status_code for scan in scans] == [307] * 3, first_url
            assert (ready.status_code, ready.json()["scans"]) == (200, "running")
            assert [other.status_code for other in others] == [200, 200, 200, 404, 400]
            await fleet.stop()
        outcomes = "select array_agg(outcome order by scanned_at, id) from scan_event"
        assert await ask(stage.dsn, outcomes) == ["activated", "already_active", "activated"]
        countries = "select array_agg(distinct country) from scan_event"
        assert await ask(stage.dsn, countries) == ["AT"]
        for role in ("mintage_app", "mintage_service", "mintage_minter"):
            await _refused(dsn, f"set role {role}")
        for statement in (
            "select from app_user",
            "select from api_key",
            "select from mint_job",
            "select from scan_event",
            "insert into mint_unit default values",
            "update product set name = 'mine'",
            "update mint_lot set lot_code = 'mine'",
            "update unit_state set revoked_at = null",
            "select gcp_length from brand",
            "delete from unit_state",
            "insert into schema_migration default values",
            "create table mine ()",
        ):
            await _refused(dsn, statement)
        # Without a brand it sees none of what is a brand's.
        assert await ask(dsn, "select count(*) from mint_unit") == 0
        assert await ask(dsn, "select count(*) from product_link") == 0
        assert await ask(stage.dsn, "select rolname from pg_roles where rolname = $1", LOGIN)


async def test_two_resolvers_that_race_for_first_scans_activate_each_unit_once(
    tmp_path: Path,
) -> None:
    units, racers = 300, 16
    async with resolver_stage(units) as stage:
        async with machines(tmp_path, MINTAGE_DATABASE_URL=stage.resolvers_dsn) as fleet:
            urls = [await fleet.serve("resolver") for _ in range(2)]
            answered = await asyncio.gather(
                *(_scan_all(urls[racer % 2], stage.urls) for racer in range(racers))
            )
            await fleet.stop()
        assert answered == [[307] * units] * racers
        told = (
            "select count(*) filter (where won = 1 and scans = $1) from ("
            "select count(*) as scans, count(*) filter (where outcome = 'activated') as won "
            "from scan_event group by unit_id) as each_unit"
        )
        assert await ask(stage.dsn, told, racers) == units
        counted = "select sum(delta) from tally_delta where metric = $1"
        assert await ask(stage.dsn, counted, "units_activated") == units
        assert await ask(stage.dsn, counted, "units_active") == units


async def _scan_all(url: str, printed_urls: list[str]) -> list[int]:
    """The statuses of scanning every code over one connection, one after the other."""
    server = urlsplit(url)
    reader, writer = await asyncio.open_connection(server.hostname, server.port)
    statuses = []
    for printed in map(urlsplit, printed_urls):
        head = (
            f"GET {printed.path} HTTP/1.1\r\nHost: {printed.netloc}\r\nUser-Agent: {IPHONE}\r\n\r\n"
        )
        writer.write(head.encode())
        answer = await reader.readuntil(b"\r\n\r\n")
        statuses.append(int(answer.split(b" ", 2)[1]))
    writer.close()
    await writer.wait_closed()
    return statuses


@dataclass
class _Load:
    """People who scan without end; what they were answered."""

    answered: Counter[int] = field(default_factory=Counter)
    redirected: Counter[str] = field(default_factory=Counter)
    without_retry_after: int = 0
    is_over: bool = False

    async def scan(self, phone: httpx2.AsyncClient, paths: list[str], first: int) -> None:
        for path in cycle(paths[first:] + paths[:first]):
            if self.is_over:
                return
            answer = await phone.get(path)
            self.answered[answer.status_code] += 1
            if answer.status_code == 307:
                self.redirected[path] += 1
            elif "retry-after" not in answer.headers:
                self.without_retry_after += 1

    async def until_more(self, status: int, count: int) -> None:
        wanted = self.answered[status] + count

        async def is_there() -> bool:
            return self.answered[status] >= wanted

        await until(is_there)


async def test_a_database_that_stops_and_starts_under_load_costs_no_answered_scan(
    tmp_path: Path,
) -> None:
    load = _Load()
    async with resolver_stage(400) as stage:
        async with machines(tmp_path, MINTAGE_DATABASE_URL=stage.resolvers_dsn) as fleet:
            url = await fleet.serve("resolver")
            paths = [urlsplit(printed).path for printed in stage.urls]
            async with _client(url, stage.urls[0]) as phone, asyncio.TaskGroup() as people:
                for number in range(PHONES):
                    people.create_task(load.scan(phone, paths, number * 30))
                for _ in range(2):
                    await load.until_more(307, 150)
                    await stage.stop_server()
                    await load.until_more(503, 50)
                    await stage.start_server()
                    await load.until_more(307, 150)
                load.is_over = True
            await fleet.stop()
            assert "scans were lost" not in fleet.logs()
        assert set(load.answered) == {307, 503}
        assert load.without_retry_after == 0
        await _holds_every_scan(stage, load)


async def _holds_every_scan(stage: Stage, load: _Load) -> None:
    """Every redirect that was answered has its scan, and every unit at most one activation."""
    connection = await asyncpg.connect(stage.dsn)
    try:
        stored = await connection.fetch(
            "select path, count(*) as scans, count(*) filter (where outcome = 'activated') as won, "
            "bool_and(activated_at is not null) as is_active "
            "from scan_event left join unit_state using (brand_id, unit_id) group by path"
        )
    finally:
        await connection.close()
    assert {row["path"]: row["scans"] for row in stored} == dict(load.redirected)
    assert max(row["won"] for row in stored) == 1
    assert all(row["is_active"] for row in stored)
