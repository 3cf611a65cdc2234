"""What the selects of the console's forms offer, which batches run, who acted: a few columns of rows.

The lists of the API answer whole objects, which a select with two hundred entries needs not. Not here: those
lists (`product_lists`, `mint_batches`).
"""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from mintage.db.queries import query
from mintage.operations.arguments import BrandArguments
from mintage.operations.call import Answer, Call
from mintage.rules.lifecycle import EXPORTABLE_BATCH_STATUSES

_ACTORS: Final = query("member", "actors")
_PRODUCTS: Final = query("product", "choices")
_ACTIVE_PRODUCTS: Final = query("product", "active_choices")
_BATCHES: Final = query("mint_batch", "choices")
_RUNNING: Final = query("mint_batch", "running")


class ChoicesMax(BrandArguments):
    limit: Annotated[int, Field(ge=1, le=200, description="an integer from 1 to 200")]


async def choose_product(call: Call, arguments: ChoicesMax) -> Answer:
    """`{ok, products, has_more}`: `id`, `sku`, `name` of the newest products."""
    return await _chosen(call, _PRODUCTS, "products", arguments)


async def choose_active_product(call: Call, arguments: ChoicesMax) -> Answer:
    """As `choose_product`, of the products that are ACTIVE."""
    return await _chosen(call, _ACTIVE_PRODUCTS, "products", arguments)


async def choose_exportable_batch(call: Call, arguments: ChoicesMax) -> Answer:
    """`{ok, batches, has_more}`: `id`, `status`, `product_sku` and both quantities of the newest batches that
    may be exported."""
    statuses = sorted(EXPORTABLE_BATCH_STATUSES)
    return await _chosen(call, _BATCHES, "batches", arguments, statuses)


async def choose_running_batch(call: Call, arguments: ChoicesMax) -> Answer:
    """As `choose_exportable_batch`, of the batches that are minted now or wait for it."""
    return await _chosen(call, _RUNNING, "batches", arguments)


async def name_actors(call: Call, arguments: ChoicesMax) -> Answer:
    """`{ok, names}`: members' e-mail addresses and keys' names by id, the newest `limit` of each. For those
    who may administer them; nothing for others."""
    if not call.may("admin"):
        return {"ok": True, "names": {}}
    rows = await call.connection.fetch(_ACTORS, call.brand_id, arguments.limit)
    return {"ok": True, "names": {str(row["id"]): row["name"] for row in rows}}


async def _chosen(
    call: Call, statement: str, key: str, arguments: ChoicesMax, *values: object
) -> Answer:
    rows = await call.connection.fetch(statement, call.brand_id, arguments.limit + 1, *values)
    return {
        "ok": True,
        key: [dict(row) for row in rows[: arguments.limit]],
        "has_more": len(rows) > arguments.limit,
    }
