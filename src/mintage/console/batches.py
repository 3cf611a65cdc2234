"""Mint batches: the list, one batch with its steps, lots, packs and events, and what may be done with it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from starlette.responses import Response

from mintage.console.acting import Outcome, tried
from mintage.console.choices import ACTORS_MAX, CHOOSE_PRODUCT, NAME_ACTORS
from mintage.console.forms import Form
from mintage.console.lists import Listed, listed
from mintage.console.render import fragment, go_to, page
from mintage.console.texts import text
from mintage.console.visit import Visit
from mintage.rpcs import RPCS
from mintage.rules.lifecycle import (
    BATCH_MOVES,
    BATCH_STATUSES,
    EXPORTABLE_BATCH_STATUSES,
    BatchStatus,
)

STEPS: Final[tuple[BatchStatus, ...]] = (
    "queued",
    "processing",
    "minted",
    "exported",
    "printed",
    "applied",
)
_BEFORE_QUEUED: Final = frozenset({"draft"})
_RUNNING: Final = frozenset({"draft", "queued", "processing"})
_PRODUCTS_MAX: Final = 200
_PACKS_MAX: Final = 50
_EVENTS_MAX: Final = 25


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a batch's way: `state` is done, here, next or later."""

    status: BatchStatus
    state: str


async def batches(visit: Visit) -> Response:
    """`GET /console/b/<slug>/batches`."""
    found, products = await asyncio.gather(
        listed(
            visit,
            "list_mint_batches",
            "batches",
            ("status", "product_id", "from", "to"),
        ),
        visit.ask_own(CHOOSE_PRODUCT, limit=_PRODUCTS_MAX),
    )
    return page(
        visit,
        "batches.html",
        section="batches",
        listed=found,
        statuses=BATCH_STATUSES,
        products=_offered(products["products"], found),
    )


def _offered(products: list[dict[str, Any]], found: Listed) -> list[dict[str, Any]]:
    """The products to filter by, the one that is filtered by among them however old it is."""
    chosen = found.filters["product_id"]
    if not chosen or found.problems or any(str(each["id"]) == chosen for each in products):
        return products
    sku = next((batch["product_sku"] for batch in found.rows), None)
    return [*products, {"id": chosen, "sku": sku or chosen}]


async def batch(visit: Visit) -> Response:
    """`GET …/batches/<id>`."""
    return await _batch_page(visit)


async def progress(visit: Visit) -> Response:
    """`GET …/batches/<id>/progress`: the way of a batch, and its bar while it is minted."""
    found = await _batch(visit)
    response = fragment(visit, "parts/progress.html", **_facts(found))
    if found["status"] not in _RUNNING:
        # All of the page has changed: lots, packs, what may be done.
        response.headers["hx-refresh"] = "true"
    return response


async def set_status(visit: Visit, form: Form) -> Response:
    """`POST …/batches/<id>/status`: the next step, or void, which must be typed to be meant."""
    visit.require("mint:write")
    found = await _batch(visit)
    wanted = form.get("status")
    if wanted == "voided" and not _is_confirmed(form.get("confirmation"), found):
        problem = text("batch.void_not_confirmed", confirmation=_confirmation(found))
        return await _batch_page(visit, Outcome(None, problem, 400), form.get("reason"))
    outcome = await tried(
        visit,
        "set_mint_batch_status",
        mint_batch_id=found["id"],
        status=wanted,
        reason=form.optional("reason"),
    )
    return await _done(visit, outcome)


async def retry(visit: Visit, _form: Form) -> Response:
    """`POST …/batches/<id>/retry`: queue a failed job again."""
    visit.require("mint:write")
    found = await _batch(visit)
    return await _done(
        visit, await tried(visit, "retry_mint_job", mint_job_id=found["mint_job_id"])
    )


async def _done(visit: Visit, outcome: Outcome) -> Response:
    if outcome.answer is None:
        return await _batch_page(visit, outcome)
    return go_to(visit.request, visit.here.url(f"batches/{_id(visit)}"))


async def _batch_page(
    visit: Visit, outcome: Outcome | None = None, void_reason: str | None = None
) -> Response:
    """`void_reason` is what was entered into a form that did not void: it stays open."""
    batch_id = _id(visit)
    found, packs, events, actors = await asyncio.gather(
        _batch(visit),
        visit.ask("list_payload_packs", mint_batch_id=batch_id, limit=_PACKS_MAX),
        visit.ask("list_mint_events", mint_batch_id=batch_id, limit=_EVENTS_MAX),
        visit.ask_own(NAME_ACTORS, limit=ACTORS_MAX),
    )
    return page(
        visit,
        "batch.html",
        section="batches",
        status=outcome.status if outcome is not None else 200,
        problem=outcome.problem if outcome is not None else None,
        void_reason=void_reason,
        packs=packs["packs"],
        more_packs=packs["has_more"],
        events=events["events"],
        names=actors["names"],
        more_events=events["has_more"],
        confirmation=_confirmation(found),
        **_facts(found),
    )


def _facts(found: dict[str, Any]) -> dict[str, object]:
    now: BatchStatus = found["status"]
    allowed = BATCH_MOVES["caller"][now]
    return {
        "batch": found,
        "steps": steps(now),
        "is_running": now in _RUNNING,
        "may_be_exported": now in EXPORTABLE_BATCH_STATUSES,
        "next_status": next((step for step in STEPS if step in allowed), None),
        "may_be_voided": "voided" in allowed,
        "share": found["minted_quantity"] / found["requested_quantity"],
    }


def steps(now: BatchStatus) -> list[Step]:
    """The way of a batch, and where it stands; a failed or voided one stands nowhere on it."""
    if now not in STEPS and now not in _BEFORE_QUEUED:
        return [Step(step, "later") for step in STEPS]
    place = STEPS.index(now) if now in STEPS else 0
    states = ["done"] * place + ["here"] + ["later"] * (len(STEPS) - place - 1)
    return [Step(step, state) for step, state in zip(STEPS, states, strict=True)]


def _confirmation(found: Mapping[str, Any]) -> str:
    """What must be typed to void: the number of units that are lost with it."""
    return f"{found['minted_quantity'] or found['requested_quantity']:,}"


def _is_confirmed(typed: str, found: Mapping[str, Any]) -> bool:
    """True for the number, with separators or without."""
    return typed.replace(",", "") == _confirmation(found).replace(",", "")


async def _batch(visit: Visit) -> dict[str, Any]:
    answer = await visit.find(
        RPCS["get_mint_batch_by_id"], "batch.not_found", mint_batch_id=_id(visit)
    )
    found: dict[str, Any] = answer["batch"]
    return found


def _id(visit: Visit) -> UUID:
    return visit.id_in_address("batch.not_found")
