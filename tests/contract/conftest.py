"""The stage of the contract tests."""

from __future__ import annotations

import pytest_asyncio

from tests.api.conftest import api, door, secrets, settings  # noqa: F401 - fixtures
from tests.contract.stage import Stage, build_stage
from tests.support.minting import with_limits
from tests.support.world import World


@pytest_asyncio.fixture
async def stage(world: World) -> Stage:
    return await build_stage(with_limits(world, foreign_issuer="https://login.example.com"))
