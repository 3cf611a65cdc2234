"""One backup for all tests of a module, and an empty place to restore it to."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from tests.backup.source import Place, Source, drop_database, make_source, new_database, place_at


@pytest.fixture(scope="module")
def backup(
    server_dsn: str, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Source]:
    """The backup of a small platform; tests do not change it."""
    folder = tmp_path_factory.mktemp("source")
    dsn = asyncio.run(new_database(server_dsn, template))
    yield asyncio.run(make_source(place_at(dsn, folder / "data"), folder / "backup"))
    asyncio.run(drop_database(dsn))


@pytest.fixture
def source(backup: Source, tmp_path: Path) -> Source:
    """A copy of the backup that a test may damage."""
    folder = tmp_path / "backup"
    shutil.copytree(backup.folder, folder)
    return replace(backup, folder=folder)


@pytest_asyncio.fixture
async def place(server_dsn: str, tmp_path: Path) -> AsyncIterator[Place]:
    """An empty database, an empty store, no secrets."""
    dsn = await new_database(server_dsn)
    yield place_at(dsn, tmp_path / "data")
    await drop_database(dsn)
