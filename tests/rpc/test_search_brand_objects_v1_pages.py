"""search_brand_objects_v1: its pages against a look at every row, where objects match by two keys."""

from __future__ import annotations

from random import Random
from uuid import UUID

import pytest

from mintage.db.queries import statements
from mintage.operations import search
from mintage.operations.search_streams import ROWS_A_LOOK
from tests.support.minting import execute, rows
from tests.support.search import RPC, lot_batch, search_pages, serial_batch
from tests.support.world import World

_BATCH = """
with job as (
  insert into mint_job (
    brand_id, id, operation, arguments, arguments_sha256, status, product_id, identity_mode, activation_mode,
    created_by_type, created_at, updated_at
  )
  values ($1, $2, 'submit_mint_request', '{}', '', 'QUEUED', $3, 'batch', 'first_scan', 'user', now(), now())
), batch as (
  insert into mint_batch (
    brand_id, id, mint_job_id, product_id, identity_mode, activation_mode, status, requested_quantity,
    unit_id_low, created_by_type, created_at, updated_at
  )
  values ($1, $2, $2, $3, 'batch', 'first_scan', 'queued', 100, $2, 'user', now(), now())
)
insert into mint_lot (brand_id, id, mint_batch_id, lot_no, lot_code, quantity, first_unit_no)
select $1, gen_random_uuid(), $2, no, code, 1, no
from unnest($4::text[]) with ordinality as lot (code, no)
"""
_GROUP = """
insert into export_group (
  brand_id, id, mint_batch_id, format, status, pack_count, created_by_type, created_at
)
values ($1, $2, $3, $2::uuid::text, 'pending', 40, 'user', now())
"""
_PACK = """
insert into payload_pack (
  brand_id, id, export_group_id, mint_batch_id, product_id, format, pack_index, pack_count, first_unit_no,
  unit_count, status, created_at
)
select $1, $5, $2, $3, product_id, 'csv', $4, 40, 0, 1, 'pending', now()
from mint_batch
where id = $3
"""
_UNIT = """
insert into mint_unit (brand_id, id, mint_batch_id, unit_no, serial_number, created_at)
values ($1, $2, $3, $4, $5, now())
"""


async def _fill(world: World, seed: int) -> None:
    """Objects whose ids, codes and serials begin alike, so that many match by two keys."""
    dice = Random(seed)  # noqa: S311
    product_id = await world.product()

    def drawn_id(*beginnings: str) -> UUID:
        return UUID(hex=dice.choice(beginnings) + dice.randbytes(15).hex())

    batch_ids = [drawn_id("a0", "a1") for _ in range(30)]
    for batch_id in batch_ids:
        codes = {
            dice.choice(["a0", "a1", "A0", "aA", "b-"]) + str(dice.randrange(30)) for _ in range(9)
        }
        await execute(world, _BATCH, world.brand_id, batch_id, product_id, sorted(codes))
    for batch_id in batch_ids[:5]:
        group_id = drawn_id("a0", "a1")
        await execute(world, _GROUP, world.brand_id, group_id, batch_id)
        for index in range(1, 41):
            pack_id = drawn_id("a0", "a1", "c0")
            await execute(world, _PACK, world.brand_id, group_id, batch_id, index, pack_id)
    for number in range(300):
        serial = (
            f"{dice.choice(['a0', 'A0', 'a1', 'a', 'zz'])}{dice.choice(['', '-', '0'])}{number:03}"
        )
        unit_id = drawn_id("a0", "a1", "b0")
        await execute(world, _UNIT, world.brand_id, unit_id, batch_ids[0], number, serial)


async def _expected(world: World, text: str) -> list[tuple[str, str]]:
    """Types and ids in order, by looking at every row."""

    def lowest(
        *keys: str | None, spellings: tuple[str, ...] = (), identifiers: list[UUID]
    ) -> str | None:
        plain = text.lower().replace("-", "") if "-" not in text else None
        matched = [key for key in keys if key is not None and key.startswith(spellings)]
        matched += [
            str(each)
            for each in identifiers
            if str(each).startswith(text.lower())
            or (plain is not None and each.hex.startswith(plain))
        ]
        return min(matched, default=None)

    found: list[tuple[int, str, UUID, str]] = []
    for batch in await rows(
        world,
        "select id, (select array_agg(lot_code) from mint_lot where mint_batch_id = b.id) as codes "
        "from mint_batch b",
    ):
        codes = batch["codes"] or []
        key = lowest(*codes, spellings=(text,), identifiers=[batch["id"]])
        found += [(0, key, batch["id"], "batch")] if key else []
    for pack in await rows(world, "select id, export_group_id from payload_pack"):
        key = lowest(identifiers=[pack["id"], pack["export_group_id"]])
        found += [(1, key, pack["id"], "export")] if key else []
    for unit in await rows(world, "select id, serial_number from mint_unit"):
        spellings = (text, text.upper())
        key = lowest(unit["serial_number"], spellings=spellings, identifiers=[unit["id"]])
        found += [(2, key, unit["id"], "token")] if key else []
    return [(kind, str(identifier)) for _, _, identifier, kind in sorted(found)]


@pytest.mark.parametrize("seed", [1, 2])
async def test_all_pages_are_what_looking_at_every_row_finds(world: World, seed: int) -> None:
    await _fill(world, seed)
    texts = ["a0", "a1", "A0", "b0", "a0-", "a01", "zz", "A-", "aA", "c0", "B1", "b-", "a0a", "zzz"]
    for text in texts:
        expected = await _expected(world, text)
        for limit in (1, 7, 20):
            if limit == 1 and len(expected) > 150:
                continue
            pages = await search_pages(world, text, limit)
            found = [(row["object_type"], str(row["id"])) for page in pages for row in page]
            assert found == expected, (text, limit)
    assert len(await _expected(world, "a0")) > 200


async def test_a_page_may_be_short_where_all_objects_match_by_two_keys(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Every lot but the first of each batch is a row that comes to nothing.
    product_id = await world.product()
    batch_ids = set()
    for _ in range(4):
        codes = [f"LOT-{number:02}" for number in range(60)]
        batch_ids.add(await lot_batch(world, *codes, product_id=product_id))
    monkeypatch.setattr(search, "LOOKS_MAX", 2)
    pages = await search_pages(world, "LOT", 20)
    assert len(pages[0]) == 4
    assert {row["id"] for row in pages[0]} == batch_ids
    assert {row["title"] for row in pages[0]} == {"LOT-00"}
    assert len(pages) > 3
    assert not any(pages[1:])


def test_a_stream_is_read_as_many_rows_as_the_statement_says() -> None:
    for name in ("batches", "exports", "tokens"):
        text = statements("search")[name].text
        assert text.count(f"limit {ROWS_A_LOOK}\n") == text.count("union all") + 1


async def test_rows_that_come_in_between_repeat_and_hide_nothing(world: World) -> None:
    await serial_batch(world, *(f"AB{number:03}" for number in range(0, 60, 2)), gtin=None)
    before = {row["id"] for page in await search_pages(world, "AB") for row in page}
    first = await world.rpc(RPC, query="AB", limit=10)
    await serial_batch(world, *(f"AB{number:03}" for number in range(1, 60, 2)), gtin=None)
    found = [row["id"] for row in first["results"]]
    cursor = first["next_cursor"]
    while cursor is not None:
        answer = await world.rpc(RPC, query="AB", limit=10, cursor=cursor)
        found += [row["id"] for row in answer["results"]]
        cursor = answer["next_cursor"]
    assert len(found) == len(set(found))
    assert before <= set(found)
