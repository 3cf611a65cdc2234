"""`make sweep`: 100,000 mutated requests over every door, by hand.

SWEEP_SEED and SWEEP_REQUESTS choose another run. The file is collected only where it is named.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mintage.perform import Platform
from mintage.telemetry import configure_logs
from tests.fuzz.running import run
from tests.fuzz.seeds import open_target
from tests.support.world import World

SEED = int(os.environ.get("SWEEP_SEED", "20261124"))
REQUESTS = int(os.environ.get("SWEEP_REQUESTS", "100000"))


@pytest.mark.timeout(0)
async def test_mutated_requests_break_nothing(
    platform: Platform,
    world: World,
    dsn: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logs()
    async with open_target(platform, world, dsn, tmp_path) as target:
        with capsys.disabled():
            outcome = await run(target, SEED, REQUESTS, shows_progress=True)
            print(
                f"\nseed {SEED}: {sum(outcome.statuses.values())} answers", dict(outcome.statuses)
            )
            print(dict(outcome.doors.most_common(20)))
            print(f"slowest: {outcome.slowest[0]:.3f} s, {outcome.slowest[1]}")
    assert not outcome.faults, "\n\n".join(outcome.faults)
