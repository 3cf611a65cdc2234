"""search_brand_objects_v1: products, batches, exports and tokens of a brand by prefix (SPEC §4; the seed).

Products come first, on the first page only. Batches, exports and tokens follow, inside a type by matched key,
then id, and a cursor is a place in that order. Not here: how each type is read (`search_streams`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from mintage.db.paging import CursorProblem, ListKey, decode_cursor, encode_cursor
from mintage.db.queries import query
from mintage.operations.arguments_telemetry import SEARCH_CHARACTERS_MIN, SearchBrandObjects
from mintage.operations.call import Answer, Call
from mintage.operations.identifiers import sku_key
from mintage.operations.listing import bad_cursor
from mintage.operations.search_streams import (
    OBJECT_TYPES,
    Found,
    ObjectType,
    Place,
    Result,
    look,
    terms_of,
)
from mintage.rules.prefixes import gtin_prefixes, text_range

LOOKS_MAX: Final = 40
"""How often a call looks at a type's streams at most: then a short page is answered."""
_KEY_CHARACTERS_MAX: Final = 36
_PRODUCTS: Final = query("search", "products")


@dataclass(frozen=True, slots=True)
class _Position:
    """A place in the order of batches, exports and tokens."""

    object_type: ObjectType
    place: Place


_BEGINNING: Final = _Position(OBJECT_TYPES[0], Place())


@dataclass(frozen=True, slots=True)
class _Walk:
    """What was found, in order, each with its type's name; `stopped_at` where there may be more behind."""

    found: list[Found]
    stopped_at: _Position | None


async def search_brand_objects_v1(call: Call, arguments: SearchBrandObjects) -> Answer:
    """What begins with the query: `{ok, results, has_more, next_cursor}`.

    A query of fewer than two characters finds nothing. `_limit` counts all types; of more products than
    that the first are shown. A page may be short, with `has_more: true`, where objects match by two keys.
    """
    text = arguments.query
    key = ListKey("search_brand_objects_v1", call.brand_id, {"query": text})
    after = _start(key, arguments.cursor) if arguments.cursor is not None else _BEGINNING
    if len(text) < SEARCH_CHARACTERS_MIN:
        return _page([], None)
    products = []
    if arguments.cursor is None:
        products = (await _products(call, text))[: arguments.limit]
    wanted = arguments.limit - len(products)
    walk = await _walk(call, text, after, wanted + 1)
    shown = walk.found[:wanted]
    stopped_at = walk.stopped_at
    if len(walk.found) > wanted:
        last = shown[-1] if shown else None
        stopped_at = after if last is None else _Position(_type_of(last), last.place)
    cursor = None
    if stopped_at is not None:
        place = stopped_at.place
        cursor = encode_cursor(key, [stopped_at.object_type, place.key, str(place.id)])
    return _page([*products, *(found.result for found in shown)], cursor)


async def _walk(call: Call, text: str, after: _Position, count: int) -> _Walk:
    """`count` objects after a position, or fewer: all that there are, or all that were looked at."""
    terms = terms_of(text)
    found: list[Found] = []
    place = after.place
    looks = 0
    for object_type in OBJECT_TYPES[OBJECT_TYPES.index(after.object_type) :]:
        while True:
            if looks == LOOKS_MAX:
                return _Walk(found, _Position(object_type, place))
            seen = await look(call, object_type, terms, place)
            looks += 1
            found += seen.found
            if len(found) >= count:
                return _Walk(found[:count], None)
            if seen.reached is None:
                break
            place = seen.reached
        place = Place()
    return _Walk(found, None)


async def _products(call: Call, text: str) -> list[Result]:
    sku = text_range(sku_key(text))
    gtins = [text_range(prefix) for prefix in gtin_prefixes(text)]
    rows = await call.connection.fetch(
        _PRODUCTS,
        call.brand_id,
        sku.lowest,
        sku.end,
        [gtin.lowest for gtin in gtins],
        [gtin.end for gtin in gtins],
        [len(gtin.lowest) - len(text) for gtin in gtins],
    )
    return [
        Result(
            "product",
            row["id"],
            row["sku"],
            row["name"],
            row["commercial_status"],
            row["created_at"],
        )
        for row in rows
    ]


def _start(key: ListKey, cursor: str) -> _Position:
    try:
        told_type, told_key, identifier = decode_cursor(key, cursor, 3)
        place = Place(told_key, UUID(identifier))
    except (CursorProblem, ValueError):
        raise bad_cursor() from None
    object_type = next((known for known in OBJECT_TYPES if known == told_type), None)
    is_key = told_key.isascii() and told_key.isprintable() and len(told_key) <= _KEY_CHARACTERS_MAX
    if object_type is None or not is_key:
        raise bad_cursor()
    return _Position(object_type, place)


def _type_of(found: Found) -> ObjectType:
    object_type = found.result.object_type
    if object_type == "product":
        raise ValueError("products have no place among the others")
    return object_type


def _page(results: list[Result], cursor: str | None) -> Answer:
    return {
        "ok": True,
        "results": [result.as_answer() for result in results],
        "has_more": cursor is not None,
        "next_cursor": cursor,
    }
