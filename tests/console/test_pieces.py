"""What stands in every row is made in Python: it escapes as templates do, and reads as people read."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from uuid import UUID

import pytest

from mintage.console.delivery_rows import delivery_rows
from mintage.console.event_facts import fact_of
from mintage.console.pieces import choices, percent, short_id, status, when
from mintage.console.rows import (
    Bar,
    batch_choices,
    batch_rows,
    drawn,
    event_lines,
    pack_rows,
    product_choices,
    product_rows,
    scan_rows,
    unit_rows,
)

MARKUP = "<b>\"'&"
ID = UUID("01a20f7f-05c0-7577-99b4-8d60c67f3cc4")
AT = datetime(2026, 3, 9, 1, 2, 3, tzinfo=timezone(timedelta(hours=2)))


URL = f"/{MARKUP}/"


def of_markup(*names: str) -> dict[str, object]:
    """A row whose texts are all markup."""
    return dict.fromkeys(names, MARKUP) | {"id": ID, "created_at": AT}


EVENT = of_markup("event_type", "mint_batch_id") | {
    "payload": {"count": 3, "error": MARKUP, "reason": MARKUP, "user_id": "2"},
    "actor_type": "user",
    "actor_id": ID,
}
SCAN = of_markup("outcome", "unit_id", "country", "device", "os", "browser", "severity") | {
    "scanned_at": AT
}
UNIT = of_markup("serial_number", "product_sku", "status", "resolver_url", "mint_batch_id") | {
    "unit_no": 0,
    "lot_code": None,
}
BATCH = of_markup("product_sku", "status") | {
    "identity_mode": "serial",
    "minted_quantity": 1,
    "requested_quantity": 1_000,
}
PRODUCT = of_markup("sku", "name", "gtin", "commercial_status", "mint_readiness_status")
PACK = of_markup("format", "status", "product_sku", "storage_path", "error", "sha256") | {
    "export_group_id": ID,
    "pack_index": 1,
    "pack_count": 2,
    "unit_count": 10_000,
    "byte_size": 1,
}
DELIVERY = of_markup("event_type", "event_id", "failure", "answer_excerpt") | {
    "status": "failed",
    "answer_code": 503,
    "attempts": 1_000,
    "last_attempt_at": AT,
    "next_try_at": None,
}
COLUMNS = ("format", "download", "product", "pack", "status", "units", "size", "created", "sha256")


@pytest.mark.parametrize(
    "piece",
    [
        pytest.param(piece, id=name)
        for name, piece in {
            "status": status(MARKUP),
            "short id": short_id(MARKUP),
            "event": event_lines([EVENT], {str(ID): MARKUP, "2": MARKUP}, URL),
            "scan": scan_rows([SCAN], URL),
            "unit": unit_rows([UNIT], URL),
            "batch": batch_rows([BATCH], URL),
            "product": product_rows([PRODUCT], URL),
            "pack": pack_rows([PACK], URL, COLUMNS),
            "delivery": delivery_rows([DELIVERY], URL, ID, MARKUP),
            "choice of products": product_choices([PRODUCT], "", is_named=True),
            "choice of batches": batch_choices([BATCH], ""),
        }.items()
    ],
)
def test_no_piece_lets_markup_through(piece: str) -> None:
    assert "<b>" not in piece
    assert "\"'" not in piece
    assert "&lt;b&gt;&#34;&#39;&amp;" in piece


def test_numbers_in_rows_have_separators() -> None:
    assert "1 / 1,000" in batch_rows([BATCH], "/")
    assert "· 1,000 ·" in batch_choices([BATCH], "")
    assert ">10,000<" in pack_rows([PACK], "/", ("units",))


def test_a_manifest_is_no_pack_of_units() -> None:
    manifest = PACK | {"format": "group_manifest", "storage_path": None}
    row = pack_rows([manifest], "/", ("pack", "units", "download"))
    assert row == '<tr><td>manifest</td><td class="n">–</td><td></td></tr>\n'


def test_of_choices_the_chosen_one_is_selected() -> None:
    offered = product_choices([PRODUCT | {"sku": "A"}, PRODUCT | {"id": 2, "sku": "B"}], "2")
    assert offered == f'<option value="{ID}">A</option><option value="2" selected>B</option>'
    assert choices(("minted", "voided"), "voided", "status").count(" selected") == 1


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
        "actor_id": None,
        "created_at": AT.astimezone(UTC),
    }
    assert "Units were made" in event_lines([event], {})
    assert "20,000" in event_lines([event], {})
    assert "<a " not in event_lines([event], {})
    assert f'href="/batches/{ID}"' in event_lines([event], {}, "/batches/")
    assert "<a " not in event_lines([event | {"mint_batch_id": None}], {}, "/batches/")


def test_who_acted_and_who_is_concerned_are_named_if_they_are_known() -> None:
    other = "00000000-0000-0000-0000-000000000002"
    event = {
        "event_type": "member_changed",
        "payload": {"user_id": other, "previous_role": "viewer", "role": "admin"},
        "mint_batch_id": None,
        "actor_type": "user",
        "actor_id": ID,
        "created_at": AT,
    }
    known = event_lines([event], {str(ID): "ann@example.com", other: "ben@example.com"})
    assert "<strong>ben@example.com</strong>" in known
    assert ">ann@example.com · " in known
    unknown = event_lines([event], {})
    assert "<strong>" not in unknown
    assert ">a member · " in unknown
    himself = event | {"event_type": "signed_in", "payload": {"user_id": str(ID)}}
    assert event_lines([himself], {str(ID): "ann@example.com"}).count("ann@example.com") == 1


def test_a_scan_of_no_unit_has_a_dash_for_each_thing_unknown() -> None:
    names = ("unit_id", "country", "device", "os", "browser", "severity")
    scan = dict.fromkeys(names) | {"outcome": "recorded", "scanned_at": AT}
    assert scan_rows([scan]).count("<td>–</td>") == 3
    assert scan_rows([scan], "/units/").count("<td>–</td>") == 4


def test_a_bar_of_nothing_has_a_slot_and_no_value() -> None:
    bars = [
        Bar(0, 20, 5, 100, "2026-01-31", 1200),
        Bar(8, 120, 5, 0, date(2026, 2, 1), 0),
    ]
    chart = drawn(bars, 120)
    assert "<title>31 Jan: 1,200</title>" in chart
    assert "<title>1 Feb: 0</title>" in chart
    assert chart.count('class="slot"') == 2
    assert chart.endswith('<path class="value" d="M0 120V20h5V120z"/>')


@pytest.mark.parametrize(
    ("kind", "payload", "told"),
    [
        ("mint_units_created", {"count": 20_000}, "20,000"),
        ("mint_requested", {"requested_quantity": 1_000_000}, "1,000,000"),
        ("mint_job_failed", {"requested_quantity": 7, "error": "INTERNAL"}, ""),
        (
            "mint_batch_status_changed",
            {"previous_status": "minted", "status": "voided"},
            "minted → voided",
        ),
        ("payload_packs_requested", {"format": "csv", "pack_count": 3}, "csv"),
        ("payload_pack_completed", {"pack_index": 2, "pack_count": 3}, "2 of 3"),
        ("payload_pack_completed", {"pack_index": 0, "pack_count": 3}, ""),
        ("payload_pack_completed", {"pack_index": 4, "pack_count": 3}, "manifest"),
        ("mint_lots_confirmed", {"lots": [{}, {}]}, "2"),
        ("member_changed", {"previous_role": "viewer", "role": "admin"}, "viewer → admin"),
        ("member_changed", {"previous_role": None, "role": "admin"}, "admin added"),
        ("member_changed", {"previous_role": "admin", "role": None}, "admin removed"),
        ("api_key_changed", {"change": "rotated", "name": "ERP"}, "new secret ERP"),
        (
            "settings_changed",
            {"subject": "product", "change": "created", "sku": "A-1"},
            "product created A-1",
        ),
        ("settings_changed", {"subject": "a_new_thing", "change": "turned"}, "a new thing turned"),
        ("identifier_changed", {"identifier_type": "gtin", "identifier_value": "1"}, "GTIN 1"),
        ("signed_in", {"address_prefix": "203.0.113.0/24"}, "203.0.113.0/24"),
        ("mint_job_started", {}, ""),
    ],
)
def test_an_event_tells_what_changed(kind: str, payload: dict[str, object], told: str) -> None:
    assert fact_of(kind, payload) == told


@pytest.mark.parametrize(
    ("share", "shown"),
    [
        (None, "–"),
        (0.0, "0.0 %"),
        (0.00001, "< 0.1 %"),
        (0.25, "25.0 %"),
        (0.9999, "> 99.9 %"),
        (1.0, "100.0 %"),
    ],
)
def test_a_share_is_nothing_or_all_only_if_it_is(share: float | None, shown: str) -> None:
    assert percent(share) == shown
