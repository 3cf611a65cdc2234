"""search_brand_objects_v1: what begins with a query, of four types, page by page."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import pytest

from mintage.errors import FORBIDDEN, NOT_AUTHENTICATED
from tests.support.lists import forgeries
from tests.support.minting import rows, value
from tests.support.refusals import bad_arguments, refused_with
from tests.support.search import RPC, lot_batch, search_pages, serial_batch
from tests.support.world import GTIN_TABLE, World

KEYS = ["object_type", "id", "title", "subtitle", "status", "created_at"]
GTIN_8 = "95060002"
GTIN_12 = "614141000036"
GTIN_14 = "19506000134359"


async def _first(
    world: World, text: str, caller: str = "owner", **more: Any
) -> list[tuple[str, str]]:
    """Type and title of what the first page shows."""
    answer = await world.rpc(RPC, caller, query=text, **more)
    return [(row["object_type"], row["title"]) for row in answer["results"]]


async def test_an_object_of_each_type_is_told_with_its_keys(world: World) -> None:
    product_id = await world.product(sku="LOT-TABLE", name="Oak table")
    submitted = await world.submit(
        product_id, 2, identity_mode="batch", lots=[{"lot_code": "LOT-7", "qty": 2}]
    )
    await world.run(submitted["mint_job_id"])
    packs = await world.rpc("request_payload_packs", mint_batch_id=submitted["mint_batch_id"])
    answer = await world.rpc(RPC, query="LOT-")
    assert [list(row) for row in answer["results"]] == [KEYS] * 2
    product, batch = answer["results"]
    assert (product["object_type"], product["id"]) == ("product", product_id)
    assert (product["title"], product["subtitle"], product["status"]) == (
        "LOT-TABLE",
        "Oak table",
        "ACTIVE",
    )
    assert batch == {
        "object_type": "batch",
        "id": submitted["mint_batch_id"],
        "title": "LOT-7",
        "subtitle": "LOT-TABLE",
        "status": "minted",
        "created_at": await value(world, "select created_at from mint_batch"),
    }
    (export,) = (await world.rpc(RPC, query=str(packs["export_group_id"])))["results"]
    assert (export["object_type"], export["title"], export["subtitle"], export["status"]) == (
        "export",
        "csv 1/1",
        "LOT-TABLE",
        "pending",
    )
    assert (await world.rpc(RPC, query=str(export["id"])))["results"] == [export]
    (unit,) = await rows(world, "select * from mint_unit where unit_no = 1")
    (token,) = (await world.rpc(RPC, query=str(unit["id"])))["results"]
    assert token == {
        "object_type": "token",
        "id": unit["id"],
        "title": str(unit["id"]),
        "subtitle": "LOT-TABLE",
        "status": "minted",
        "created_at": unit["created_at"],
    }


async def test_a_token_has_the_status_that_the_list_of_units_tells(world: World) -> None:
    submitted = await serial_batch(world, "TOK-1", "TOK-2", "TOK-3")
    units = {
        unit["serial_number"]: unit["id"] for unit in (await world.rpc("list_mint_units"))["units"]
    }
    await world.rpc("record_scan_event", "service", unit_id=units["TOK-2"])
    await world.rpc("revoke_mint_units", unit_ids=[units["TOK-3"]], reason="stolen")
    for voided in (False, True):
        if voided:
            batch_id = submitted["mint_batch_id"]
            await world.rpc("set_mint_batch_status", mint_batch_id=batch_id, status="voided")
        found = (await world.rpc(RPC, query="TOK-"))["results"]
        listed = (await world.rpc("list_mint_units"))["units"]
        assert {row["title"]: row["status"] for row in found} == {
            unit["serial_number"]: unit["status"] for unit in listed
        }
        expected = ["revoked"] * 3 if voided else ["minted", "active", "revoked"]
        assert [row["status"] for row in found] == expected


async def test_serials_are_found_as_typed_and_in_upper_case(world: World) -> None:
    await serial_batch(world, "AB-1", "ab-2", "Ab-3")
    assert await _first(world, "ab-") == [("token", "AB-1"), ("token", "ab-2")]
    assert await _first(world, "AB-") == [("token", "AB-1")]
    assert await _first(world, "Ab-") == [("token", "AB-1"), ("token", "Ab-3")]
    generated = await world.minted(1, gtin=None)
    (unit,) = (await world.rpc("list_mint_units", mint_batch_id=generated["mint_batch_id"]))[
        "units"
    ]
    assert await _first(world, unit["serial_number"].lower()) == [("token", unit["serial_number"])]


async def test_lot_codes_are_found_as_typed_alone(world: World) -> None:
    product_id = await world.product()
    await lot_batch(world, "Lot-1", product_id=product_id)
    assert await _first(world, "Lot-1") == [("batch", "Lot-1")]
    assert await _first(world, "LOT-1") == []


async def test_a_sku_is_found_in_any_case_and_normal_form(world: World) -> None:
    await world.product(sku="Café-Rouge")
    for text in ("CAFÉ", "café-r", "cafe\u0301-", "Café-Rouge"):
        assert await _first(world, text) == [("product", "Café-Rouge")]
    assert await _first(world, "cafe") == []


async def test_a_name_is_never_searched(world: World) -> None:
    await world.product(sku="S-1", name="Oak table")
    assert await _first(world, "Oak") == []


@pytest.mark.parametrize(
    ("gtin", "found", "missed"),
    [
        (GTIN_TABLE, ["9506", "09506", GTIN_TABLE, f"0{GTIN_TABLE}"], ["506", "00950", "19506"]),
        (GTIN_8, ["9506", GTIN_8, "0000009506", f"000000{GTIN_8}"], ["5060"]),
        (GTIN_12, ["6141", "0614", "00614", f"0{GTIN_12}", f"00{GTIN_12}"], ["000614", "1414"]),
        (GTIN_14, ["1950", GTIN_14], ["9506", "01950"]),
    ],
)
async def test_a_gtin_is_found_by_the_beginning_of_each_of_its_forms(
    world: World, gtin: str, found: list[str], missed: list[str]
) -> None:
    await world.product(sku="S-1", gtin=gtin)
    for text in found:
        assert await _first(world, text) == [("product", "S-1")], text
    for text in missed:
        assert await _first(world, text) == [], text


async def test_a_product_is_there_once_however_many_of_its_keys_match(world: World) -> None:
    product_id = await world.product(sku="9506-A", gtin=GTIN_TABLE)
    await world.rpc(
        "set_product_identifier",
        product_id=product_id,
        identifier_type="ean",
        raw_value="9506000134369",
    )
    assert await _first(world, "9506") == [("product", "9506-A")]


async def test_a_retired_gtin_and_an_old_sku_find_nothing(world: World) -> None:
    product_id = await world.product(sku="OLD-1", gtin=GTIN_TABLE)
    for kind, new in (("gtin", "9506000134369"), ("sku", "NEW-1")):
        await world.rpc(
            "set_product_identifier", product_id=product_id, identifier_type=kind, raw_value=new
        )
    assert await _first(world, GTIN_TABLE) == []
    assert await _first(world, "OLD") == []
    assert await _first(world, "9506000134369") == [("product", "NEW-1")]


async def test_percent_underscore_and_backslash_are_plain_characters(world: World) -> None:
    await world.product(sku="A%B")
    await world.product(sku="A_B")
    await world.product(sku="A\\B")
    await world.product(sku="AXB")
    assert await _first(world, "A%") == [("product", "A%B")]
    assert await _first(world, "A_") == [("product", "A_B")]
    assert await _first(world, "A\\") == [("product", "A\\B")]
    for text in ("%%", "__", "%B", "_B", "'; --", "A%' or true"):
        assert await _first(world, text) == []


async def test_the_query_is_trimmed_and_needs_two_characters(world: World) -> None:
    await world.product(sku="AB")
    assert await _first(world, " \t\n AB\u00a0") == [("product", "AB")]
    for text in ("", " ", "A", " A ", "\u3000A"):
        answer = await world.rpc(RPC, query=text)
        assert answer == {"ok": True, "results": [], "has_more": False, "next_cursor": None}


async def test_a_query_of_more_than_a_hundred_characters_is_refused(world: World) -> None:
    for text in ("A" * 100, f"  {'é' * 100}  ", "\U0010ffff" * 100):
        assert await _first(world, text) == []
    for text in ("A" * 101, "A" * 100_000):
        assert list(await bad_arguments(world.rpc(RPC, query=text))) == ["_query"]


@pytest.mark.parametrize("limit", [0, 21, -1, "20", True, 2.0])
async def test_the_limit_is_one_to_twenty(world: World, limit: object) -> None:
    assert list(await bad_arguments(world.rpc(RPC, query="AB", limit=limit))) == ["_limit"]


async def test_ids_are_found_with_hyphens_and_without_in_either_case(world: World) -> None:
    submitted = await world.minted(1, gtin=None)
    packs = await world.rpc("request_payload_packs", mint_batch_id=submitted["mint_batch_id"])
    (unit,) = (await world.rpc("list_mint_units"))["units"]
    for identifier, kind in (
        (submitted["mint_batch_id"], "batch"),
        (packs["export_group_id"], "export"),
        (unit["id"], "token"),
    ):
        text = str(identifier)
        for length in (19, 24, 36):
            for typed in (text[:length], text[:length].upper(), text[:length].replace("-", "")):
                assert [found[0] for found in await _first(world, typed)] == [kind], typed
        assert await _first(world, f"{text[:12]}-{text[14:]}") == []
        assert await _first(world, text[1:]) == []
    everything = {kind for kind, _ in await _first(world, str(unit["id"])[:4])}
    assert everything == {"batch", "export", "token"}


async def test_products_are_on_the_first_page_and_count(world: World) -> None:
    for number in range(3):
        await world.product(sku=f"AB-{number}")
    await serial_batch(world, *(f"AB-{number}" for number in range(5)), gtin=None)
    products = [("product", f"AB-{number}") for number in range(3)]
    tokens = [("token", f"AB-{number}") for number in range(5)]
    pages = [
        [(row["object_type"], row["title"]) for row in page]
        for page in await search_pages(world, "AB", 4)
    ]
    assert pages == [[*products, tokens[0]], tokens[1:]]
    pages = [
        [(row["object_type"], row["title"]) for row in page]
        for page in await search_pages(world, "AB", 3)
    ]
    assert pages == [products, tokens[:3], tokens[3:]]
    pages = [
        [(row["object_type"], row["title"]) for row in page]
        for page in await search_pages(world, "AB", 2)
    ]
    assert pages == [products[:2], tokens[:2], tokens[2:4], tokens[4:]]


async def test_more_products_than_a_page_are_cut_and_have_no_cursor(world: World) -> None:
    for number in range(4):
        await world.product(sku=f"AB-{number}")
    answer = await world.rpc(RPC, query="ab", limit=2)
    assert [row["title"] for row in answer["results"]] == ["AB-0", "AB-1"]
    assert answer["has_more"] is False
    assert answer["next_cursor"] is None


async def test_types_follow_each_other_in_their_order(world: World) -> None:
    await world.product(sku="01-A")
    submitted = await serial_batch(world, "01-A", gtin=None)
    await world.rpc("request_payload_packs", mint_batch_id=submitted["mint_batch_id"])
    for limit in (1, 2, 3, 20):
        found = [
            row["object_type"] for page in await search_pages(world, "01", limit) for row in page
        ]
        # The pack, and the manifest of its group.
        assert found == ["product", "batch", "export", "export", "token"]


async def test_a_manifest_is_found_by_its_own_id_whatever_its_groups_is(world: World) -> None:
    # Which of the two ids is lower is chance: of six groups, hardly all alike.
    submitted = await serial_batch(world, "A-1", gtin=None)
    batch_id = submitted["mint_batch_id"]
    formats = ("csv", "full_manifest", "qr_manifest", "nfc", "qr_svg", "qr_png")
    groups = [
        await world.rpc("request_payload_packs", mint_batch_id=batch_id, format=name)
        for name in formats
    ]
    found = [
        row["title"]
        for page in await search_pages(world, "01", 20)
        for row in page
        if row["object_type"] == "export"
    ]
    assert sorted(found) == sorted([f"{name} 1/1" for name in formats] + ["group_manifest"] * 6)
    for group, name in zip(groups, formats, strict=True):
        by_group = await world.rpc(RPC, query=str(group["export_group_id"]))
        assert [row["title"] for row in by_group["results"]] == [f"{name} 1/1"]


async def test_a_cursor_holds_for_its_query_and_brand_only(world: World) -> None:
    await serial_batch(world, *(f"AB-{number}" for number in range(5)), gtin=None)
    cursor = (await world.rpc(RPC, query="AB", limit=2))["next_cursor"]
    again = await world.rpc(RPC, query=" AB ", limit=3, cursor=cursor)
    assert [row["title"] for row in again["results"]] == ["AB-2", "AB-3", "AB-4"]
    batches = (await world.rpc("list_mint_batches", limit=1))["next_cursor"]
    calls = [
        world.rpc(RPC, query="AB-", cursor=cursor),
        world.rpc(RPC, query="A", cursor=cursor),
        world.rpc(RPC, "stranger", query="AB", cursor=cursor),
        world.rpc("list_mint_batches", cursor=cursor),
        *([world.rpc(RPC, query="AB", cursor=batches)] if batches else []),
        *(world.rpc(RPC, query="AB", cursor=forged) for forged in forgeries(cursor)),
    ]
    for call in calls:
        assert list(await bad_arguments(call)) == ["_cursor"]


async def test_a_cursor_with_any_text_as_its_key_is_refused_or_harmless(world: World) -> None:
    from mintage.db.paging import ListKey, encode_cursor

    await serial_batch(world, "AB-1", "AB-2", gtin=None)
    key = ListKey(RPC, world.brand_id, {"query": "AB"})
    zero = str(UUID(int=0))
    for bad in ("\0", "\ud800", "é", "A" * 37, "\n"):
        forged = encode_cursor(key, ["token", bad, zero])
        assert list(await bad_arguments(world.rpc(RPC, query="AB", cursor=forged))) == ["_cursor"]
    for place in ("", "AA", "AB-1", "AB-10", "zz", "~", "ffffffff-ffff-ffff-ffff-ffffffffffff"):
        for kind in ("batch", "export", "token"):
            forged = encode_cursor(key, [kind, place, zero])
            answer = await world.rpc(RPC, query="AB", cursor=forged)
            expected = [
                title
                for title in ("AB-1", "AB-2")
                if kind != "token" or (title, zero) >= (place, zero)
            ]
            assert [row["title"] for row in answer["results"]] == expected


async def test_another_brands_objects_are_never_found(world: World) -> None:
    submitted = await serial_batch(world, "AB-1", gtin=GTIN_TABLE)
    packs = await world.rpc("request_payload_packs", mint_batch_id=submitted["mint_batch_id"])
    (unit,) = (await world.rpc("list_mint_units"))["units"]
    texts = ["AB", "SKU", GTIN_TABLE, str(unit["id"]), str(submitted["mint_batch_id"])]
    for text in [*texts, str(packs["export_group_id"]), "01"]:
        assert await _first(world, text), text
        assert await _first(world, text, "stranger") == [], text


@pytest.mark.parametrize("caller", ["viewer", "editor", "admin", "owner", "service"])
async def test_every_member_and_the_service_may_search(world: World, caller: str) -> None:
    await world.product(sku="AB")
    assert await _first(world, "AB", caller) == [("product", "AB")]


async def test_nobody_else_may_search(world: World) -> None:
    await refused_with(NOT_AUTHENTICATED, world.rpc(RPC, "anonymous", query="AB"))
    call = world.rpc(RPC, "stranger", query="AB", brand_id=world.brand_id)
    await refused_with(FORBIDDEN, call)


async def test_many_may_search_at_once(world: World) -> None:
    await world.product(sku="AB")
    answers = await asyncio.gather(*(_first(world, "AB") for _ in range(20)))
    assert answers == [[("product", "AB")]] * 20
