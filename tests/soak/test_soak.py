"""The soak for half a minute: what `make soak` does in ten."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.machines.servers import scratch_folder
from tests.soak.soak import soak

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]
SECONDS = 18


async def test_nothing_is_lost_or_doubled_when_all_is_killed_every_two_seconds() -> None:
    async with scratch_folder() as folder:
        outcome = await soak(SECONDS, 3, Path(folder), is_durable=False)
    assert outcome.found.is_well, outcome.told()
    assert outcome.found.figures["jobs"] > 10
    assert outcome.found.figures["packs"] > 0
    assert outcome.kills.total() >= 5
