"""Fixtures of the storage tests: a desk with files, and its window on the HTTP door."""

from __future__ import annotations

from pathlib import Path

import pytest

from mintage.storage import open_pack_store
from tests.packs.desk import Desk
from tests.storage.window import Window, open_window
from tests.support.world import World


@pytest.fixture
def desk(world: World, tmp_path: Path) -> Desk:
    return Desk(world, open_pack_store(None, tmp_path), tmp_path / "payload-packs")


@pytest.fixture
def window(desk: Desk, tmp_path: Path) -> Window:
    return open_window(desk, tmp_path)
