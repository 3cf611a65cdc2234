"""Reading the catalogue: products, their identifiers, production batches; one query a page, never one a row.

Not here: changing any of them (`products`, `identifiers`, `product_batches`), and links (`product_links`).
"""

from __future__ import annotations

from typing import Final

from mintage.db.paging import ListKey
from mintage.db.queries import query
from mintage.errors import not_found
from mintage.operations.arguments_catalogue import (
    GetProduct,
    ListProductBatches,
    ListProductIdentifiers,
    ListProducts,
)
from mintage.operations.call import Answer, Call
from mintage.operations.identifiers import identifiers_of
from mintage.operations.listing import page_answer, start_position
from mintage.operations.product_batches import ProductBatch, product_batch_answer
from mintage.operations.products import Product, product_answers

_GET_PRODUCT: Final = query("product", "get")
_PRODUCT_IS_KNOWN: Final = query("product", "is_known")
_PRODUCTS: Final = query("product", "list_newest")
_PRODUCTS_BY_COMMERCIAL_STATUS: Final = query("product", "list_by_commercial_status")
_PRODUCTS_BY_GATES: Final = query("product", "list_by_gates")
_PRODUCTS_BY_READINESS: Final = query("product", "list_by_mint_readiness_status")
_BATCHES: Final = query("product_batch", "list_newest")
_BATCHES_BY_PRODUCT: Final = query("product_batch", "list_by_product")
_BATCHES_BY_PRODUCT_AND_STATUS: Final = query("product_batch", "list_by_product_and_status")
_BATCHES_BY_STATUS: Final = query("product_batch", "list_by_status")


async def list_products(call: Call, arguments: ListProducts) -> Answer:
    """One page of products, newest first, each with its identifiers and links (CATALOGUE)."""
    commercial, readiness = arguments.commercial_status, arguments.mint_readiness_status
    filters = {"commercial_status": commercial, "mint_readiness_status": readiness}
    key = ListKey("list_products", call.brand_id, filters)
    start = start_position(key, arguments.cursor, None)
    common = (call.brand_id, start.created_at, start.id, arguments.limit + 1)
    if commercial is not None and readiness is not None:
        rows = await call.connection.fetch(_PRODUCTS_BY_GATES, *common, commercial, readiness)
    elif commercial is not None:
        rows = await call.connection.fetch(_PRODUCTS_BY_COMMERCIAL_STATUS, *common, commercial)
    elif readiness is not None:
        rows = await call.connection.fetch(_PRODUCTS_BY_READINESS, *common, readiness)
    else:
        rows = await call.connection.fetch(_PRODUCTS, *common)
    answers = await product_answers(call, [Product(*row) for row in rows])
    return page_answer(key, "products", answers, arguments.limit)


async def get_product(call: Call, arguments: GetProduct) -> Answer:
    """One product with its identifiers and links; an unknown id is `P0002` (CATALOGUE)."""
    row = await call.connection.fetchrow(_GET_PRODUCT, call.brand_id, arguments.product_id)
    if row is None:
        raise not_found("product")
    (answer,) = await product_answers(call, [Product(*row)])
    return {"ok": True, "product": answer}


async def list_product_identifiers(call: Call, arguments: ListProductIdentifiers) -> Answer:
    """A product's identifiers: the active ones, then the most recently retired, 200 at most (CATALOGUE)."""
    if not await call.connection.fetchval(_PRODUCT_IS_KNOWN, call.brand_id, arguments.product_id):
        raise not_found("product")
    identifiers = await identifiers_of(call, arguments.product_id)
    return {
        "ok": True,
        "product_id": arguments.product_id,
        "identifiers": [identifier.as_answer() for identifier in identifiers],
    }


async def list_product_batches(call: Call, arguments: ListProductBatches) -> Answer:
    """One page of production batches, newest first, of one product or one status (CATALOGUE)."""
    product_id, status = arguments.product_id, arguments.status
    key = ListKey("list_product_batches", call.brand_id, {"product": product_id, "status": status})
    start = start_position(key, arguments.cursor, None)
    common = (call.brand_id, start.created_at, start.id, arguments.limit + 1)
    if product_id is not None and status is not None:
        rows = await call.connection.fetch(
            _BATCHES_BY_PRODUCT_AND_STATUS, *common, product_id, status
        )
    elif product_id is not None:
        rows = await call.connection.fetch(_BATCHES_BY_PRODUCT, *common, product_id)
    elif status is not None:
        rows = await call.connection.fetch(_BATCHES_BY_STATUS, *common, status)
    else:
        rows = await call.connection.fetch(_BATCHES, *common)
    answers = [product_batch_answer(ProductBatch(*row)) for row in rows]
    return page_answer(key, "product_batches", answers, arguments.limit)
