"""The load of `make load`, for some seconds."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.load.load import load


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_a_server_under_mixed_work_answers_all_and_loses_nothing(tmp_path: Path) -> None:
    # Whether memory stays flat is seen in half an hour, not in these seconds.
    tmp_path.chmod(0o755)
    outcome = await load(8, 3, tmp_path)
    assert outcome.ledger.faults == []
    assert outcome.figures["units"] > 0
    assert outcome.figures["scans"] > 0
    assert outcome.ledger.counted["packs"] > 0
