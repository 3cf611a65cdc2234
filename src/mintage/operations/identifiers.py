"""A product's identifiers: its SKU and its GTINs, one active of each type, the old ones kept.

A SKU is compared by lower(NFC), a GTIN in its 14-digit form; both are kept as they were given. Old
identifiers are retired, never removed: what was printed goes on resolving. Not here: the product's
own fields (`products`).
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, get_args
from uuid import UUID

import asyncpg

from mintage.db.queries import query
from mintage.errors import not_found
from mintage.operations.arguments import SetProductIdentifier
from mintage.operations.call import Answer, Call
from mintage.operations.conflicts import taken
from mintage.operations.events import record_event
from mintage.rules.gs1 import gtin14

IdentifierType = Literal["sku", "gtin", "ean", "upc"]
IDENTIFIER_TYPES: Final[tuple[IdentifierType, ...]] = get_args(IdentifierType)
# A product's GTIN is its active gtin, else ean, else upc (SPEC §4).
GTIN_TYPES: Final[tuple[IdentifierType, ...]] = ("gtin", "ean", "upc")
IDENTIFIERS_SHOWN_MAX: Final = 200

_LOCK_PRODUCT: Final = query("product", "lock")
_SET_SKU: Final = query("product", "set_sku")
_TOUCH_PRODUCT: Final = query("product", "touch")
_INSERT: Final = query("product_identifier", "insert")
_RETIRE: Final = query("product_identifier", "retire")
_ACTIVE_VALUE: Final = query("product_identifier", "active_value")
_OF_PRODUCT: Final = query("product_identifier", "of_product")
_OF_PRODUCTS: Final = query("product_identifier", "of_products")


@dataclass(frozen=True, slots=True)
class Identifier:
    """An identifier of a product as a caller sees it."""

    identifier_type: IdentifierType
    identifier_value: str
    identifier_value_normalized: str
    status: Literal["active", "retired"]
    created_at: datetime
    created_by: UUID | None
    deactivated_at: datetime | None
    deactivated_by: UUID | None

    def as_answer(self) -> dict[str, object]:
        return {name: getattr(self, name) for name in self.__slots__}


async def set_product_identifier(call: Call, arguments: SetProductIdentifier) -> Answer:
    """Give a product an identifier; the one of that type that it had is retired (CATALOGUE).

    The same value again changes nothing. Raises 400 `P0002` for an unknown product and 409 for a value
    that is another active identifier of the brand.
    """
    product = await call.connection.fetchrow(_LOCK_PRODUCT, call.brand_id, arguments.product_id)
    if product is None:
        raise not_found("product")
    await change_identifier(
        call,
        arguments.product_id,
        arguments.identifier_type,
        arguments.raw_value,
        argument="_raw_value",
    )
    return {
        "ok": True,
        "product_id": arguments.product_id,
        "identifier_type": arguments.identifier_type,
        "identifier_value": arguments.raw_value,
        "status": "active",
    }


async def change_identifier(
    call: Call,
    product_id: UUID,
    identifier_type: IdentifierType,
    value: str,
    *,
    argument: str,
) -> None:
    """Retire the active identifier of the type and make `value` the active one, with its event.

    The product's row is locked and `value` well-formed already. Raises 409 naming `argument`.
    """
    active: str | None = await call.connection.fetchval(
        _ACTIVE_VALUE, call.brand_id, product_id, identifier_type
    )
    if active == value:
        return
    if identifier_type == "sku":
        await _set_sku(call, product_id, active, value, argument)
    else:
        await call.connection.execute(_TOUCH_PRODUCT, call.brand_id, product_id, call.now)
    await call.connection.execute(
        _RETIRE, call.brand_id, product_id, identifier_type, call.now, call.caller.id
    )
    await add_identifier(call, product_id, identifier_type, value, argument=argument)
    await record_event(
        call,
        "identifier_changed",
        payload={
            "product_id": str(product_id),
            "identifier_type": identifier_type,
            "identifier_value": value,
            "previous_value": active,
        },
    )


async def add_identifier(
    call: Call,
    product_id: UUID,
    identifier_type: IdentifierType,
    value: str,
    *,
    argument: str,
) -> None:
    """Insert an active identifier of a product that has none of the type. Raises 409 if taken."""
    inserted = await call.connection.fetchval(
        _INSERT,
        call.brand_id,
        call.new_id(),
        product_id,
        identifier_type,
        "sku" if identifier_type == "sku" else "gtin",
        value,
        identifier_key(identifier_type, value),
        call.now,
        call.caller.id,
    )
    if inserted is None:
        raise identifier_taken(identifier_type, value, argument)


async def identifiers_of(call: Call, product_id: UUID) -> list[Identifier]:
    """A product's identifiers: the active ones, then the most recently retired, 200 at most."""
    rows = await call.connection.fetch(
        _OF_PRODUCT, call.brand_id, product_id, IDENTIFIERS_SHOWN_MAX
    )
    return [Identifier(*row) for row in rows]


async def identifiers_of_products(
    call: Call, product_ids: Sequence[UUID]
) -> Mapping[UUID, list[Identifier]]:
    """`identifiers_of` each product, in one statement."""
    found: dict[UUID, list[Identifier]] = defaultdict(list)
    for row in await call.connection.fetch(
        _OF_PRODUCTS, call.brand_id, product_ids, IDENTIFIERS_SHOWN_MAX
    ):
        product_id, *columns = row
        found[product_id].append(Identifier(*columns))
    return found


def gtin_of(identifiers: Sequence[Identifier]) -> str | None:
    """The product's GTIN as it was given: its active gtin, else ean, else upc (SPEC §4)."""
    active = {
        found.identifier_type: found.identifier_value
        for found in identifiers
        if found.status == "active"
    }
    return next((active[kind] for kind in GTIN_TYPES if kind in active), None)


def identifier_key(identifier_type: IdentifierType, value: str) -> str:
    """What a value is compared by: lower(NFC) of a SKU, the 14 digits of a GTIN."""
    if identifier_type == "sku":
        return sku_key(value)
    return gtin14(value, identifier_type)


def sku_key(sku: str) -> str:
    """What a SKU is compared by: lower(NFC) (SPEC §4)."""
    return unicodedata.normalize("NFC", sku).lower()


def identifier_taken(identifier_type: IdentifierType, value: str, argument: str) -> Exception:
    """The 409 of a SKU or GTIN that an active identifier of the brand has."""
    if identifier_type == "sku":
        return taken(
            argument,
            f"SKU {value}",
            "give a SKU that no other product of the brand has, in upper or lower case",
        )
    return taken(
        argument,
        f"GTIN {gtin14(value, identifier_type)}",
        "give a GTIN that is no active gtin, ean or upc of the brand, or change that one first",
    )


async def _set_sku(
    call: Call, product_id: UUID, before: str | None, after: str, argument: str
) -> None:
    try:
        status = await call.connection.execute(
            _SET_SKU, call.brand_id, product_id, before, after, sku_key(after), call.now
        )
    except asyncpg.UniqueViolationError:
        raise identifier_taken("sku", after, argument) from None
    if status != "UPDATE 1":
        raise RuntimeError("the product's SKU and its active sku identifier differ")
