"""What a scan changes: activation, before it is answered; the scan event and its figures, soon after.

`resolving` says what was scanned. Figures (`tally_delta`): `units_activated` counts each unit once, when
the first scan of it or of its lot makes it active; units of `active_at_mint` batches are not in it.
`scans` counts scan events that were answered with a redirect.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import Final, Literal, NamedTuple
from uuid import UUID

from mintage.db.joined import joined
from mintage.db.queries import query
from mintage.operations.call import Call
from mintage.operations.resolving import Subject
from mintage.rules.clone_thresholds import DEFAULTS
from mintage.rules.lifecycle import ScanOutcome
from mintage.rules.unit_ids import unit_id_bounds

TrafficClass = Literal["human", "unknown"]

_LOTS_SHARED: Final = query("scan", "lots_shared")
_ACTIVATE_UNITS: Final = query("scan", "activate_units")
_LOTS_HELD: Final = query("scan", "lots_held")
_ACTIVATE_LOTS: Final = query("scan", "activate_lots")
_COUNT_LOTS_ACTIVATED: Final = query("scan", "count_lots_activated")
_STORE_SCANS: Final = query("scan", "store_scans")
_ENSURE_MONTH: Final = query("scan", "ensure_month")
_THRESHOLDS: Final = dict(DEFAULTS)


class Scan(NamedTuple):
    """A row of `scan_event`: nothing in it tells one person from another."""

    id: UUID
    scanned_at: datetime
    subject: Subject
    outcome: ScanOutcome
    traffic_class: TrafficClass
    ip_prefix: str | None
    browser: str | None
    os: str | None
    device: str | None
    path: str
    country: str | None = None


@dataclass(frozen=True, slots=True)
class FirstScan:
    """A scan of a unit that waits for its first one."""

    subject: Subject
    scanned_at: datetime


def prefix_of(address: IPv4Address | IPv6Address) -> str:
    """The /24 of an IPv4 address, the /48 of an IPv6 one: all that is ever kept of it."""
    if isinstance(address, IPv4Address):
        first, second, third, _ = address.packed
        return f"{first}.{second}.{third}.0/24"
    return str(ip_network((address, 48), strict=False))


def settled_outcome(subject: Subject) -> ScanOutcome | None:
    """The outcome of scanning `subject` where nothing is to be activated; None where something is.

    `recorded` is for what has no activation: a product, a batch, a lot that is not known.
    """
    match subject.status:
        case "revoked":
            return "revoked"
        case "active":
            return "already_active"
        case None:
            return "recorded"
        case "minted":
            return None


async def activate(call: Call, subject: Subject) -> ScanOutcome:
    """Activate what a scan of `subject` activates, at `call.now`: of any number of racers one does.

    A unit whose batch was voided, or that was revoked, since it was resolved is not activated.
    """
    settled = settled_outcome(subject)
    if settled is not None:
        return settled
    if subject.unit_id is not None:
        return (await activate_units(call, [FirstScan(subject, call.now)]))[0]
    has_won = await _activate_lots(call, subject.waiting_lot_ids)
    return "activated" if has_won else "already_active"


async def activate_units(call: Call, scans: Sequence[FirstScan]) -> list[ScanOutcome]:
    """Activate the units of `scans`, which wait for their first scan; what each scan comes to, in order.

    Of several scans of one unit the first counts. A unit that was activated, alone or with its lot, or
    revoked since it was resolved, is `already_active`.
    """
    first: dict[UUID, FirstScan] = {}
    for scan in scans:
        if scan.subject.unit_id is not None:
            first.setdefault(scan.subject.unit_id, scan)
    active_lots = await _active_lots(call, first.values())
    waiting = [scan for scan in first.values() if scan.subject.mint_lot_id not in active_lots]
    rows = await call.connection.fetch(
        _ACTIVATE_UNITS,
        call.brand_id,
        [scan.subject.unit_id for scan in waiting],
        [scan.subject.mint_batch_id for scan in waiting],
        [scan.scanned_at for scan in waiting],
    )
    winners = {id(first[row["unit_id"]]) for row in rows}
    return ["activated" if id(scan) in winners else "already_active" for scan in scans]


async def record_scans(call: Call, scans: Sequence[Scan]) -> None:
    """Store scans of the call's brand, their figures and what their units keep of them.

    Each scan of a unit is judged by what the unit's day looks like with it (RESOLVER, "Clone signal"), under
    the brand's thresholds. One statement, all or nothing. Raises `asyncpg.UniqueViolationError` for scans
    stored before.
    """
    await call.connection.execute(
        _STORE_SCANS,
        call.brand_id,
        joined([scan.id.hex for scan in scans]),
        # To the microsecond: a time of this century has as many digits.
        [scan.scanned_at.timestamp() for scan in scans],
        _joined_ids([scan.subject.unit_id for scan in scans]),
        _joined_ids([scan.subject.mint_lot_id for scan in scans]),
        _joined_ids([scan.subject.mint_batch_id for scan in scans]),
        _joined_ids([scan.subject.product_id for scan in scans]),
        joined([scan.outcome for scan in scans]),
        joined([scan.traffic_class for scan in scans]),
        joined([scan.ip_prefix for scan in scans]),
        joined([scan.browser for scan in scans]),
        joined([scan.os for scan in scans]),
        joined([scan.device for scan in scans]),
        joined([scan.path for scan in scans]),
        joined([scan.country for scan in scans]),
        _THRESHOLDS,
    )


async def ensure_months(call: Call, moments: Iterable[datetime]) -> None:
    """Have room for scans of these moments (UTC), which is otherwise a worker's duty.

    Raises `asyncpg.RaiseError` for a moment that is not of the last 31 days.
    """
    first_of = {(moment.year, moment.month): moment for moment in moments}
    for month in sorted(first_of):
        await call.connection.execute(_ENSURE_MONTH, first_of[month])


def _joined_ids(ids: Sequence[UUID | None]) -> str:
    return joined([None if id_ is None else id_.hex for id_ in ids])


async def _active_lots(call: Call, scans: Iterable[FirstScan]) -> set[UUID]:
    """Those of the units' lots that are active; the others cannot become so until the commit.

    So an activation of a whole lot counts each of its units once.
    """
    ids = {scan.subject.mint_lot_id for scan in scans if scan.subject.mint_lot_id is not None}
    if not ids:
        return set()
    rows = await call.connection.fetch(_LOTS_SHARED, call.brand_id, list(ids))
    return {row["id"] for row in rows if row["activated_at"] is not None}


async def _activate_lots(call: Call, mint_lot_ids: Sequence[UUID]) -> bool:
    # In the order of ids, so that two scans of one code cannot hold each other up.
    await call.connection.execute(_LOTS_HELD, call.brand_id, mint_lot_ids)
    lots = await call.connection.fetch(_ACTIVATE_LOTS, call.brand_id, mint_lot_ids, call.now)
    if not lots:
        return False
    bounds = [
        unit_id_bounds(
            lot["unit_id_low"], lot["requested_quantity"], lot["first_unit_no"], lot["quantity"]
        )
        for lot in lots
    ]
    # A statement of its own: it must see the units activated by those that held these lots before.
    await call.connection.execute(
        _COUNT_LOTS_ACTIVATED,
        call.brand_id,
        call.now,
        [lot["mint_batch_id"] for lot in lots],
        [first for first, _ in bounds],
        [last for _, last in bounds],
        [lot["quantity"] for lot in lots],
    )
    return True
