"""Settings of the brand: its webhooks, their secrets shown once, and what they were told."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from starlette.responses import Response

from mintage.console.acting import Outcome, tried, unconfirmed
from mintage.console.forms import Form
from mintage.console.render import go_to, page
from mintage.console.texts import text
from mintage.console.visit import Visit
from mintage.errors import ROUTE_NOT_FOUND, SUBJECT_NOT_FOUND, MintageError
from mintage.rules.webhooks import WEBHOOK_EVENT_TYPES

_PATH: Final = "settings/webhooks"
_LISTED_MAX: Final = 200
_DELIVERIES_SHOWN: Final = 50


async def webhooks(visit: Visit) -> Response:
    """`GET /console/b/<slug>/settings/webhooks`; with `?webhook=<id>` what that one was told."""
    visit.require("admin")
    return await _webhooks_page(visit)


async def create_webhook(visit: Visit, form: Form) -> Response:
    """`POST …/settings/webhooks`: a new one, or another secret of one; it is shown once, in the answer."""
    webhook_id = form.optional("webhook_id")
    outcome = unconfirmed(form, "webhooks.rotate_not_confirmed") if webhook_id else None
    if outcome is None:
        outcome = await tried(
            visit,
            "create_webhook",
            url=form.get("url"),
            event_types=form.lists.get("event_types", []),
            webhook_id=webhook_id,
        )
    if outcome.answer is None:
        return await _webhooks_page(visit, outcome)
    return await _webhooks_page(visit, secret=str(outcome.answer["secret"]))


async def remove_webhook(visit: Visit, form: Form) -> Response:
    """`POST …/settings/webhooks/remove`."""
    outcome = unconfirmed(form, "webhooks.remove_not_confirmed")
    if outcome is None:
        outcome = await tried(visit, "remove_webhook", webhook_id=form.get("webhook_id"))
    if outcome.answer is None:
        return await _webhooks_page(visit, outcome)
    return go_to(visit.request, visit.here.url(_PATH))


async def redeliver(visit: Visit, form: Form) -> Response:
    """`POST …/settings/webhooks/redeliver`: one delivery, or all that failed; then the deliveries again."""
    delivery_id, asked = form.optional("webhook_delivery_id"), form.get("webhook_id")
    outcome = await tried(
        visit,
        "redeliver_webhook",
        webhook_delivery_id=delivery_id,
        webhook_id=asked if delivery_id is None else None,
    )
    if outcome.answer is None:
        return await _webhooks_page(visit, outcome)
    webhook_id = _id_of(asked)
    return go_to(visit.request, visit.here.url(f"{_PATH}?webhook={webhook_id}"))


async def _webhooks_page(
    visit: Visit, outcome: Outcome | None = None, secret: str | None = None
) -> Response:
    asked = visit.request.query_params.get("webhook")
    chosen = _id_of(asked) if asked else None
    listed, deliveries = await asyncio.gather(
        visit.ask("list_webhooks", limit=_LISTED_MAX), _deliveries(visit, chosen)
    )
    return page(
        visit,
        "webhooks.html",
        section="settings",
        status=outcome.status if outcome is not None else 200,
        problem=outcome.problem if outcome is not None else None,
        secret=secret,
        webhooks=listed["webhooks"],
        chosen=next((each for each in listed["webhooks"] if each["id"] == chosen), None),
        deliveries=deliveries,
        event_types=WEBHOOK_EVENT_TYPES,
        now=datetime.now(UTC),
    )


async def _deliveries(visit: Visit, chosen: UUID | None) -> list[dict[str, Any]]:
    if chosen is None:
        return []
    try:
        answer = await visit.ask(
            "list_webhook_deliveries", webhook_id=chosen, limit=_DELIVERIES_SHOWN
        )
    except MintageError as error:
        if error.kind is not SUBJECT_NOT_FOUND:
            raise
        raise _no_webhook() from None
    rows: list[dict[str, Any]] = answer["deliveries"]
    return rows


def _id_of(value: str) -> UUID:
    try:
        return UUID(value)
    except ValueError:
        raise _no_webhook() from None


def _no_webhook() -> MintageError:
    return MintageError(ROUTE_NOT_FOUND, message=text("webhooks.missing"))
