"""The brand's settings of the request are those of every pack of its group, whatever becomes of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.packs.desk import Desk
from tests.packs.reading import columns_of

FIRST = {
    "gcp_length": 7,
    "biz_location": "https://id.example.com/414/9506000111117",
    "read_point": "https://id.example.com/414/9506000111117/254/1",
}
OTHERS = [
    {
        "gcp_length": 9,
        "biz_location": None,
        "read_point": "https://id.example.com/414/9506000111124",
    },
    {"gcp_length": None, "biz_location": None, "read_point": None},
]


async def changed_amid_a_group(desk: Desk, format_name: str, after: dict[str, Any]) -> list[bytes]:
    """The files of a group of two packs, between which the brand's settings were changed."""
    desk = desk.with_limits(pack_units=2)
    await desk.world.rpc("update_brand_settings", patch=FIRST)
    await desk.request((await desk.world.minted(4))["mint_batch_id"], format=format_name)
    assert (await desk.process()).result == "completed"
    await desk.world.rpc("update_brand_settings", patch=after)
    assert [each.result for each in await desk.process_all()] == ["completed"]
    return [desk.folder.joinpath(pack["storage_path"]).read_bytes() for pack in await desk.packs()]


@pytest.mark.parametrize("after", OTHERS)
async def test_tags_of_a_group_have_one_company_prefix(desk: Desk, after: dict[str, Any]) -> None:
    files = await changed_amid_a_group(desk, "rfid", after)
    uris = [uri for file in files for uri in columns_of(file)["pure_identity_uri"]]
    assert len(uris) == 4
    assert {uri.rpartition(":")[2].partition(".")[0] for uri in uris} == {"9506000"}


@pytest.mark.parametrize("after", OTHERS)
async def test_events_of_a_group_happened_at_one_place(desk: Desk, after: dict[str, Any]) -> None:
    files = await changed_amid_a_group(desk, "epcis", after)
    places = set()
    for file in files:
        for event in json.loads(file)["epcisBody"]["eventList"]:
            places.add((event["bizLocation"]["id"], event["readPoint"]["id"]))
    assert places == {(FIRST["biz_location"], FIRST["read_point"])}


async def test_a_group_of_before_reads_the_settings_of_now(desk: Desk) -> None:
    await desk.world.rpc("update_brand_settings", patch=FIRST)
    await desk.request((await desk.world.minted(2))["mint_batch_id"], format="rfid")
    await desk.execute("update export_group set brand_settings = null")
    await desk.world.rpc("update_brand_settings", patch={"gcp_length": 9})
    await desk.process_all()
    (pack,) = await desk.packs()
    uris = columns_of(desk.folder.joinpath(pack["storage_path"]).read_bytes())["pure_identity_uri"]
    assert {uri.rpartition(":")[2].partition(".")[0] for uri in uris} == {"950600013"}
