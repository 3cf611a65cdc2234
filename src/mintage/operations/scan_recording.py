"""record_scan_event: a scan that another resolver saw, recorded as ours are (SPEC §4; RESOLVER, "Scans").

The same operations serve both: `resolving` says what was scanned, `scanning` activates and stores. Not
here: listing scans (`scan_events`).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from mintage.db.queries import query
from mintage.errors import ArgumentProblem, invalid_input
from mintage.operations.arguments_telemetry import SUBJECT_HINT, RecordScanEvent, ScanContext
from mintage.operations.call import Answer, Call, Transactions, new_id
from mintage.operations.countries import Countries
from mintage.operations.resolving import GtinLot, GtinSerial, Key, LotId, Subject, UnitId, resolve
from mintage.operations.scanning import Scan, activate, prefix_of, record_scans
from mintage.operations.user_agents import agent_class, families
from mintage.rules.gs1 import gtin14
from mintage.rules.lifecycle import ScanOutcome
from mintage.rules.serials import has_valid_check_character, is_generated_shape

CLOCK_AHEAD_S_MAX: Final = 60
PATH_CHARACTERS_MAX: Final = 512
_ALL_BRANDS: Final = query("duty", "all_brands")
_ENSURE_PARTITION: Final = query("scan_event", "ensure_partition")
_LOCK_SCAN_ID: Final = query("scan_event", "lock_scan_id")
_RECEIPT: Final = query("scan_event", "receipt")
_INSERT_RECEIPT: Final = query("scan_event", "insert_receipt")
_REMOVE_OLD_RECEIPTS: Final = query("scan_event", "remove_old_receipts")
_DROP_PARTITIONS: Final = query("scan_event", "drop_partitions")


async def record_scan_event(call: Call, arguments: RecordScanEvent) -> Answer:
    """Activate what the scan activates and store it: `{ok, outcome}`.

    `unknown` is a code that was not issued here: nothing is stored of it. The same `_scan_id` again answers
    the first outcome and records nothing. 400 for no subject or several, a time in the future or too long
    ago, and a bot's user agent.
    """
    scanned_at = arguments.scanned_at or call.now
    problems = [
        *_subject_problems(arguments),
        *_time_problems(scanned_at, call.now, call.limits.scans_kept_days),
    ]
    if problems:
        raise invalid_input(problems)
    scan_id = arguments.scan_id
    if scan_id is not None:
        await call.connection.execute(_LOCK_SCAN_ID, call.brand_id, scan_id)
        recorded = await call.connection.fetchval(_RECEIPT, call.brand_id, scan_id)
        if recorded is not None:
            return {"ok": True, "outcome": recorded}
    key = _key(arguments)
    subject = await resolve(call, key) if key is not None else None
    if subject is None:
        return {"ok": True, "outcome": "unknown"}
    outcome = await activate(call, subject)
    await call.connection.execute(_ENSURE_PARTITION, scanned_at)
    await record_scans(
        call, [_scan(subject, outcome, scanned_at, arguments.context, call.countries)]
    )
    if scan_id is not None:
        await call.connection.execute(
            _INSERT_RECEIPT, call.brand_id, scan_id, outcome, scanned_at, call.now
        )
    return {"ok": True, "outcome": outcome}


async def remove_old_scans(transactions: Transactions) -> int:
    """A duty: drop the months of scans whose last day is too old; how many there were.

    While it drops one, scans wait in their buffers. It waits 2 s at most for whoever reads them, and then
    leaves the month for the next time.
    """
    service = transactions.caller.identity(None)
    async with transactions.database.transaction(service) as connection:
        dropped: int = await connection.fetchval(
            _DROP_PARTITIONS, transactions.limits.scans_kept_days
        )
    return dropped


async def remove_old_scan_receipts(transactions: Transactions) -> int:
    """A duty: remove receipts of scans too old to be recorded again; how many there were."""
    service = transactions.caller.identity(None)
    async with transactions.database.transaction(service, read_only=True) as connection:
        brand_ids = [row["id"] for row in await connection.fetch(_ALL_BRANDS)]
    removed = 0
    for brand_id in brand_ids:
        async with transactions.call(brand_id) as call:
            # A day more than is taken, whatever the clocks say.
            tag = await call.connection.execute(
                _REMOVE_OLD_RECEIPTS, brand_id, transactions.limits.scans_kept_days + 1
            )
            removed += int(tag.rpartition(" ")[2])
    return removed


def _subject_problems(arguments: RecordScanEvent) -> list[ArgumentProblem]:
    """What is missing to name one thing; too much was refused with the types."""
    if arguments.unit_id is not None or arguments.mint_lot_id is not None:
        return []
    has_value = arguments.serial_number is not None or arguments.lot_code is not None
    if arguments.gtin is not None and has_value:
        return []
    missing = ["_gtin"] if has_value else ["_unit_id"]
    if arguments.gtin is not None:
        missing = ["_serial_number", "_lot_code"]
    return [ArgumentProblem(name, "is missing", SUBJECT_HINT) for name in missing]


def _time_problems(scanned_at: datetime, now: datetime, kept_days: int) -> list[ArgumentProblem]:
    hint = f"must be of the last {kept_days} days and not in the future"
    if scanned_at > now + timedelta(seconds=CLOCK_AHEAD_S_MAX):
        return [ArgumentProblem("_scanned_at", "is in the future", hint)]
    if scanned_at < now - timedelta(days=kept_days):
        return [ArgumentProblem("_scanned_at", "is too long ago", hint)]
    return []


def _key(arguments: RecordScanEvent) -> Key | None:
    """What the arguments name; None for a serial that was not issued by anybody."""
    if arguments.unit_id is not None:
        return UnitId(arguments.unit_id)
    if arguments.mint_lot_id is not None:
        return LotId(arguments.mint_lot_id)
    if arguments.gtin is None:
        return None
    serial_number, lot_code = arguments.serial_number, arguments.lot_code
    if serial_number is None:
        return None if lot_code is None else GtinLot(gtin14(arguments.gtin), lot_code)
    if is_generated_shape(serial_number) and not has_valid_check_character(serial_number):
        return None
    return GtinSerial(gtin14(arguments.gtin), serial_number)


def _scan(
    subject: Subject,
    outcome: ScanOutcome,
    scanned_at: datetime,
    context: ScanContext | None,
    countries: Countries,
) -> Scan:
    context = context or ScanContext()
    user_agent = context.user_agent or ""
    read = families(user_agent)
    return Scan(
        id=new_id(scanned_at),
        scanned_at=scanned_at,
        subject=subject,
        outcome=outcome,
        traffic_class="human" if agent_class(user_agent) == "human" else "unknown",
        ip_prefix=prefix_of(context.ip) if context.ip is not None else None,
        browser=read.browser,
        os=read.os,
        device=read.device,
        path=(context.path or "")[:PATH_CHARACTERS_MAX],
        country=countries.of(context.ip),
    )
