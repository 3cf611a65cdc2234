"""Prefixes as ranges, held against `startswith` and against sorting."""

from __future__ import annotations

import string
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mintage.rules.gs1 import GTIN_LENGTHS
from mintage.rules.prefixes import (
    first_id_from,
    gtin_prefixes,
    id_range,
    text_range,
)

TEXTS = st.text(
    st.one_of(
        st.characters(exclude_categories=["Cs"]),
        st.sampled_from("ab\x7f\x80\ud7ff\ue000\uffff\U0010ffff"),
    ),
    max_size=6,
)
IDS = st.integers(0, 2**128 - 1).map(lambda number: UUID(int=number))


@given(TEXTS.filter(bool), TEXTS)
def test_a_range_of_texts_holds_what_begins_with_the_prefix(prefix: str, other: str) -> None:
    for text in (other, prefix, prefix + other, prefix[:-1] + other):
        assert (text in text_range(prefix)) is text.startswith(prefix)


@given(TEXTS.filter(bool))
def test_code_points_are_in_the_order_of_their_bytes(text: str) -> None:
    # Which is what PostgreSQL compares under collation "C".
    found = text_range(text)
    assert found.lowest.encode() < found.end.encode()


@given(IDS, st.integers(1, 36), IDS)
def test_a_range_of_ids_holds_what_begins_with_the_prefix(
    identifier: UUID, length: int, other: UUID
) -> None:
    prefix = str(identifier)[:length]
    for written in (prefix, prefix.upper(), prefix.replace("-", "")):
        found = id_range(written)
        assert found is not None
        assert identifier in found
        assert (other in found) is other.hex.startswith(prefix.replace("-", ""))


@pytest.mark.parametrize(
    "prefix",
    [
        "",
        "g",
        "01g",
        "-",
        "01-",
        "0123456-8",
        "01234567-89abc",
        "01a20dca3f27-773c",
        "{01",
        " 01",
        "0" * 33,
        f"{UUID(int=0)}-",
        f"{UUID(int=0)}0",
        "٣٤",
        "0１",
    ],
)
def test_what_no_id_begins_with_is_no_prefix(prefix: str) -> None:
    assert id_range(prefix) is None


@given(
    st.one_of(
        st.text(string.printable, max_size=40),
        st.text("0f-", max_size=40),
        IDS.map(str),
        st.tuples(IDS, st.integers(0, 36), st.text(string.printable, max_size=3)).map(
            lambda parts: str(parts[0])[: parts[1]] + parts[2]
        ),
    ),
    IDS,
)
def test_the_first_id_from_a_text_is_the_lowest_that_is_not_below_it(
    text: str, other: UUID
) -> None:
    first = first_id_from(text)
    if first is None:
        assert str(UUID(int=2**128 - 1)) < text
        return
    assert str(first) >= text
    assert first.int == 0 or str(UUID(int=first.int - 1)) < text
    assert (str(other) >= text) is (other >= first)


@given(st.text("0123456789", min_size=1, max_size=14), st.text("09", min_size=8, max_size=14))
def test_a_gtin_is_found_by_the_beginning_of_any_of_its_forms(prefix: str, digits: str) -> None:
    gtin14 = digits.zfill(14)
    forms = [
        gtin14[14 - length :] for length in GTIN_LENGTHS if int(gtin14[: 14 - length] or 0) == 0
    ]
    found = any(gtin14.startswith(beginning) for beginning in gtin_prefixes(prefix))
    assert found is any(form.startswith(prefix) for form in forms)


@pytest.mark.parametrize("prefix", ["", "1a", "1" * 15, "-1", "1 ", "٣"])
def test_what_no_gtin_begins_with_has_no_form(prefix: str) -> None:
    assert gtin_prefixes(prefix) == ()
