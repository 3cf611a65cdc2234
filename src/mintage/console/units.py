"""Units: the list, and one unit with its symbol, its status and everything that happened to it."""

from __future__ import annotations

import asyncio
from typing import Any, Final, cast
from uuid import UUID

from starlette.responses import Response

from mintage.console.acting import Outcome, tried
from mintage.console.forms import Form
from mintage.console.lists import listed
from mintage.console.render import HEADERS, go_to, page
from mintage.console.texts import text
from mintage.console.visit import Visit
from mintage.operations import mint_units
from mintage.packs.symbol_svg import symbol_svg
from mintage.packs.symbols import qr_symbol
from mintage.rpcs import Rpc
from mintage.rules.lifecycle import UNIT_STATUSES

_FIND: Final = Rpc(
    mint_units.find_mint_unit, mint_units.FindMintUnit, "mint:read", is_read_only=True
)
_SCANS_MAX: Final = 50
_SUSPICIOUS: Final = ("high", "elevated")
_MODULE_MM: Final = 1.0
_QUIET_ZONE_MODULES: Final = 4


async def units(visit: Visit) -> Response:
    """`GET /console/b/<slug>/units`."""
    found = await listed(
        visit, "list_mint_units", "units", ("mint_batch_id", "mint_lot_id", "status")
    )
    return page(visit, "units.html", section="units", listed=found, statuses=UNIT_STATUSES)


async def unit(visit: Visit) -> Response:
    """`GET …/units/<id>`."""
    return await _unit_page(visit)


async def symbol(visit: Visit) -> Response:
    """`GET …/units/<id>/symbol.svg`: the QR code of the unit's resolver URL, as packs hold it."""
    found = await _unit(visit, _id(visit))
    drawn = qr_symbol(found["resolver_url"], "M")
    content = symbol_svg(drawn, _MODULE_MM, _QUIET_ZONE_MODULES)
    return Response(content, headers=HEADERS, media_type="image/svg+xml")


async def revoke(visit: Visit, form: Form) -> Response:
    """`POST …/units/<id>/revoke`: for ever; the box must be ticked."""
    visit.require("mint:write")
    unit_id = _id(visit)
    if form.get("confirmation") != "yes":
        outcome = Outcome(None, text("unit.revoke_not_confirmed"), 400)
        return await _unit_page(visit, outcome, form.get("reason"))
    outcome = await tried(
        visit, "revoke_mint_units", unit_ids=[str(unit_id)], reason=form.optional("reason")
    )
    if outcome.answer is None:
        return await _unit_page(visit, outcome, form.get("reason"))
    return go_to(visit.request, visit.here.url(f"units/{unit_id}"))


async def _unit_page(
    visit: Visit, outcome: Outcome | None = None, reason: str | None = None
) -> Response:
    """`reason` is what was entered into a form that did not revoke: it stays open."""
    unit_id = _id(visit)
    found, scans = await asyncio.gather(
        _unit(visit, unit_id), visit.ask("list_scan_events", unit_id=unit_id, limit=_SCANS_MAX)
    )
    severities = {scan["severity"] for scan in scans["scan_events"]}
    return page(
        visit,
        "unit.html",
        section="units",
        status=outcome.status if outcome is not None else 200,
        unit=found,
        scans=scans["scan_events"],
        more_scans=scans["has_more"],
        suspicion=next((each for each in _SUSPICIOUS if each in severities), None),
        problem=outcome.problem if outcome is not None else None,
        reason=reason,
    )


async def _unit(visit: Visit, unit_id: UUID) -> dict[str, Any]:
    answer = await visit.find(_FIND, "unit.not_found", unit_id=unit_id)
    return cast("dict[str, Any]", answer["unit"])


def _id(visit: Visit) -> UUID:
    return visit.id_in_address("unit.not_found")
