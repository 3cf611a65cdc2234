"""The text of labels: it stays in its box, whatever it is, and says what it cannot show."""

from __future__ import annotations

import hashlib
import re
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mintage.packs.label_fonts import ELLIPSIS, FILES, REPLACEMENT, font_of
from mintage.packs.label_layout import (
    DETAIL_PT,
    HEADING_PT,
    LEAST_PT,
    POINT_MM,
    Alignment,
    Box,
    TextAmount,
)
from mintage.packs.label_text import SetLine, set_text

TEXTS = st.one_of(
    st.text(st.characters(max_codepoint=0x36F), min_size=1, max_size=60),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60),
).filter(str.strip)


def box(
    width: float = 40,
    height: float = 36,
    alignment: Alignment = "left",
    *,
    middle: bool = True,
    scale: float = 1,
) -> Box:
    return Box(5, 1, width, height, alignment, middle, scale)


def width_mm(line: SetLine) -> float:
    return font_of(line.weight).width(line.text) * line.size_pt * POINT_MM


@given(
    st.lists(TEXTS, max_size=1),
    st.lists(TEXTS, max_size=7),
    st.floats(10, 90),
    st.floats(0, 60),
    st.sampled_from(["left", "centre"]),
    st.booleans(),
    st.sampled_from([1.0, 1.3, 3.0]),
)
def test_no_text_leaves_its_box_or_covers_another(
    headings: list[str],
    details: list[str],
    width: float,
    more: float,
    alignment: Alignment,
    middle: bool,
    scale: float,
) -> None:
    amount = TextAmount(len(headings), len(details))
    place = box(width, amount.least_mm + more, alignment, middle=middle, scale=scale)
    shown = [font_of("bold").shown(text) for text in headings]
    lines = set_text(place, shown, [font_of("regular").shown(text) for text in details])
    assert len(lines) >= len(details)
    before = place.top_mm
    for line in lines:
        assert LEAST_PT <= line.size_pt <= HEADING_PT * scale
        assert line.left_mm >= place.left_mm - 1e-6
        assert line.left_mm + width_mm(line) <= place.left_mm + place.width_mm + 1e-6
        # Capitals reach 0.76 of the size above the baseline, accents more; what hangs reaches 0.24 below.
        assert line.baseline_mm - 0.76 * line.size_pt * POINT_MM >= before - 1e-6
        before = line.baseline_mm + 0.24 * line.size_pt * POINT_MM
    assert before <= place.top_mm + place.height_mm + 1e-6


def test_text_has_its_full_size_where_there_is_room() -> None:
    heading, detail = set_text(box(), ["Oak table"], ["GTIN 09506000134352"])
    assert (heading.size_pt, heading.weight) == (HEADING_PT, "bold")
    assert (detail.size_pt, detail.weight) == (DETAIL_PT, "regular")


def test_a_long_name_takes_two_lines_before_it_shrinks() -> None:
    lines = set_text(box(), ["Oak dining table, 200 × 90 cm, oiled"], ["SN 1"])
    assert [line.text for line in lines] == ["Oak dining table, 200 ×", "90 cm, oiled", "SN 1"]
    assert lines[0].size_pt == HEADING_PT


def test_what_does_not_fit_is_cut_with_an_ellipsis() -> None:
    lines = set_text(box(15, 8), ["A very long name of a very long product"], ["SN 1234"])
    heading = [line.text for line in lines if line.weight == "bold"][-1]
    assert heading.endswith(ELLIPSIS)
    assert lines[-1].text == "SN 1234"


@pytest.mark.parametrize(
    "line",
    ["SN WWWWWWWWWWWWWWWW", "(21) WWWWWWWWWWWWWWWWWWWW", "GTIN 09506000134352", "LOT MMMMMMMMMM"],
)
def test_what_names_a_unit_is_smaller_rather_than_cut(line: str) -> None:
    (placed,) = set_text(box(12, 10), (), [line])
    assert placed.text == line
    assert width_mm(placed) <= 12 + 1e-6
    (sku,) = set_text(box(12, 10), (), ["SKU WWWWWWWWWWWWWWWWWWWW"])
    assert sku.text.endswith("…")


def test_a_long_line_does_not_make_the_others_small() -> None:
    url = "id.example.com/01/09506000134352/21/J9WXRCH3QS2CSRND?and=more"
    serial, address = set_text(box(30), [], ["SN 1234", url])
    assert serial.size_pt == 5.0
    assert address.size_pt == LEAST_PT
    assert address.text.endswith(ELLIPSIS)


@pytest.mark.parametrize(
    "text", ["Žluťoučký kůň", "Ελληνικά", "Дубовый стол", "Þórr № 5 – «x»", "ქართული", "20 €"]
)
def test_the_font_has_the_letters_of_europe(text: str) -> None:
    assert font_of("regular").shown(text) == font_of("bold").shown(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("木の机", REPLACEMENT * 3),
        ("a\x07b", f"a{REPLACEMENT}b"),
        ("two\nlines\u00a0here", "two lines here"),
        # Set one after another, letters that are written from the right would be in the wrong order.
        ("שולחן", REPLACEMENT * 5),
        ("e\u0301", "é"),
    ],
)
def test_what_the_font_cannot_show_is_replaced(text: str, shown: str) -> None:
    assert font_of("regular").shown(text) == shown


def test_a_mark_that_stands_on_no_letter_is_set_all_the_same() -> None:
    (line,) = set_text(box(), [], ["\u0301"])
    assert line.size_pt == DETAIL_PT


def test_the_fonts_are_the_files_that_the_page_beside_them_states() -> None:
    folder = resources.files("mintage.packs").joinpath("fonts")
    stated = dict(
        re.findall(r"`(\S+\.ttf)` \| `([0-9a-f]{64})`", folder.joinpath("README.md").read_text())
    )
    assert stated == {
        name: hashlib.sha256(folder.joinpath(name).read_bytes()).hexdigest()
        for name in FILES.values()
    }
    assert "Bitstream Vera" in folder.joinpath("LICENSE.txt").read_text()
