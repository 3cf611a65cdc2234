"""Fixtures for all tests: one embedded server a run, a template database, a fresh clone of it per test."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import sys
import tempfile
import threading
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import hypothesis
import pytest
import pytest_asyncio

from mintage.db import embedded
from mintage.db.connection import Database, open_database
from mintage.db.migrate import migrate
from mintage.perform import Platform
from mintage.settings import Limits
from mintage.telemetry import configure_logs
from tests.support.logs import log_plainly
from tests.support.webhooks import SEALER
from tests.support.world import World, build_world

TEMPLATE = "mintage_template"
# Scans of the time that tests are pinned to, and of some days ago, whatever month it is.
MONTHS_OF_TESTS = """
select ensure_scan_event_partitions('2026-11-01', 1);
select ensure_scan_event_partitions(now() - interval '1 month', 1)
"""

log_plainly()

# The same examples on every machine, however slow it is on its first run.
hypothesis.settings.register_profile(
    "mintage",
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("mintage")


def _scratch_folder() -> Path | None:
    """Memory, where there is room: a clone of the template then takes milliseconds."""
    shared_memory = Path("/dev/shm")
    if shared_memory.is_dir() and shutil.disk_usage(shared_memory).free > 2 * 1024**3:
        return shared_memory
    return None


def with_database(dsn: str, name: str) -> str:
    """`dsn` with another database."""
    parts = urlsplit(dsn)
    return urlunsplit(parts._replace(path=f"/{name}"))


@pytest.fixture(scope="session")
def server_dsn() -> Iterator[str]:
    """A server of this test process. `MINTAGE_TEST_DATABASE_URL` names another one to test against."""
    given = os.environ.get("MINTAGE_TEST_DATABASE_URL")
    if given:
        yield given
        return
    folder = Path(tempfile.mkdtemp(prefix="mintage-tests-", dir=_scratch_folder()))
    folder.chmod(0o755)
    bin_dir = os.environ.get("MINTAGE_POSTGRES_BIN")
    with asyncio.Runner() as runner:
        server = runner.run(
            embedded.start(folder, bin_dir=Path(bin_dir) if bin_dir else None, durable=False)
        )
        yield server.dsn
        runner.run(embedded.stop(server))
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def template(server_dsn: str) -> str:
    """A migrated database that the tests' databases are cloned from; its name."""

    async def build() -> str:
        name = f"{TEMPLATE}_{os.getpid()}"
        connection = await asyncpg.connect(server_dsn)
        try:
            await connection.execute(f"drop database if exists {name}")
            await connection.execute(f"create database {name}")
        finally:
            await connection.close()
        await migrate(with_database(server_dsn, name))
        connection = await asyncpg.connect(with_database(server_dsn, name))
        try:
            await connection.execute(MONTHS_OF_TESTS)
        finally:
            await connection.close()
        return name

    return asyncio.run(build())


@pytest_asyncio.fixture
async def dsn(server_dsn: str, template: str) -> AsyncIterator[str]:
    """A database of this test's own, migrated and empty."""
    name = f"test_{uuid4().hex[:12]}"
    connection = await asyncpg.connect(server_dsn)
    try:
        await connection.execute(f"create database {name} template {template} strategy file_copy")
        yield with_database(server_dsn, name)
        await connection.execute(f"drop database {name} with (force)")
    finally:
        await connection.close()


@pytest_asyncio.fixture
async def database(dsn: str) -> AsyncIterator[Database]:
    """A pool on the test's database."""
    # Without a first connection that only asks whether there is a pooler: each test would pay for it.
    opened = await open_database(
        dsn, connections=10, statement_timeout_s=30, application="test", connects_now=False
    )
    yield opened
    await opened.close()


@pytest.fixture
def limits() -> Limits:
    """The limits of production, with short leases and back-off."""
    return Limits(job_lease_s=1.0, pack_lease_s=1.0, backoff_s=(0.0, 0.0))


@pytest.fixture
def platform(database: Database, limits: Limits) -> Platform:
    return Platform(database, limits, sealer=SEALER)


@pytest_asyncio.fixture
async def world(platform: Platform) -> World:
    """Two brands with their people: see `tests.support.world`."""
    return await build_world(platform)


@pytest.fixture
def log(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], str]]:
    """What was written to the log since the last look."""
    root = logging.getLogger()
    handlers = list(root.handlers)
    for owner, name in (
        (warnings, "showwarning"),
        (sys, "excepthook"),
        (threading, "excepthook"),
    ):
        monkeypatch.setattr(owner, name, getattr(owner, name))
    configure_logs()
    yield lambda: capsys.readouterr().err
    log_plainly()
    root.handlers[:] = handlers
