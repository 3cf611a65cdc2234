"""`mintage export` where a group of the batch is open already."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.test_rpc import Line
from tests.support.world import World


@pytest.mark.long
async def test_an_export_with_other_options_than_the_open_groups_is_refused(
    world: World, dsn: str, tmp_path: Path
) -> None:
    batch_id = (await world.minted(3))["mint_batch_id"]
    words = ("export", "acme", str(batch_id), "--format", "qr_svg")
    options = {"error_correction": "Q"}
    opened = await world.rpc(
        "request_payload_packs", mint_batch_id=batch_id, format="qr_svg", options=options
    )
    line = Line(dsn, tmp_path)
    refused = await line.run(*words)
    assert refused.exit_code == 1
    assert refused.stdout == ""
    assert refused.stderr.startswith(f"Error: The export group {opened['export_group_id']} of ")
    assert "other options (error_correction)" in refused.stderr
    listed = await world.rpc("list_payload_packs", mint_batch_id=batch_id)
    assert [(pack["status"], pack["export_group_id"]) for pack in listed["packs"]] == [
        ("pending", opened["export_group_id"])
    ] * 2
    assert list(tmp_path.rglob("*.zip")) == []
    same = await line.run(*words, "--option", "error_correction=Q")
    assert same.exit_code == 0, same.output
    assert all(str(opened["export_group_id"]) in path for path in same.stdout.split())
    assert [path.suffix for path in tmp_path.rglob("*.zip")] == [".zip"]
