"""Products: the list, a new one, and one with its gates, identifiers, links and production batches."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from starlette.responses import Response

from mintage.console.acting import Outcome, sentence_of, tried, unconfirmed
from mintage.console.forms import Form
from mintage.console.lists import listed
from mintage.console.product_files import (
    read_product_file,
    read_product_text,
    write_product_text,
)
from mintage.console.render import go_to, page
from mintage.console.texts import text
from mintage.console.visit import Visit
from mintage.errors import MintageError
from mintage.operations import product_import
from mintage.operations.product_import import COLUMNS, ROWS_MAX
from mintage.rpcs import RPCS, Rpc
from mintage.rules.lifecycle import (
    COMMERCIAL_MOVES,
    COMMERCIAL_STATUSES,
    MINT_READINESS_STATUSES,
    PRODUCT_BATCH_STATUSES,
    CommercialStatus,
)
from mintage.rules.link_types import link_types

IDENTIFIER_TYPES: Final = ("gtin", "ean", "upc", "sku")
_IMPORT: Final = Rpc(
    product_import.import_products, product_import.ImportProducts, "products:write"
)
_LISTED_MAX: Final = 200
_ROWS_SHOWN_MAX: Final = 20


async def products(visit: Visit) -> Response:
    """`GET /console/b/<slug>/products`."""
    found = await listed(
        visit, "list_products", "products", ("commercial_status", "mint_readiness_status")
    )
    return page(
        visit,
        "products.html",
        section="products",
        listed=found,
        statuses=COMMERCIAL_STATUSES,
        readiness=MINT_READINESS_STATUSES,
    )


async def new_product(visit: Visit) -> Response:
    """`GET …/products/new`."""
    visit.require("products:write")
    return page(visit, "product_new.html", section="products", form=Form({}), problem=None)


async def create_product(visit: Visit, form: Form) -> Response:
    """`POST …/products/new`."""
    visit.require("products:write")
    outcome = await tried(
        visit,
        "create_product",
        sku=form.optional("sku"),
        name=form.optional("name"),
        gtin=form.optional("gtin"),
        description=form.optional("description"),
        image_url=form.optional("image_url"),
    )
    if outcome.answer is None:
        return page(
            visit,
            "product_new.html",
            section="products",
            status=outcome.status,
            form=form,
            problem=outcome.problem,
        )
    return go_to(visit.request, visit.here.url(f"products/{outcome.answer['product']['id']}"))


async def import_form(visit: Visit) -> Response:
    """`GET …/products/import`."""
    visit.require("products:write")
    return _import_page(visit)


async def import_products(visit: Visit, form: Form) -> Response:
    """`POST …/products/import`: a file is tried and shown; what was shown is imported, all or nothing."""
    visit.require("products:write")
    is_dry_run = form.get("step") != "import"
    try:
        rows = (
            read_product_file(form.files["file"])
            if form.files.get("file")
            else read_product_text(form.fields.get("table", ""))
        )
    except MintageError as error:
        problem = f"{error.problems[0].problem}; {error.problems[0].hint}"
        return _import_page(visit, problem=text("import.file_problem", problem=problem), status=400)
    answer = await visit.ask_own(_IMPORT, rows=rows, is_dry_run=is_dry_run)
    if answer["ok"] and not is_dry_run:
        return go_to(visit.request, visit.here.url("products"))
    return _import_page(visit, rows=rows, answer=answer, status=200 if answer["ok"] else 400)


def _import_page(
    visit: Visit,
    *,
    rows: list[dict[str, str]] | None = None,
    answer: Mapping[str, object] | None = None,
    problem: str | None = None,
    status: int = 200,
) -> Response:
    return page(
        visit,
        "import.html",
        section="products",
        status=status,
        problem=problem,
        rows=rows or [],
        columns=COLUMNS,
        rows_max=ROWS_MAX,
        shown_max=_ROWS_SHOWN_MAX,
        answer=answer,
        table=write_product_text(rows) if rows else "",
    )


async def product(visit: Visit) -> Response:
    """`GET …/products/<id>`."""
    return await _product_page(visit)


async def update_product(visit: Visit, form: Form) -> Response:
    """`POST …/products/<id>/update`: what the form holds of name, texts, picture and gates."""
    patch: dict[str, object] = {}
    for name in ("name", "commercial_status", "mint_readiness_status"):
        if name in form.fields:
            patch[name] = form.get(name)
    for name in ("description", "image_url"):
        if name in form.fields:
            patch[name] = form.optional(name)
    return await _done(
        visit, await tried(visit, "update_product", product_id=_id(visit), patch=patch)
    )


async def set_identifier(visit: Visit, form: Form) -> Response:
    """`POST …/products/<id>/identifiers`."""
    outcome = await tried(
        visit,
        "set_product_identifier",
        product_id=_id(visit),
        identifier_type=form.get("identifier_type"),
        raw_value=form.get("raw_value"),
    )
    return await _done(visit, outcome)


async def set_link(visit: Visit, form: Form) -> Response:
    """`POST …/products/<id>/links`: a new link, or a change of one."""
    outcome = await tried(
        visit,
        "set_product_link",
        product_id=_id(visit),
        link_id=form.optional("link_id"),
        link_type=form.get("link_type"),
        href=form.get("href"),
        title=form.get("title"),
        hreflang=form.optional("hreflang"),
        media_type=form.optional("media_type"),
        is_default=form.get("is_default") == "yes",
    )
    return await _done(visit, outcome)


async def remove_link(visit: Visit, form: Form) -> Response:
    """`POST …/products/<id>/links/remove`."""
    visit.require("products:write")
    outcome = unconfirmed(form, "product.remove_link_not_confirmed")
    if outcome is None:
        outcome = await tried(visit, "remove_product_link", link_id=form.get("link_id"))
    return await _done(visit, outcome)


async def create_product_batch(visit: Visit, form: Form) -> Response:
    """`POST …/products/<id>/production-batches`."""
    try:
        quantity = form.whole_number("quantity")
    except MintageError as error:
        return await _done(visit, Outcome(None, sentence_of(error), 400))
    outcome = await tried(
        visit,
        "create_product_batch",
        product_id=_id(visit),
        batch_number=form.optional("batch_number"),
        production_date=form.optional("production_date"),
        quantity=quantity,
        facility_ref=form.optional("facility_ref"),
        status=form.optional("status"),
        is_cumulative=form.get("is_cumulative") == "yes",
    )
    return await _done(visit, outcome)


async def update_product_batch(visit: Visit, form: Form) -> Response:
    """`POST …/products/<id>/production-batches/update`: its status."""
    outcome = await tried(
        visit,
        "update_product_batch",
        product_batch_id=form.get("product_batch_id"),
        patch={"status": form.get("status")},
    )
    return await _done(visit, outcome)


async def _done(visit: Visit, outcome: Outcome) -> Response:
    if outcome.answer is None:
        return await _product_page(visit, problem=outcome.problem, status=outcome.status)
    return go_to(visit.request, visit.here.url(f"products/{_id(visit)}"))


async def _product_page(visit: Visit, *, problem: str | None = None, status: int = 200) -> Response:
    product_id = _id(visit)
    found, identifiers, batches = await asyncio.gather(
        _product(visit, product_id),
        visit.ask("list_product_identifiers", product_id=product_id),
        visit.ask("list_product_batches", product_id=product_id, limit=_LISTED_MAX),
    )
    now: CommercialStatus = found["commercial_status"]
    return page(
        visit,
        "product.html",
        section="products",
        status=status,
        problem=problem,
        product=found,
        identifiers=identifiers["identifiers"],
        product_batches=batches["product_batches"],
        commercial_choices=[now, *sorted(COMMERCIAL_MOVES[now])],
        readiness=MINT_READINESS_STATUSES,
        batch_statuses=PRODUCT_BATCH_STATUSES,
        identifier_types=IDENTIFIER_TYPES,
        link_types=[each for each in link_types().values() if not each.is_deprecated],
        preview_url=_preview_url(found),
    )


def _preview_url(found: Mapping[str, Any]) -> str | None:
    """Where a scan of the product's GTIN without a serial is answered; None without a GTIN."""
    return f"/01/{str(found['gtin']).zfill(14)}" if found["gtin"] else None


async def _product(visit: Visit, product_id: UUID) -> dict[str, Any]:
    answer = await visit.find(RPCS["get_product"], "product.not_found", product_id=product_id)
    found: dict[str, Any] = answer["product"]
    return found


def _id(visit: Visit) -> UUID:
    return visit.id_in_address("product.not_found")
