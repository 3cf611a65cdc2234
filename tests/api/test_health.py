"""/healthz and /readyz: a process that lives, and one that can do its work."""

from __future__ import annotations

import asyncio
import errno
import tempfile
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

import mintage.health
from mintage.app import Doors, Front, Runtime, open_doors
from mintage.db.connection import DatabaseRole
from mintage.db.migrate import load_migrations
from mintage.db.replica import Replica
from mintage.health import (
    STORE_LOOKED_AT_EVERY_S,
    STUCK_AFTER_S,
    Health,
    StoreWatch,
    Vitals,
)
from mintage.keyring import Keyring
from mintage.secrets import new_secrets_text, parse_secrets
from mintage.settings import Settings
from mintage.storage import open_pack_store
from mintage.worker.loop import Lane, Worker
from tests.support.world import World

if TYPE_CHECKING:
    from mintage.db.connection import Database

NOWHERE = "postgresql://nobody@127.0.0.1:9/nothing"
NEEDED = load_migrations()[-1].version


@dataclass
class Clock:
    """A monotonic clock that stands still."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def _watch(folder: Path, clock: Clock, *, writes: bool = True) -> StoreWatch:
    store = open_pack_store(folder.as_uri(), folder)
    return StoreWatch(store, writes=writes, clock=clock)


@asynccontextmanager
async def _asking(health: Health) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(health), base_url="http://a"
    ) as client:
        yield client


async def _ready(health: Health, path: str = "/readyz") -> tuple[int, dict[str, Any], str | None]:
    async with _asking(health) as client:
        answer = await client.get(path)
        return answer.status_code, answer.json(), answer.headers.get("retry-after")


async def test_a_process_that_can_work_is_ready(database: Database) -> None:
    assert await _ready(Health(database)) == (
        200,
        {
            "ok": True,
            "database": "reachable",
            "schema": {"version": NEEDED, "needed": NEEDED},
            "worker": "none",
            "replica": "none",
            "scans": "none",
            "store": "none",
            "secrets": "none",
            "reasons": [],
        },
        None,
    )


async def test_a_process_without_its_database_lives_and_is_not_ready(database: Database) -> None:
    health = Health(database)
    await database.close()
    status, content, retry_after = await _ready(health)
    assert (status, retry_after) == (503, "2")
    assert (content["ok"], content["database"], content["schema"]) == (False, "away", None)
    assert [reason["code"] for reason in content["reasons"]] == ["DATABASE_AWAY"]
    async with _asking(health) as client:
        living = await client.get("/healthz")
    assert (living.status_code, living.json()) == (200, {"ok": True})


async def test_a_schema_that_is_behind_is_not_ready_and_a_newer_one_is(database: Database) -> None:
    clock = Clock()
    health = Health(database, clock=clock)
    await database.pool.execute("delete from schema_migration where version = $1", NEEDED)
    status, content, _ = await _ready(health)
    assert status == 503
    assert content["schema"] == {"version": NEEDED - 1, "needed": NEEDED}
    assert [reason["code"] for reason in content["reasons"]] == ["SCHEMA_BEHIND"]
    assert "mintage migrate" in content["reasons"][0]["message"]
    await database.pool.execute(
        "insert into schema_migration (version, name, sha256) values ($1, 'later', '')", NEEDED + 1
    )
    clock.now += 1
    status, content, _ = await _ready(health)
    assert (status, content["schema"]["version"]) == (200, NEEDED + 1)


async def test_a_worker_that_has_ended_is_not_ready(database: Database) -> None:
    ending = asyncio.Event()

    async def work() -> None:
        await ending.wait()

    vitals = Vitals(asyncio.create_task(work()))
    health = Health(database, vitals)
    status, content, _ = await _ready(health)
    assert (status, content["worker"]) == (200, "running")
    ending.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    status, content, _ = await _ready(health)
    assert (status, content["worker"]) == (503, "ended")
    assert [reason["code"] for reason in content["reasons"]] == ["WORKER_ENDED"]
    async with _asking(health) as client:
        assert (await client.get("/healthz")).status_code == 503


async def test_a_worker_whose_step_does_not_end_is_told(world: World) -> None:
    ending = asyncio.Event()
    clock = Clock()

    async def never() -> bool:
        await ending.wait()
        return False

    worker = Worker(world.platform, NOWHERE, (Lane("mint_job", never),), (), clock=clock)
    vitals = Vitals(asyncio.create_task(worker.run()), working=worker)
    health = Health(world.platform.database, vitals)
    while not worker.steps_under_way()["mint_job"]:
        await asyncio.sleep(0)
    assert (await _ready(health))[0] == 200
    clock.now += STUCK_AFTER_S + 1
    status, content, _ = await _ready(health)
    assert (status, content["worker"]) == (503, "stuck")
    assert [reason["code"] for reason in content["reasons"]] == ["WORKER_STUCK"]
    async with _asking(health) as client:
        assert (await client.get("/healthz")).json() == {"ok": False}
    worker.stop()
    ending.set()
    assert vitals.worker is not None
    await vitals.worker


async def test_a_resolver_that_stores_no_scans_any_more_is_told(database: Database) -> None:
    storing = asyncio.create_task(asyncio.sleep(3600))
    vitals = Vitals(scan_storing=storing)
    health = Health(database, vitals, role=DatabaseRole.RESOLVER)
    status, content, _ = await _ready(health)
    assert (status, content["scans"]) == (200, "running")
    storing.cancel()
    await asyncio.wait([storing])
    status, content, _ = await _ready(health)
    assert (status, content["scans"]) == (503, "ended")
    assert [reason["code"] for reason in content["reasons"]] == ["SCANS_ENDED"]
    async with _asking(health) as client:
        assert (await client.get("/healthz")).json() == {"ok": False}


async def test_a_stale_replica_is_told_and_the_process_is_ready(database: Database) -> None:
    replica = Replica(database, database, lag_s_max=10)
    vitals = Vitals(replica=replica)
    await replica.look()
    status, content, _ = await _ready(Health(database, vitals))
    assert (status, content["ok"], content["replica"]) == (200, True, "stale"), "it is the primary"


async def test_the_database_is_looked_at_once_a_second_however_many_ask(database: Database) -> None:
    clock = Clock()
    health = Health(database, clock=clock)
    assert all(content["ok"] for content in [(await _ready(health))[1] for _ in range(3)])
    await database.close()
    assert (await _ready(health))[0] == 200
    clock.now += 1
    answers = await asyncio.gather(*(_ready(health) for _ in range(5)))
    assert {status for status, _, _ in answers} == {503}


async def test_a_store_that_is_away_is_looked_at_again_after_five_seconds(
    database: Database, tmp_path: Path
) -> None:
    clock, folder = Clock(), tmp_path / "store"
    folder.mkdir()
    health = Health(database, Vitals(store=_watch(folder, clock)), clock=clock)
    status, content, _ = await _ready(health)
    assert (status, content["store"]) == (200, "reachable")
    folder.rmdir()
    assert (await _ready(health))[1]["store"] == "reachable", "as it was seen"
    clock.now += STORE_LOOKED_AT_EVERY_S
    status, content, retry_after = await _ready(health)
    assert (status, content["ok"], content["store"], retry_after) == (503, False, "refusing", "2")
    assert [reason["code"] for reason in content["reasons"]] == ["STORE_REFUSES"]
    assert str(folder) not in str(content), "where it is, is for the log"
    async with _asking(health) as client:
        assert (await client.get("/healthz")).json() == {"ok": True}
    assert (await _ready(health, "/readyz?exclude=store"))[:2] == (
        200,
        content | {"ok": True, "reasons": []},
    )
    folder.mkdir()
    clock.now += STORE_LOOKED_AT_EVERY_S
    assert (await _ready(health))[0] == 200


async def test_a_full_disk_is_not_ready_for_who_writes(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(**_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    reading, writing = (_watch(tmp_path, Clock(), writes=writes) for writes in (False, True))
    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    assert await reading.state() == "reachable"
    status, content, _ = await _ready(Health(database, Vitals(store=writing)))
    assert (status, content["store"]) == (503, "away")
    assert [reason["code"] for reason in content["reasons"]] == ["STORE_AWAY"]


async def test_a_store_that_hangs_keeps_one_look_waiting_and_nobody_for_long(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, goes_on, looks = Clock(), threading.Event(), 0
    store = open_pack_store(None, tmp_path)

    async def check(*, writes: bool) -> None:
        nonlocal looks
        looks += 1
        await asyncio.to_thread(goes_on.wait)

    monkeypatch.setattr(store, "check", check)
    watch = StoreWatch(store, writes=False, clock=clock)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(mintage.health, "LOOK_TIMEOUT_S", 0.01)
            for _ in range(3):
                states = await asyncio.gather(*(watch.state() for _ in range(4)))
                assert set(states) == {"away"}
                clock.now += STORE_LOOKED_AT_EVERY_S
    finally:
        goes_on.set()
    assert (await _ready(Health(database, Vitals(store=watch))))[0] == 200
    assert looks == 1, "the one that hung, which has ended"


async def test_what_becomes_of_the_store_is_told_in_the_log_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clock, folder = Clock(), tmp_path / "store"
    folder.mkdir()
    watch = _watch(folder, clock)
    told = []
    for change in (None, folder.rmdir, None, folder.mkdir, None):
        if change is not None:
            change()
        clock.now += STORE_LOOKED_AT_EVERY_S
        told.append(await watch.state())
    assert told == ["reachable", "refusing", "refusing", "reachable", "reachable"]
    logged = "".join(capsys.readouterr())
    assert logged.count("the store of packs is refusing") == 1
    assert logged.count("the store of packs answers") == 1
    assert str(folder) in logged, "the operator is told where to look"


async def test_secrets_whose_file_is_gone_are_told_and_the_process_is_ready(
    database: Database, tmp_path: Path
) -> None:
    path = tmp_path / "secrets.json"
    keyring = Keyring(path)
    health = Health(database, Vitals(keys=keyring))
    assert (await _ready(health))[1]["secrets"] == "current"
    text = path.read_text("utf-8")
    path.unlink()
    status, content, _ = await _ready(health)
    assert (status, content["ok"], content["secrets"]) == (200, True, "stale"), "the keys go on"
    path.write_text("{}", "utf-8")
    path.chmod(0o600)
    assert (await _ready(health))[1]["secrets"] == "stale"
    path.write_text(text, "utf-8")
    assert (await _ready(health))[1]["secrets"] == "current"
    assert (await _ready(Health(database, Vitals(keys=parse_secrets(text)))))[1][
        "secrets"
    ] == "current"


@pytest.mark.parametrize("doors", [Doors(has_resolver=False), Doors(has_api=False)])
async def test_a_process_looks_into_the_store_if_it_uses_it(
    world: World, settings: Settings, tmp_path: Path, doors: Doors
) -> None:
    runtime = Runtime(
        settings=replace(settings, data_dir=tmp_path),
        direct_dsn="",
        platform=world.platform,
        keys=parse_secrets(new_secrets_text()),
        store=open_pack_store(None, tmp_path),
    )
    async with (
        open_doors(runtime, doors) as front,
        httpx2.AsyncClient(
            transport=httpx2.ASGITransport(front), base_url="http://localhost"
        ) as client,
    ):
        told = (await client.get("/readyz")).json()
        assert (told["ok"], told["store"]) == (True, "reachable" if doors.has_api else "none")


async def test_head_has_no_body_and_other_methods_are_refused(database: Database) -> None:
    async with _asking(Health(database)) as client:
        for path in ("/healthz", "/readyz"):
            head = await client.head(path)
            assert (head.status_code, head.content) == (200, b"")
            assert head.headers["cache-control"] == "no-store"
            refused = await client.post(path)
            assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")


async def test_every_process_answers_on_every_host(database: Database, settings: Settings) -> None:
    async def door(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 418, "headers": []})
        await send({"type": "http.response.body"})

    health = Health(database)
    for front in (
        Front(door, door, settings, None, health),
        Front(door, None, settings, None, health),
        Front(None, door, settings, None, health),
    ):
        transport = httpx2.ASGITransport(front)
        for host in ("http://mint.example.com", "http://acme.example.com"):
            async with httpx2.AsyncClient(transport=transport, base_url=host) as client:
                statuses = [
                    (await client.get(path)).status_code for path in ("/healthz", "/readyz", "/x")
                ]
            assert statuses == [200, 200, 418]
