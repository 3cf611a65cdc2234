"""What searching answers, and what recording, listing and counting scans do (SPEC §4, CATALOGUE)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mintage.operations.answer_models import Count, Day, Id, Moment, Page, Success, Wire
from mintage.rules.lifecycle import ScanOutcome, ScanSeverity

TrafficClass = Literal["human", "unknown"]


class SearchResult(Wire):
    object_type: Literal["token", "batch", "export", "product"]
    id: Id
    title: str
    subtitle: str | None
    status: str
    created_at: Moment


class SearchPage(Page):
    results: Annotated[list[SearchResult], Field(max_length=20)]


class ScanRecorded(Success):
    outcome: ScanOutcome


class ScanEvent(Wire):
    id: Id
    scanned_at: Moment
    unit_id: Id | None
    mint_lot_id: Id | None
    product_id: Id | None
    outcome: ScanOutcome
    traffic_class: TrafficClass
    country: str | None
    browser: str | None
    os: str | None
    device: str | None
    severity: ScanSeverity | None


class ScanEventPage(Page):
    scan_events: list[ScanEvent]


class DayOfScans(Wire):
    day: Day
    scans: Count
    units_minted: Count
    units_activated: Count


class ScanActivity(Success):
    days: Annotated[list[DayOfScans], Field(min_length=1, max_length=90)]
