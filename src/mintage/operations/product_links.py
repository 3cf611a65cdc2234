"""Links of a product: where a scan of it may lead, by link type, language, media type and context.

At most one is the default. Not here: which of them answers a scan (the resolver), and which forms and
types there are (`rules.web_links`, `rules.link_types`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from mintage.db.paging import ListKey
from mintage.db.queries import query
from mintage.errors import not_found
from mintage.operations.arguments_catalogue import (
    ListProductLinks,
    RemoveProductLink,
    SetProductLink,
)
from mintage.operations.call import Answer, BlockingReason, Call, Refused
from mintage.operations.events import record_event
from mintage.operations.listing import page_answer, start_position

LINKS_MAX: Final = 200

_LOCK_PRODUCT: Final = query("product", "lock")
_TOUCH_PRODUCT: Final = query("product", "touch")
_PRODUCT_IS_KNOWN: Final = query("product", "is_known")
_GET: Final = query("product_link", "get")
_COUNT: Final = query("product_link", "count_of_product")
_DROP_DEFAULT: Final = query("product_link", "drop_default")
_INSERT: Final = query("product_link", "insert")
_UPDATE: Final = query("product_link", "update")
_REMOVE: Final = query("product_link", "remove")
_NEWEST: Final = query("product_link", "list_newest")
_OF_PRODUCTS: Final = query("product_link", "of_products")
_EVENT_TEXT_CHARACTERS_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class ProductLink:
    """A row of `product_link`."""

    id: UUID
    product_id: UUID
    link_type: str
    href: str
    title: str
    hreflang: str | None
    media_type: str | None
    context: str | None
    is_default: bool
    created_at: datetime
    updated_at: datetime


async def set_product_link(call: Call, arguments: SetProductLink) -> Answer:
    """Give a product a link, or with `_link_id` give that link all the values named (CATALOGUE).

    A new default takes the old one's place. Raises 400 `P0002` for an unknown product, and for a link
    that is none of the product's; refuses `TOO_MANY_LINKS`.
    """
    if not await _is_locked(call, arguments.product_id):
        raise not_found("product")
    before = await _link_before(call, arguments)
    after = ProductLink(
        id=before.id if before is not None else call.new_id(),
        product_id=arguments.product_id,
        link_type=arguments.link_type,
        href=arguments.href,
        title=arguments.title,
        hreflang=arguments.hreflang,
        media_type=arguments.media_type,
        context=arguments.context,
        is_default=arguments.is_default,
        created_at=before.created_at if before is not None else call.now,
        updated_at=before.updated_at if before is not None else call.now,
    )
    if after != before:
        after = replace(after, updated_at=call.now)
        await _save(call, before, after)
    return {"ok": True, "link": asdict(after)}


async def list_product_links(call: Call, arguments: ListProductLinks) -> Answer:
    """One page of a product's links, newest first; 400 `P0002` for an unknown product (CATALOGUE)."""
    if not await call.connection.fetchval(_PRODUCT_IS_KNOWN, call.brand_id, arguments.product_id):
        raise not_found("product")
    key = ListKey("list_product_links", call.brand_id, {"product": arguments.product_id})
    start = start_position(key, arguments.cursor, None)
    rows = await call.connection.fetch(
        _NEWEST,
        call.brand_id,
        arguments.product_id,
        start.created_at,
        start.id,
        arguments.limit + 1,
    )
    return page_answer(key, "links", [dict(row) for row in rows], arguments.limit)


async def remove_product_link(call: Call, arguments: RemoveProductLink) -> Answer:
    """Remove a link of a product for good; 400 `P0002` for an unknown one (CATALOGUE)."""
    row = await call.connection.fetchrow(_GET, call.brand_id, arguments.link_id)
    if row is None:
        raise not_found("product link")
    product_id: UUID = row["product_id"]
    await _is_locked(call, product_id)
    removed = await call.connection.fetchrow(_REMOVE, call.brand_id, arguments.link_id, product_id)
    if removed is None:
        raise not_found("product link")
    await call.connection.execute(_TOUCH_PRODUCT, call.brand_id, product_id, call.now)
    await record_event(
        call,
        "settings_changed",
        payload={
            "subject": "product_link",
            "product_link_id": str(arguments.link_id),
            "product_id": str(product_id),
            "change": "removed",
            "link_type": removed["link_type"],
            "href": _shortened(removed["href"]),
            "is_default": removed["is_default"],
        },
    )
    return {"ok": True, "removed": True}


async def links_of_products(
    call: Call, product_ids: Sequence[UUID]
) -> Mapping[UUID, list[dict[str, object]]]:
    """The links of each product, newest first, as they are answered; in one statement."""
    found: dict[UUID, list[dict[str, object]]] = defaultdict(list)
    for row in await call.connection.fetch(_OF_PRODUCTS, call.brand_id, product_ids):
        found[row["product_id"]].append(dict(row))
    return found


async def _is_locked(call: Call, product_id: UUID) -> bool:
    """Lock the product, so that two changes of its links wait for each other; False if unknown."""
    row = await call.connection.fetchrow(_LOCK_PRODUCT, call.brand_id, product_id)
    return row is not None


async def _link_before(call: Call, arguments: SetProductLink) -> ProductLink | None:
    if arguments.link_id is None:
        count = await call.connection.fetchval(_COUNT, call.brand_id, arguments.product_id)
        if count >= LINKS_MAX:
            raise _too_many_links()
        return None
    row = await call.connection.fetchrow(_GET, call.brand_id, arguments.link_id)
    if row is None or row["product_id"] != arguments.product_id:
        raise not_found("product link")
    return ProductLink(*row)


def _too_many_links() -> Refused:
    reason = BlockingReason(
        "TOO_MANY_LINKS",
        f"The product has {LINKS_MAX} links, which is the most that a product may have.",
    )
    return Refused({"ok": False, "blocking_reasons": [reason.as_answer()]})


async def _save(call: Call, before: ProductLink | None, after: ProductLink) -> None:
    connection, brand_id = call.connection, call.brand_id
    default_before: UUID | None = None
    if after.is_default:
        default_before = await connection.fetchval(
            _DROP_DEFAULT, brand_id, after.product_id, after.id, call.now
        )
    values = (
        after.link_type,
        after.href,
        after.title,
        after.hreflang,
        after.media_type,
        after.context,
    )
    key = (brand_id, after.id, after.product_id)
    if before is None:
        await connection.execute(
            _INSERT, *key, *values, after.is_default, after.created_at, after.updated_at
        )
    else:
        status = await connection.execute(
            _UPDATE, *key, *values, after.is_default, after.updated_at
        )
        if status != "UPDATE 1":
            raise RuntimeError("a link of a locked product changed")
    await connection.execute(_TOUCH_PRODUCT, brand_id, after.product_id, call.now)
    await record_event(
        call,
        "settings_changed",
        payload={
            "subject": "product_link",
            "product_link_id": str(after.id),
            "product_id": str(after.product_id),
            "change": "created" if before is None else "updated",
            "changed": _changes(before, after),
            "previous_default_id": str(default_before) if default_before is not None else None,
        },
    )


def _changes(before: ProductLink | None, after: ProductLink) -> dict[str, object]:
    """What was changed of a link; of a new one all it was given."""
    old = asdict(before) if before is not None else {}
    return {
        name: {"from": _shortened(old.get(name)), "to": _shortened(value)}
        for name, value in asdict(after).items()
        if name in SetProductLink.model_fields and name != "product_id" and old.get(name) != value
    }


def _shortened(value: object) -> object:
    if not isinstance(value, str) or len(value) <= _EVENT_TEXT_CHARACTERS_MAX:
        return value
    return value[:_EVENT_TEXT_CHARACTERS_MAX] + "…"
