"""csv packs by columns: byte for byte what the plain writer makes of the same units' rows."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from mintage.packs.csv_pack import write_csv
from mintage.packs.print_profiles import PROFILES
from mintage.packs.rows import UnitRow
from mintage.rules.gs1 import SET_82
from tests.packs.building import context
from tests.packs.desk import Desk
from tests.support.world import GTIN_TABLE


async def assert_files_are_what_the_plain_writer_makes(
    desk: Desk, batch_id: object, profile: str | None = None
) -> None:
    requested = await desk.request(batch_id, profile=profile)
    await desk.process_all()
    packs = await desk.packs(export_group_id=requested["export_group_id"])
    listed = await desk.world.rpc("list_mint_units", mint_batch_id=batch_id, limit=200)
    units = sorted(listed["units"], key=lambda unit: unit["unit_no"])
    for pack in packs:
        rows = [
            UnitRow(
                unit_id=UUID(str(unit["id"])),
                unit_no=unit["unit_no"],
                resolver_url=unit["resolver_url"],
                serial_number=unit["serial_number"],
                gtin=unit["gtin"],
                status=unit["status"],
                created_at=unit["created_at"],
                lot_code=unit["lot_code"],
            )
            for unit in units[: pack["unit_count"]]
        ]
        del units[: pack["unit_count"]]
        expected = write_csv(context(profile=PROFILES[profile] if profile else None), rows)
        assert (desk.folder / pack["storage_path"]).read_bytes() == b"".join(expected)
    assert units == []


@pytest.mark.parametrize("profile", [None, "generic_vdp_crlf", "generic_vdp_lf", "bartender"])
async def test_generated_serials_in_each_form_that_quotes_every_field(
    desk: Desk, profile: str | None
) -> None:
    desk = desk.with_limits(pack_units=7)
    minted = await desk.world.minted(17)
    await assert_files_are_what_the_plain_writer_makes(desk, minted["mint_batch_id"], profile)


@pytest.mark.parametrize("profile", ["nicelabel", "zebradesigner"])
async def test_forms_that_quote_where_needed_are_written_from_rows(
    desk: Desk, profile: str
) -> None:
    minted = await desk.world.minted(3)
    await assert_files_are_what_the_plain_writer_makes(desk, minted["mint_batch_id"], profile)


@pytest.mark.parametrize("gtin", [GTIN_TABLE, None])
async def test_brought_serials_of_every_character_there_may_be(
    desk: Desk, gtin: str | None
) -> None:
    serials = [f"A{character}" for character in SET_82] + ["A", '"', "B" * 20]
    minted = await desk.world.minted(len(serials), gtin=gtin, serials=serials)
    await assert_files_are_what_the_plain_writer_makes(desk, minted["mint_batch_id"])


@pytest.mark.parametrize("gtin", [GTIN_TABLE, None])
async def test_brought_serials_of_one_length(desk: Desk, gtin: str | None) -> None:
    serials = [f"{no:05}" for no in range(9)]
    minted = await desk.world.minted(len(serials), gtin=gtin, serials=serials)
    await assert_files_are_what_the_plain_writer_makes(desk, minted["mint_batch_id"])


async def test_serials_whose_lengths_add_up_to_a_rectangle(desk: Desk) -> None:
    serials = ["A1", "B234", "C34", "D23"]
    minted = await desk.world.minted(len(serials), serials=serials)
    await assert_files_are_what_the_plain_writer_makes(desk, minted["mint_batch_id"])


@pytest.mark.parametrize("gtin", [GTIN_TABLE, None])
async def test_lots_that_end_inside_packs(desk: Desk, gtin: str | None) -> None:
    desk = desk.with_limits(pack_units=4)
    lots: list[dict[str, Any]] = [
        {"lot_code": code, "qty": quantity}
        for code, quantity in (("L/1", 3), ('B"', 1), ("C", 5), ("D%", 2))
    ]
    minted = await desk.world.minted(11, gtin=gtin, identity_mode="batch", lots=lots)
    await assert_files_are_what_the_plain_writer_makes(desk, minted["mint_batch_id"])


@pytest.mark.parametrize("activation_mode", ["first_scan", "active_at_mint"])
async def test_units_that_were_scanned_or_revoked(desk: Desk, activation_mode: str) -> None:
    minted = await desk.world.minted(6, activation_mode=activation_mode)
    batch_id = minted["mint_batch_id"]
    units = (await desk.world.rpc("list_mint_units", mint_batch_id=batch_id))["units"]
    by_number = {unit["unit_no"]: unit["id"] for unit in units}
    for number in (1, 2):
        await desk.world.rpc("record_scan_event", "service", unit_id=by_number[number])
    await desk.world.rpc("revoke_mint_units", unit_ids=[by_number[2], by_number[4]], reason="lost")
    await assert_files_are_what_the_plain_writer_makes(desk, batch_id)


async def test_units_of_several_cycles(desk: Desk) -> None:
    product_id = await desk.world.product()
    submitted = await desk.world.submit(product_id, 10)
    await desk.world.run(submitted["mint_job_id"], batch_size=3)
    await assert_files_are_what_the_plain_writer_makes(desk, submitted["mint_batch_id"])
