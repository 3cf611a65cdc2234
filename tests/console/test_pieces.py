"""What stands in every row is made in Python: it escapes as templates do, and reads as people read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

from mintage.console.pieces import Bar, drawn, event_line, scan_row, short_id, status, when

MARKUP = "<b>\"'&"
ID = UUID("01a20f7f-05c0-7577-99b4-8d60c67f3cc4")
AT = datetime(2026, 3, 9, 1, 2, 3, tzinfo=timezone(timedelta(hours=2)))


def test_no_piece_lets_markup_through() -> None:
    event = {
        "event_type": MARKUP,
        "payload": {"count": 3, "error": MARKUP, "reason": MARKUP},
        "mint_batch_id": MARKUP,
        "actor_type": "user",
        "created_at": AT,
    }
    scan = dict.fromkeys(("outcome", "unit_id", "country", "device", "os", "browser"), MARKUP)
    pieces = (
        status(MARKUP),
        short_id(MARKUP),
        event_line(event, f"/{MARKUP}/"),
        scan_row(scan | {"severity": MARKUP, "scanned_at": AT}, f"/{MARKUP}/"),
    )
    for piece in pieces:
        assert "<b>" not in piece, piece
        assert "\"'" not in piece, piece
        assert "&lt;b&gt;&#34;&#39;&amp;" in piece, piece


def test_a_time_is_told_in_utc_and_none_is_a_dash() -> None:
    assert when(AT) == (
        '<time datetime="2026-03-08T23:02:03+00:00" title="UTC">8 Mar 2026, 23:02:03</time>'
    )
    assert when(None) == "–"


def test_an_event_leads_to_its_batch_only_where_it_is_asked_to() -> None:
    event = {
        "event_type": "mint_units_created",
        "payload": {"count": 20_000},
        "mint_batch_id": ID,
        "actor_type": "system",
        "created_at": AT.astimezone(UTC),
    }
    assert "Units were made" in event_line(event)
    assert "20,000" in event_line(event)
    assert "<a " not in event_line(event)
    assert f'href="/batches/{ID}"' in event_line(event, "/batches/")
    assert "<a " not in event_line(event | {"mint_batch_id": None}, "/batches/")


def test_a_scan_of_no_unit_has_a_dash_for_each_thing_unknown() -> None:
    names = ("unit_id", "country", "device", "os", "browser", "severity")
    scan = dict.fromkeys(names) | {"outcome": "recorded", "scanned_at": AT}
    assert scan_row(scan).count("<td>–</td>") == 3
    assert scan_row(scan, "/units/").count("<td>–</td>") == 4


def test_a_bar_of_nothing_has_a_slot_and_no_value() -> None:
    bars = [Bar(0, 20, 5, 100, "2026-01-31", 1200), Bar(8, 120, 5, 0, "2026-02-01", 0)]
    chart = drawn(bars, 120)
    assert "<title>31 Jan: 1,200</title>" in chart
    assert (chart.count('class="slot"'), chart.count('class="value"')) == (2, 1)
