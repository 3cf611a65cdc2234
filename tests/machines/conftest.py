"""A PgBouncer in front of a test's database."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator

import pytest_asyncio

from tests.machines.pooler import pgbouncer


@pytest_asyncio.fixture
async def pooled_dsn(dsn: str) -> AsyncIterator[str]:
    """The test's database through PgBouncer in transaction mode."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    async with pgbouncer(dsn, port=port) as url:
        yield url
