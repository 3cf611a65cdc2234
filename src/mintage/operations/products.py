"""Products: what a brand mints units of. Their SKU and GTINs are identifiers (`identifiers`).

A product is made DRAFT and NOT_READY; the two gate fields are what minting asks for (SPEC §3).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from mintage.db.queries import query
from mintage.errors import FORBIDDEN, MintageError, not_found
from mintage.operations.arguments import CreateProduct, UpdateProduct
from mintage.operations.call import Answer, BlockingReason, Call, Refused
from mintage.operations.events import record_event
from mintage.operations.identifiers import (
    Identifier,
    add_identifier,
    change_identifier,
    gtin_of,
    identifier_taken,
    identifiers_of_products,
    sku_key,
)
from mintage.operations.product_links import links_of_products
from mintage.rules.lifecycle import (
    COMMERCIAL_MOVES,
    CommercialStatus,
    MintReadinessStatus,
    is_legal_commercial_move,
)

GATE_FIELDS: Final = frozenset({"commercial_status", "mint_readiness_status"})

_INSERT: Final = query("product", "insert")
_LOCK: Final = query("product", "lock")
_UPDATE: Final = query("product", "update")
_EVENT_TEXT_CHARACTERS_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class Product:
    """A row of `product`, without its identifiers and links."""

    id: UUID
    sku: str
    name: str
    description: str | None
    image_url: str | None
    commercial_status: CommercialStatus
    mint_readiness_status: MintReadinessStatus
    created_at: datetime
    updated_at: datetime


async def create_product(call: Call, arguments: CreateProduct) -> Answer:
    """Make a product, DRAFT and NOT_READY, with its SKU and, if given, its GTIN (CATALOGUE).

    Raises 409 for a SKU, or a GTIN, that another product of the brand has.
    """
    row = await call.connection.fetchrow(
        _INSERT,
        call.brand_id,
        call.new_id(),
        arguments.sku,
        sku_key(arguments.sku),
        arguments.name,
        arguments.description,
        arguments.image_url,
        call.now,
    )
    if row is None:
        raise identifier_taken("sku", arguments.sku, "_sku")
    product = Product(*row)
    await add_identifier(call, product.id, "sku", product.sku, argument="_sku")
    if arguments.gtin is not None:
        await add_identifier(call, product.id, "gtin", arguments.gtin, argument="_gtin")
    await record_event(
        call,
        "settings_changed",
        payload={
            "subject": "product",
            "product_id": str(product.id),
            "change": "created",
            "sku": product.sku,
            "gtin": arguments.gtin,
        },
    )
    return {"ok": True, "product": await _answer(call, product)}


async def update_product(call: Call, arguments: UpdateProduct) -> Answer:
    """Change the fields of a product that the patch has, and no others (CATALOGUE).

    Raises 403 when the patch has a gate field and the caller is neither owner nor admin, 400 `P0002`
    for an unknown product, 409 for a SKU that is taken; refuses a move back to DRAFT.
    """
    patch = arguments.patch
    if patch.model_fields_set & GATE_FIELDS and not call.may("gates:write"):
        raise MintageError(FORBIDDEN, hint="only an owner or admin changes the two gate fields")
    row = await call.connection.fetchrow(_LOCK, call.brand_id, arguments.product_id)
    if row is None:
        raise not_found("product")
    before = Product(*row)
    after = replace(before, **{name: getattr(patch, name) for name in patch.model_fields_set})
    _require_legal_move(before, after)
    if after != before:
        after = replace(after, updated_at=call.now)
        await _save(call, before, after)
    return {"ok": True, "product": await _answer(call, after)}


async def product_answers(call: Call, products: Sequence[Product]) -> list[dict[str, object]]:
    """The product objects of CATALOGUE, with identifiers and links, in two statements for all of them."""
    ids = [product.id for product in products]
    identifiers = await identifiers_of_products(call, ids)
    links = await links_of_products(call, ids)
    return [
        _product_answer(product, identifiers.get(product.id, []), links.get(product.id, []))
        for product in products
    ]


async def _answer(call: Call, product: Product) -> dict[str, object]:
    (answer,) = await product_answers(call, [product])
    return answer


def _product_answer(
    product: Product, identifiers: Sequence[Identifier], links: Sequence[Mapping[str, object]]
) -> dict[str, object]:
    return {
        "id": product.id,
        "sku": product.sku,
        "name": product.name,
        "gtin": gtin_of(identifiers),
        "commercial_status": product.commercial_status,
        "mint_readiness_status": product.mint_readiness_status,
        "description": product.description,
        "image_url": product.image_url,
        "created_at": product.created_at,
        "updated_at": product.updated_at,
        "identifiers": [found.as_answer() for found in identifiers],
        "links": list(links),
    }


def _require_legal_move(before: Product, after: Product) -> None:
    old, new = before.commercial_status, after.commercial_status
    if old == new or is_legal_commercial_move(old, new):
        return
    possible = " or ".join(sorted(COMMERCIAL_MOVES[old]))
    reason = BlockingReason(
        "ILLEGAL_STATUS_TRANSITION",
        f"The product's commercial_status is {old}; it can become {possible}, not {new}.",
    )
    raise Refused({"ok": False, "blocking_reasons": [reason.as_answer()]})


async def _save(call: Call, before: Product, after: Product) -> None:
    if after.sku != before.sku:
        await change_identifier(call, after.id, "sku", after.sku, argument="_patch.sku")
    status = await call.connection.execute(
        _UPDATE,
        call.brand_id,
        after.id,
        before.commercial_status,
        after.name,
        after.description,
        after.image_url,
        after.commercial_status,
        after.mint_readiness_status,
        after.updated_at,
    )
    if status != "UPDATE 1":
        raise RuntimeError("a locked product changed")
    if changed := _changes(before, after):
        await record_event(
            call,
            "settings_changed",
            payload={
                "subject": "product",
                "product_id": str(after.id),
                "change": "updated",
                "changed": changed,
            },
        )


def _changes(before: Product, after: Product) -> dict[str, object]:
    """What an update changed but the SKU, whose change is an event of its own."""
    old, new = asdict(before), asdict(after)
    return {
        name: {"from": _shortened(old[name]), "to": _shortened(new[name])}
        for name in new
        if old[name] != new[name] and name not in {"sku", "updated_at"}
    }


def _shortened(value: str | None) -> str | None:
    if value is None or len(value) <= _EVENT_TEXT_CHARACTERS_MAX:
        return value
    return value[:_EVENT_TEXT_CHARACTERS_MAX] + "…"
