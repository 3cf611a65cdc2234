"""Batches, exports and tokens by prefix: each type's index ranges, read from a place on and merged.

An object may match by two keys; it counts under the lower one. So a stream of one key holds rows that are
shown elsewhere, and a look at some rows of each stream may come to few results, or none. Not here: products,
and how a page is put together (`search`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, get_args
from uuid import UUID

import asyncpg

from mintage.db.queries import query
from mintage.operations.call import Call
from mintage.packs import signed_manifest
from mintage.rules.gs1 import VALUE_LENGTH_MAX, is_set_82
from mintage.rules.lifecycle import unit_status
from mintage.rules.prefixes import IdRange, TextRange, first_id_from, id_range, text_range

ObjectType = Literal["batch", "export", "token"]
OBJECT_TYPES: Final[tuple[ObjectType, ...]] = get_args(ObjectType)
ROWS_A_LOOK: Final = 24
"""How many rows each stream of sql/queries/search.sql is read at a time."""
LOWEST_ID: Final = UUID(int=0)
_BATCHES: Final = query("search", "batches")
_EXPORTS: Final = query("search", "exports")
_TOKENS: Final = query("search", "tokens")


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A place in the order of one type: after the object of this matched key and id."""

    key: str = ""
    id: UUID = LOWEST_ID


@dataclass(frozen=True, slots=True)
class Terms:
    """A query as the ranges that it can be a prefix of; None and empty where it is of none."""

    ids: IdRange | None
    lot_codes: TextRange | None
    serials: tuple[TextRange, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """One object that was found."""

    object_type: ObjectType | Literal["product"]
    id: UUID
    title: str
    subtitle: str | None
    status: str
    created_at: datetime

    def as_answer(self) -> dict[str, object]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Found:
    """A result at its place."""

    place: Place
    result: Result


@dataclass(frozen=True, slots=True)
class Look:
    """What a look found, in order; `reached` is how far it saw, None for the end of the type."""

    found: tuple[Found, ...]
    reached: Place | None


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of a stream: `stream` it came from, `keys` its object matches by."""

    stream: object
    key: str
    keys: tuple[str, ...]
    result: Result


def terms_of(text: str) -> Terms:
    """The ranges of a trimmed query of two characters or more."""
    is_value = len(text) <= VALUE_LENGTH_MAX and is_set_82(text)
    spellings = dict.fromkeys((text, text.upper())) if is_value else {}
    return Terms(
        ids=id_range(text),
        lot_codes=text_range(text) if is_value else None,
        serials=tuple(text_range(spelling) for spelling in spellings),
    )


async def look(call: Call, object_type: ObjectType, terms: Terms, after: Place) -> Look:
    """Some objects of a type after a place: `ROWS_A_LOOK` rows of each of its streams are read."""
    rows = await _READ[object_type](call, terms, after)
    ends: list[Place] = []
    for stream in {row.stream for row in rows}:
        places = [Place(row.key, row.result.id) for row in rows if row.stream == stream]
        if len(places) >= ROWS_A_LOOK:
            ends.append(max(places))
    reached = min(ends, default=None)
    found = {Place(row.key, row.result.id): row.result for row in rows if row.key == min(row.keys)}
    seen = sorted(
        place for place in found if after < place and (reached is None or place <= reached)
    )
    return Look(tuple(Found(place, found[place]) for place in seen), reached)


async def _batches(call: Call, terms: Terms, after: Place) -> list[_Row]:
    ids, codes = terms.ids, terms.lot_codes
    rows = await call.connection.fetch(
        _BATCHES,
        call.brand_id,
        *_ids_from(ids, after),
        *_pair_from(codes, after),
        codes.lowest if codes else None,
        codes.end if codes else None,
    )
    return [
        _Row(
            stream=row["key"] == str(row["id"]),
            key=row["key"],
            keys=_keys(ids, row["id"], row["lot_code"]),
            result=Result(
                "batch",
                row["id"],
                row["key"],
                row["product_sku"],
                row["status"],
                row["created_at"],
            ),
        )
        for row in rows
    ]


async def _exports(call: Call, terms: Terms, after: Place) -> list[_Row]:
    ids = terms.ids
    if ids is None:
        return []
    group_id = first_id_from(after.key)
    group_from: tuple[UUID | None, UUID] = (group_id, LOWEST_ID)
    if group_id is not None and group_id < ids.lowest:
        group_from = (ids.lowest, LOWEST_ID)
    elif str(group_id) == after.key:
        group_from = (group_id, after.id)
    rows = await call.connection.fetch(
        _EXPORTS, call.brand_id, *_ids_from(ids, after), *group_from, ids.highest
    )
    return [
        _Row(
            stream=row["key"] == str(row["id"]),
            key=row["key"],
            keys=tuple(str(identifier) for identifier in _export_ids(row) if identifier in ids),
            result=Result(
                "export",
                row["id"],
                _export_title(row),
                row["product_sku"],
                row["status"],
                row["created_at"],
            ),
        )
        for row in rows
    ]


def _export_ids(row: asyncpg.Record) -> tuple[UUID, ...]:
    """What a pack is found by; a manifest, which is no pack of its group, by its own id alone."""
    if row["format"] == signed_manifest.FORMAT:
        return (row["id"],)
    return row["id"], row["export_group_id"]


def _export_title(row: asyncpg.Record) -> str:
    if row["format"] == signed_manifest.FORMAT:
        return signed_manifest.FORMAT
    return f"{row['format']} {row['pack_index']}/{row['pack_count']}"


async def _tokens(call: Call, terms: Terms, after: Place) -> list[_Row]:
    serials = [(max(serials.lowest, after.key), serials.end) for serials in terms.serials] + [
        (None, None)
    ] * 2
    rows = await call.connection.fetch(
        _TOKENS, call.brand_id, *_ids_from(terms.ids, after), *serials[0], *serials[1]
    )
    return [_token(terms, row) for row in rows]


def _token(terms: Terms, row: asyncpg.Record) -> _Row:
    serial_number: str | None = row["serial_number"]
    matched = next(
        (place for place, each in enumerate(terms.serials) if (serial_number or "") in each), None
    )
    return _Row(
        stream=None if row["key"] == str(row["id"]) else matched,
        key=row["key"],
        keys=_keys(terms.ids, row["id"], None if matched is None else serial_number),
        result=Result(
            "token",
            row["id"],
            serial_number or str(row["id"]),
            row["product_sku"],
            unit_status(
                batch_is_voided=row["batch_is_voided"],
                is_revoked=row["revoked_at"] is not None,
                activation_mode=row["activation_mode"],
                is_activated=row["activated_at"] is not None,
                lot_is_activated=row["lot_activated_at"] is not None,
            ),
            row["created_at"],
        ),
    )


_READ: Final[dict[ObjectType, Callable[[Call, Terms, Place], Awaitable[Sequence[_Row]]]]] = {
    "batch": _batches,
    "export": _exports,
    "token": _tokens,
}


def _keys(ids: IdRange | None, identifier: UUID, value: str | None) -> tuple[str, ...]:
    """What an object matches by: its id, and its lot code or serial where it has one that does."""
    return (
        *((str(identifier),) if ids is not None and identifier in ids else ()),
        *((value,) if value is not None else ()),
    )


def _ids_from(ids: IdRange | None, after: Place) -> tuple[UUID | None, UUID | None]:
    """The range of ids from a place on. The id at the place itself is in it."""
    first = first_id_from(after.key) if ids is not None else None
    if ids is None or first is None:
        return None, None
    return max(ids.lowest, first), ids.highest


def _pair_from(texts: TextRange | None, after: Place) -> tuple[str | None, UUID]:
    """Where a stream in the order of text and id begins. The row at the place itself is in it."""
    if texts is None:
        return None, LOWEST_ID
    return (texts.lowest, LOWEST_ID) if after.key < texts.lowest else (after.key, after.id)
