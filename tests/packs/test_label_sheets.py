"""The measures of label sheets: the shipped ones, and those that are asked for."""

from __future__ import annotations

from typing import Any

import pytest

from mintage.packs.label_sheets import SHEETS, CustomSheet, Sheet, SheetName, custom_sheet


def custom(**measures: Any) -> Sheet | str:
    """The sheet of labels 50 × 30 mm, but for `measures`."""
    plain = {"label_width_mm": 50.0, "label_height_mm": 30.0}
    return custom_sheet(CustomSheet(**plain | measures))


@pytest.mark.parametrize(
    ("name", "labels", "size", "page"),
    [
        ("avery_l7160", 21, (63.5, 38.1), (210, 297)),
        ("avery_l4732", 80, (35.6, 16.9), (210, 297)),
        ("avery_5160", 30, (2.625 * 25.4, 25.4), (8.5 * 25.4, 11 * 25.4)),
    ],
)
def test_a_shipped_sheet_has_its_makers_measures(
    name: SheetName, labels: int, size: tuple[float, float], page: tuple[float, float]
) -> None:
    sheet = SHEETS[name]
    assert sheet.labels == labels
    assert (sheet.label_width_mm, sheet.label_height_mm) == pytest.approx(size)
    assert (sheet.page_width_mm, sheet.page_height_mm) == pytest.approx(page)
    # The grid of each is in the middle of its page.
    assert sheet.margin_left_mm == pytest.approx(sheet.margin_right_mm, abs=0.01)
    assert sheet.margin_top_mm == pytest.approx(sheet.margin_bottom_mm, abs=0.01)


def test_labels_are_counted_by_rows_from_the_top_left() -> None:
    sheet = SHEETS["avery_l7160"]
    assert sheet.corner(0) == (7.21, 15.15)
    assert sheet.corner(1) == pytest.approx((7.21 + 63.5 + 2.54, 15.15))
    assert sheet.corner(3) == pytest.approx((7.21, 15.15 + 38.1))
    assert sheet.corner(20) == pytest.approx((210 - 7.21 - 63.5, 297 - 15.15 - 38.1), abs=0.01)


@pytest.mark.parametrize(
    ("labels", "start", "pages"), [(21, 1, 1), (22, 1, 2), (21, 2, 2), (1, 21, 1), (10_000, 1, 477)]
)
def test_pages_are_counted_from_the_start_position(labels: int, start: int, pages: int) -> None:
    assert SHEETS["avery_l7160"].pages(labels, start) == pages


def test_as_many_labels_as_fit_stand_in_the_middle() -> None:
    sheet = custom(column_gap_mm=2.0)
    assert isinstance(sheet, Sheet)
    assert (sheet.columns, sheet.rows) == (4, 9)
    assert sheet.margin_left_mm == sheet.margin_right_mm == 2
    assert sheet.margin_top_mm == pytest.approx(13.5)


def test_a_full_page_may_be_used_to_its_last_millimetre() -> None:
    sheet = custom(label_width_mm=52.5, label_height_mm=29.7, margin_top_mm=0.0)
    assert isinstance(sheet, Sheet)
    assert (sheet.columns, sheet.rows) == (4, 10)


def test_a_roll_is_as_large_as_its_labels() -> None:
    sheet = custom(page="roll", columns=2, column_gap_mm=3.0)
    assert isinstance(sheet, Sheet)
    assert (sheet.page_width_mm, sheet.page_height_mm, sheet.labels) == (103, 30, 2)


@pytest.mark.parametrize(
    ("measures", "figures"),
    [
        ({"columns": 5}, ["5 columns of 50 mm", "250 mm", "210 mm wide", "at most 4 fit"]),
        ({"rows": 10}, ["10 rows of 30 mm", "300 mm", "297 mm high", "at most 9 fit"]),
        ({"columns": 4, "column_gap_mm": 5.0}, ["215 mm", "at most 3 fit"]),
        ({"margin_left_mm": 20.0, "columns": 4}, ["220 mm", "at most 3 fit"]),
        ({"label_width_mm": 250.0}, ["250 mm", "a label may be 210.0 mm wide"]),
        ({"page": "letter", "columns": 5}, ["215.9 mm wide"]),
        ({"columns": 5, "rows": 10}, ["at most 4 fit", "at most 9 fit"]),
        ({"page": "roll", "rows": 2}, ["one row"]),
    ],
)
def test_what_does_not_fit_a_page_is_said_with_what_would(
    measures: dict[str, Any], figures: list[str]
) -> None:
    fault = custom(**measures)
    assert isinstance(fault, str)
    assert all(figure in fault for figure in figures), fault
