"""Print profiles: what each makes of the same units, and which one is taken."""

from __future__ import annotations

import csv
import io
from typing import Any
from uuid import UUID

import pytest

from mintage.packs.csv_pack import COLUMNS, write_csv
from mintage.packs.manifest_packs import write_qr_manifest
from mintage.packs.print_profiles import PROFILES, PackPlace
from tests.packs.building import context, row
from tests.packs.desk import Desk
from tests.support.refusals import bad_arguments, blocked_by
from tests.support.world import World

ROWS = [row(0), row(1, serial_number='a"b;c,d\t')]
URL = "https://id.example.com/01/09506000134352/21/A0"
UNIT_ID = "01900000-0000-7000-8000-000000000000"


def test_the_profiles_there_are() -> None:
    assert list(PROFILES) == [
        "bartender",
        "generic_vdp_crlf",
        "generic_vdp_lf",
        "nicelabel",
        "zebradesigner",
    ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (None, f'"unit_id","resolver_url"\r\n"{UNIT_ID}","{URL}"\r\n'),
        ("generic_vdp_crlf", f'"unit_id","resolver_url"\r\n"{UNIT_ID}","{URL}"\r\n'),
        ("generic_vdp_lf", f'"unit_id","resolver_url"\n"{UNIT_ID}","{URL}"\n'),
        ("bartender", f'\ufeff"DATA","BarcodeData"\r\n"{UNIT_ID}","{URL}"\r\n'),
        ("nicelabel", f"\ufeffUnitID;URL\r\n{UNIT_ID};{URL}\r\n"),
        ("zebradesigner", f"UNIT_ID\tURL\r\n{UNIT_ID}\t{URL}\r\n"),
    ],
)
def test_a_qr_manifest_in_each_profile_to_the_letter(name: str | None, expected: str) -> None:
    profile = PROFILES[name] if name is not None else None
    written = b"".join(write_qr_manifest(context(profile=profile), [row(0)]))
    assert written.decode() == expected


@pytest.mark.parametrize("name", PROFILES)
def test_what_a_profile_writes_is_read_back_unaltered(name: str) -> None:
    profile = PROFILES[name]
    written = b"".join(write_csv(context(profile=profile), ROWS))
    text = written.decode(profile.encoding)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=profile.delimiter, strict=True)
    header, *lines = reader
    assert header == [profile.header_of(column) for column in COLUMNS]
    assert [line[2] for line in lines] == ["A0", 'a"b;c,d\t']
    assert [line[1] for line in lines] == [each.resolver_url for each in ROWS]


@pytest.mark.parametrize("name", PROFILES)
def test_the_name_of_a_file_has_safe_characters_only(name: str) -> None:
    place = PackPlace(
        export_group_id=UUID(int=1),
        mint_batch_id=UUID(int=2),
        product_sku='../Ö "1"\r\n',
        pack_index=7,
        pack_count=10,
        extension="csv",
    )
    file_name = PROFILES[name].file_name_of(place)
    assert file_name.endswith("-0007.csv")
    assert not set(file_name) & set('/\\"\r\n ;Ö')


async def _set_default(world: World, name: str | None) -> None:
    await world.rpc("update_brand_settings", patch={"print_profile": name})


async def _profile_of(desk: Desk, batch_id: object, **asked: Any) -> str | None:
    group = await desk.request(batch_id, **asked)
    packs = await desk.packs(export_group_id=group["export_group_id"])
    assert len({pack["profile"] for pack in packs}) == 1
    profile: str | None = packs[0]["profile"]
    return profile


async def test_the_profile_asked_for_wins_over_the_brands_and_that_over_none(desk: Desk) -> None:
    batch_id = (await desk.world.minted(2))["mint_batch_id"]
    assert await _profile_of(desk, batch_id) is None
    await _set_default(desk.world, "nicelabel")
    assert await _profile_of(desk, batch_id) == "nicelabel"
    assert await _profile_of(desk, batch_id, profile="bartender") == "bartender"
    assert await _profile_of(desk, batch_id, format="qr_manifest") == "nicelabel"
    assert await _profile_of(desk, batch_id, format="qr_svg") is None
    await desk.process_all()
    for pack in await desk.packs(mint_batch_id=batch_id):
        if pack["format"] == "csv":
            content = (desk.folder / pack["storage_path"]).read_bytes()
            form = PROFILES[pack["profile"] or "generic_vdp_crlf"]
            header = "unit_id" if pack["profile"] is None else form.header_of("unit_id")
            assert header.encode() in content.partition(b"\n")[0]


async def test_a_default_changed_after_the_request_changes_no_pack(desk: Desk) -> None:
    batch_id = (await desk.world.minted(2))["mint_batch_id"]
    await _set_default(desk.world, "bartender")
    await desk.request(batch_id)
    await _set_default(desk.world, None)
    await desk.process_all()
    (pack,) = await desk.packs(mint_batch_id=batch_id)
    assert b'"DATA","BarcodeData"' in (desk.folder / pack["storage_path"]).read_bytes()


async def test_a_default_that_there_is_not_is_refused_where_it_is_set(world: World) -> None:
    asked = world.rpc("update_brand_settings", patch={"print_profile": "Generic VDP"})
    problems = await bad_arguments(asked)
    assert list(problems) == ["_patch.print_profile"]
    assert all(name in problems["_patch.print_profile"] for name in PROFILES)


async def test_a_default_of_another_release_is_refused_unless_a_profile_is_asked_for(
    desk: Desk,
) -> None:
    await desk.execute("update brand set print_profile = 'retired'")
    batch_id = (await desk.world.minted(2))["mint_batch_id"]
    assert await blocked_by(desk.request(batch_id)) == ["PRINT_PROFILE_UNKNOWN"]
    assert (await desk.request(batch_id, profile="nicelabel"))["ok"] is True
    assert (await desk.request(batch_id, format="qr_svg"))["ok"] is True


async def test_a_profile_does_not_go_with_a_format_that_has_none(desk: Desk) -> None:
    batch_id = (await desk.world.minted(2))["mint_batch_id"]
    asked = desk.request(batch_id, format="qr_svg", profile="nicelabel")
    assert "no print profiles" in (await bad_arguments(asked))["_profile"]
