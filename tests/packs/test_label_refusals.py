"""Labels that cannot be made are refused when they are asked for, with what would fit."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mintage.packs.context import PackSubject, UnitFacts
from mintage.packs.label_options import LabelsPdfOptions
from mintage.packs.label_refusals import largest_row, refuse_labels_pdf
from mintage.packs.symbols import SymbolKind, symbol_of
from mintage.rules.digital_link import unit_path
from mintage.rules.gs1 import SET_82, percent_encode
from tests.packs.building import GTIN, row, subject
from tests.packs.desk import Desk

HOST = "https://id.example.com"
GENERATED = UnitFacts(HOST, len(f"{HOST}/01/{GTIN}/21/") + 16, 16, 1, None, "J9WXR…")


def brought(longest: int, encoded: int) -> UnitFacts:
    """Of serials whose longest has so many characters, and so many once it is in a URL."""
    return UnitFacts(HOST, len(f"{HOST}/01/{GTIN}/21/") + encoded, longest, 1, None, "A-1")


def asked(options: dict[str, Any], **changes: Any) -> PackSubject:
    model = LabelsPdfOptions.model_validate_json(json.dumps(options))
    return subject(options=model, **{"unit_facts": GENERATED} | changes)


def reasons(options: dict[str, Any], **changes: Any) -> list[str]:
    refusals = refuse_labels_pdf(asked(options, **changes))
    assert all(refusal.code == "FORMAT_NOT_APPLICABLE" for refusal in refusals)
    return [refusal.message for refusal in refusals]


CUSTOM = {"sheet": "custom", "custom": {"label_width_mm": 50, "label_height_mm": 30}}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"sheet": "avery_l4732"},
        {"sheet": "avery_5160"},
        {"symbol": "gs1_datamatrix"},
        {"sheet": "avery_l4732", "symbol": "gs1_datamatrix"},
        CUSTOM,
        {"crop_marks": True, "start_position": 21},
        {"crop_marks": True, "sheet": "avery_5160"},
    ],
    ids=json.dumps,
)
def test_what_is_shipped_fits_generated_serials(options: dict[str, Any]) -> None:
    assert reasons(options) == []


@pytest.mark.parametrize(
    ("options", "figures"),
    [
        ({"sheet": "avery_l4732", "module_mm": 0.5}, ["33 × 33 modules", "20.5 mm", "35.6 × 16.9"]),
        ({"module_mm": 1.2}, ["49.2 mm", "0.929"]),
        ({"sheet": "avery_l4732", "symbol": "gs1_datamatrix", "module_mm": 2}, ["GS1 DataMatrix"]),
        ({"symbol": "gs1_128"}, ["GS1-128", "63.5 mm wide", "gs1_datamatrix"]),
        ({"quiet_zone_modules": 3}, ["at least 4 modules"]),
        ({"start_position": 22}, ["21 labels", "1 to 21, not 22"]),
        ({"sheet": "custom"}, ["label_width_mm"]),
        (CUSTOM | {"sheet": "avery_l7160"}, ["sheet custom"]),
        (
            {"sheet": "custom", "custom": {"label_width_mm": 250, "label_height_mm": 30}},
            ["210.0 mm"],
        ),
        (
            {
                "sheet": "custom",
                "custom": {"label_width_mm": 50, "label_height_mm": 30, "page": "roll"},
                "crop_marks": True,
            },
            ["Crop marks", "0.0 mm"],
        ),
        (
            {"sheet": "custom", "custom": {"label_width_mm": 21, "label_height_mm": 21}},
            ["3 lines of text", "[]"],
        ),
        (
            {
                "sheet": "custom",
                "symbol": "gs1_128",
                "custom": {"label_width_mm": 100, "label_height_mm": 8},
            },
            ["Bars of 5 mm"],
        ),
    ],
    ids=json.dumps,
)
def test_what_does_not_fit_is_refused_with_figures(
    options: dict[str, Any], figures: list[str]
) -> None:
    (reason,) = reasons(options)
    assert all(figure in reason for figure in figures), reason


@pytest.mark.parametrize(
    ("size", "symbol", "field"),
    [((28, 17.5), "qr", "serial"), ((24, 14), "gs1_datamatrix", "serial")],
)
def test_a_label_that_would_cut_a_serial_is_refused_and_the_width_that_is_named_fits(
    size: tuple[float, float], symbol: str, field: str
) -> None:
    def of(width_mm: float) -> dict[str, Any]:
        custom = {"label_width_mm": width_mm, "label_height_mm": size[1]}
        return {"sheet": "custom", "custom": custom, "symbol": symbol, "module_mm": 0.4}

    told = reasons(of(size[0]))
    (serial,) = [reason for reason in told if f"The text of {field} takes" in reason]
    wider = re.search(r"that is ([0-9.]+) mm wider would fit", serial)
    assert wider is not None
    assert reasons(of(size[0] + float(wider[1]) + 0.1)) == []
    assert reasons(of(size[0]) | {"text": ["product_name"]}) == []


def test_the_module_that_a_refusal_names_does_fit() -> None:
    (reason,) = reasons({"sheet": "avery_l4732", "module_mm": 0.5})
    fitting = float(reason.partition("module_mm ")[2].split()[0])
    assert 0.4 < fitting < 0.5
    assert reasons({"sheet": "avery_l4732", "module_mm": fitting}) == []
    assert reasons({"sheet": "avery_l4732", "module_mm": fitting + 0.001}) != []


def test_all_reasons_come_at_once() -> None:
    options = {"start_position": 30, "quiet_zone_modules": 1, "module_mm": 2}
    assert len(reasons(options)) == 3


@pytest.mark.parametrize("symbol", ["gs1_datamatrix", "gs1_128"])
def test_gs1_symbols_need_a_gtin(symbol: str) -> None:
    (reason,) = reasons({"symbol": symbol}, gtin=None)
    assert "GTIN" in reason
    assert reasons({}, gtin=None) == []


def test_longer_urls_take_larger_symbols() -> None:
    assert reasons({"sheet": "avery_l4732"}, unit_facts=brought(10, 10)) == []
    (reason,) = reasons({"sheet": "avery_l4732"}, unit_facts=brought(20, 60))
    assert "37 × 37" in reason or "41 × 41" in reason


def test_lots_are_judged_by_their_codes() -> None:
    facts = UnitFacts(HOST, len(f"{HOST}/01/{GTIN}/10/") + 12, 0, 0, None, None)
    found = largest_row(asked({}, identity_mode="batch", unit_facts=facts))
    assert (len(found.lot_code or ""), found.serial_number) == (12, None)
    assert len(found.resolver_url) == facts.longest_url_characters
    assert reasons({"symbol": "gs1_datamatrix"}, identity_mode="batch", unit_facts=facts) == []


@given(
    st.text(SET_82, min_size=1, max_size=20),
    st.sampled_from(["qr", "gs1_datamatrix", "gs1_128"]),
)
def test_no_serial_takes_more_room_than_what_is_judged(serial: str, kind: SymbolKind) -> None:
    url = HOST + unit_path(GTIN, serial)
    facts = brought(len(serial), len(percent_encode(serial)))
    assert len(url) == facts.longest_url_characters
    largest = symbol_of(largest_row(asked({}, unit_facts=facts)), kind, "M")
    one = symbol_of(row(serial_number=serial, resolver_url=url), kind, "M")
    assert one.width <= largest.width


@given(st.text("0123456789ABCDEFGHJKMNPQRSTVWXYZ", min_size=16, max_size=16))
def test_no_generated_serial_takes_more_room_than_what_is_judged(serial: str) -> None:
    url = HOST + unit_path(GTIN, serial)
    kinds: tuple[SymbolKind, ...] = ("qr", "gs1_datamatrix", "gs1_128")
    for kind in kinds:
        largest = symbol_of(largest_row(asked({})), kind, "M")
        one = symbol_of(row(serial_number=serial, resolver_url=url), kind, "M")
        assert one.width <= largest.width


async def test_labels_that_do_not_fit_are_refused_when_they_are_asked_for(desk: Desk) -> None:
    batch_id = (await desk.world.minted(2))["mint_batch_id"]
    answer = await desk.request(batch_id, format="labels_pdf", options={"module_mm": 3})
    assert answer["ok"] is False
    (reason,) = answer["blocking_reasons"]
    assert reason["code"] == "FORMAT_NOT_APPLICABLE"
    assert "module_mm" in reason["message"]


def test_defaults_follow_the_symbol_and_the_sheet() -> None:
    def defaults(**options: Any) -> tuple[float, int]:
        model = LabelsPdfOptions.model_validate_json(json.dumps(options))
        return model.module_mm, model.quiet_zone_modules

    assert defaults() == (0.5, 4)
    assert defaults(sheet="avery_l4732") == (0.4, 4)
    assert defaults(symbol="gs1_datamatrix") == (0.5, 1)
    assert defaults(symbol="gs1_128") == (0.264, 10)
    assert defaults(module_mm=0.33, quiet_zone_modules=5) == (0.33, 5)
