"""Sessions that expired long ago go; those that may be refreshed, or told of, stay."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest

from mintage.operations import accounts
from mintage.operations.accounts import remove_old_sessions
from mintage.storage import open_pack_store
from mintage.worker.duties import duties_of
from tests.support.minting import execute, rows, transactions
from tests.support.world import World


async def _session(world: World, expired_days_ago: float) -> None:
    await execute(
        world,
        "insert into user_session (id, user_id, refresh_hash, created_at, refreshed_at, expires_at) "
        "select $1, $2, '\\x00', at.at, at.at, at.at + interval '30 days' "
        "from (select now() - $3 * interval '1 day' - interval '30 days') as at (at)",
        uuid4(),
        world.user_ids["owner"],
        expired_days_ago,
    )


async def _days_since_they_expired(world: World) -> list[int]:
    days = "extract(day from now() - expires_at)::integer"
    return [
        row["days"]
        for row in await rows(world, f"select {days} as days from user_session order by expires_at")
    ]


async def test_sessions_that_expired_long_ago_are_removed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts, "_REMOVED_AT_ONCE", 2)
    for days in (400, 31, 40, 50, 29.5, 1.5, -30.5):
        await _session(world, days)
    assert await remove_old_sessions(transactions(world)) == 4
    assert await _days_since_they_expired(world) == [29, 1, -30]
    assert await remove_old_sessions(transactions(world)) == 0


def test_a_worker_removes_them_by_itself(tmp_path: Path) -> None:
    duties = {duty.name: duty for duty in duties_of(open_pack_store(None, tmp_path))}
    assert duties["remove old sessions"].function is remove_old_sessions
