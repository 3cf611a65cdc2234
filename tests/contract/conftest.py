"""The stage of the contract tests."""

from __future__ import annotations

from pathlib import Path

import pytest
import pytest_asyncio

from tests.api.conftest import api, door, secrets, settings  # noqa: F401 - fixtures
from tests.contract.stage import Stage, build_stage
from tests.support.minting import with_limits
from tests.support.world import World


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out the file whose cases take long to make, where no long test is asked for."""
    is_left_out = collection_path.name == "test_whole_contract.py"
    return True if is_left_out and config.option.markexpr == "not long" else None


@pytest_asyncio.fixture
async def stage(world: World) -> Stage:
    return await build_stage(with_limits(world, foreign_issuer="https://login.example.com"))
