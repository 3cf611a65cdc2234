"""Fixtures of the pack tests: a store on the local disk, and a desk that asks for packs and writes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from mintage.storage import PackStore, open_pack_store
from tests.packs.desk import Desk
from tests.support.world import World


@pytest.fixture
def store(tmp_path: Path) -> PackStore:
    return open_pack_store(None, tmp_path)


@pytest.fixture
def desk(world: World, store: PackStore, tmp_path: Path) -> Desk:
    return Desk(world, store, tmp_path / "payload-packs")
