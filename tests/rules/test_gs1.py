"""Single GS1 values: check digits, GTINs, serials, lots, percent-encoding."""

import string

import biip.gtin
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mintage.rules import gs1
from mintage.rules.violation import RuleViolation
from tests.rules.randomness import gtins, set_82_values


@pytest.mark.parametrize(
    ("value", "normal"),
    [
        ("02345673", "00000002345673"),
        ("416000336108", "00416000336108"),
        ("9506000134352", "09506000134352"),
        ("09506000134352", "09506000134352"),
        ("12312312312333", "12312312312333"),
    ],
)
def test_every_length_of_gtin_has_one_14_digit_form(value: str, normal: str) -> None:
    assert gs1.gtin14(value) == normal


@given(gtins)
def test_an_independent_reader_agrees_on_gtins(gtin: str) -> None:
    assert gs1.gtin14(gtin) == biip.gtin.Gtin.parse(gtin).as_gtin_14()


@given(gtins, st.integers(0, 13), st.integers(1, 9))
def test_every_single_wrong_digit_of_a_gtin_is_refused(gtin: str, place: int, by: int) -> None:
    digit = (int(gtin[place]) + by) % 10
    wrong = f"{gtin[:place]}{digit}{gtin[place + 1 :]}"
    with pytest.raises(RuleViolation, match="check digit"):
        gs1.gtin14(wrong)


def test_a_wrong_check_digit_is_answered_with_the_right_one() -> None:
    with pytest.raises(RuleViolation) as refusal:
        gs1.gtin14("9506000134353")
    assert refusal.value.problem == "wrong check digit"
    assert refusal.value.hint == "after 950600013435 the check digit is 2"


@pytest.mark.parametrize(
    "value",
    [
        "",
        "1",
        "950600013435",
        "9506000134352 ",
        " 9506000134352",
        "9506000134352\n",
        "095060001343520",
        "95O6000134352",
        "٩٥٠٦٠٠٠١٣٤٣٥٢",
        "²345673²",
        "-2345673",
    ],
)
def test_a_gtin_of_other_characters_or_lengths_is_refused(value: str) -> None:
    with pytest.raises(RuleViolation):
        gs1.gtin14(value)


@pytest.mark.parametrize(
    ("gtin_type", "fitting"), [("gtin", {8, 12, 13, 14}), ("ean", {8, 13}), ("upc", {12})]
)
def test_identifier_types_narrow_the_length(gtin_type: gs1.GtinType, fitting: set[int]) -> None:
    for length in range(1, 20):
        payload = "1" * (length - 1)
        value = payload + gs1.check_digit(payload)
        if length in fitting:
            assert gs1.gtin14(value, gtin_type) == value.zfill(14)
            continue
        with pytest.raises(RuleViolation, match=f"not a {gtin_type.upper()}"):
            gs1.gtin14(value, gtin_type)


def test_the_hint_of_a_wrong_length_names_the_right_ones() -> None:
    with pytest.raises(RuleViolation) as refusal:
        gs1.gtin14("123")
    assert refusal.value.hint == "8, 12, 13 or 14 digits with a check digit"


@given(st.text())
def test_only_digits_have_a_valid_check_digit(value: str) -> None:
    if gs1.has_valid_check_digit(value):
        assert set(value) <= set(string.digits)
        assert value


@given(set_82_values)
def test_a_value_of_set_82_is_refused_only_for_dots_or_a_formula(value: str) -> None:
    may_be = value not in (".", "..") and value[0] not in "=+-@"
    assert (gs1.serial_problem(value) is None) == may_be
    assert (gs1.lot_code_problem(value) is None) == may_be


@pytest.mark.parametrize("value", ["", "A" * 21, "a b", "a\tb", "a@b", "a#b", "é", "a\0", "a\n"])
def test_values_outside_ai_10_and_21_are_refused(value: str) -> None:
    assert gs1.serial_problem(value) is not None
    assert gs1.lot_code_problem(value) is not None


@pytest.mark.parametrize("value", ["A", "a", "0", "A" * 20, "...", ".a", "a=", "a+b-c", "%41"])
def test_values_at_the_edges_of_ai_10_and_21_are_taken(value: str) -> None:
    assert gs1.serial_problem(value) is None
    assert gs1.lot_code_problem(value) is None


def test_the_character_sets_have_the_sizes_of_their_names() -> None:
    for characters, size in (
        (gs1.SET_82, 82),
        (gs1.SET_39, 39),
        (gs1.SET_32, 32),
        (gs1.SET_64, 64),
    ):
        assert len(characters) == len(set(characters)) == size


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
@example("100%25")
@example("a/b?c#d")
def test_decoding_undoes_encoding(value: str) -> None:
    encoded = gs1.percent_encode(value)
    assert set(encoded) <= set(string.ascii_letters + string.digits + "-._~%")
    assert gs1.percent_decode(encoded) == value


def test_encoding_writes_upper_case_and_leaves_unreserved_characters() -> None:
    assert gs1.percent_encode("aZ09-._~") == "aZ09-._~"
    assert gs1.percent_encode("/:;<=>?+ ü") == "%2F%3A%3B%3C%3D%3E%3F%2B%20%C3%BC"
    assert gs1.percent_decode("%2f+%2F") == "/+/"


@pytest.mark.parametrize("segment", ["%", "%4", "a%4G", "%%41", "%u0041", "%ff", "%C3", "\ud800"])
def test_bad_escapes_are_refused(segment: str) -> None:
    with pytest.raises(RuleViolation):
        gs1.percent_decode(segment)
