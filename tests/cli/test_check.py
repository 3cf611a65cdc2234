"""`mintage check`: what it prints, and its exit code, of data that is whole and of data that is not."""

from __future__ import annotations

import asyncio
from pathlib import Path

from click.testing import CliRunner, Result

from mintage.cli import cli
from tests.support.minting import execute
from tests.support.world import World


async def _checked(dsn: str, folder: Path) -> Result:
    runner = CliRunner(env={"MINTAGE_DATABASE_URL": dsn, "MINTAGE_DATA": str(folder)})
    return await asyncio.to_thread(runner.invoke, cli, ["check"])


async def test_what_is_whole_ends_with_0(world: World, dsn: str, tmp_path: Path) -> None:
    await world.minted(3)
    result = await _checked(dsn, tmp_path)
    assert (result.exit_code, "invariants hold in 2 brands." in result.output) == (0, True)


async def test_a_broken_invariant_ends_with_1_and_shows_the_row(
    world: World, dsn: str, tmp_path: Path
) -> None:
    batch_id = (await world.minted(3))["mint_batch_id"]
    await execute(world, "delete from mint_unit where unit_no = 1")
    result = await _checked(dsn, tmp_path)
    assert result.exit_code == 1
    assert "broken acme: " in result.output
    assert str(batch_id) in result.output.replace("\n", "")
    assert "invariants are broken" in result.output
    assert "invariants hold" not in result.output
