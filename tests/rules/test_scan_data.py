"""Scanner data, against GS1's cases and there and back."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mintage.rules.scan_data import SYMBOLOGIES, Scan, Symbology, read_scan, write_scan
from mintage.rules.violation import RuleViolation
from tests.rules.randomness import gtins, set_82_values, vectors_of


def cases(name: str) -> list[dict[str, Any]]:
    vectors: list[dict[str, Any]] = vectors_of(f"gs1-syntax-engine/{name}.json")["vectors"]
    return vectors


@pytest.mark.parametrize("case", cases("scan-data-process"), ids=lambda case: case["scan_data"])
def test_a_scan_is_read_as_gs1_reads_it(case: dict[str, Any]) -> None:
    if not case["valid"]:
        with pytest.raises(RuleViolation):
            read_scan(case["scan_data"])
        return
    scan = read_scan(case["scan_data"])
    assert scan == Scan(case["symbology"], case["data"])
    assert write_scan(scan.symbology, scan.data) == case["scan_data"]


@pytest.mark.parametrize(
    "case",
    # "NONE" is the engine before a symbology is chosen; ours always has one.
    [case for case in cases("scan-data-generate") if case["symbology"] != "NONE"],
    ids=lambda case: f"{case['symbology']} {case['data']}",
)
def test_a_symbol_is_said_as_gs1_says_it(case: dict[str, Any]) -> None:
    # The file keeps no switches; this one case was run with "add check digit".
    adds_check_digit = case["data"] == "211234567890"
    if case["scan_data"] is None:
        with pytest.raises(RuleViolation):
            write_scan(case["symbology"], case["data"])
        return
    said = write_scan(case["symbology"], case["data"], adds_check_digit=adds_check_digit)
    assert said == case["scan_data"]


@given(st.sampled_from(["QR", "DM", "DotCode"]), st.text(alphabet="A^\\|1", max_size=12))
def test_plain_data_comes_back_whatever_its_escapes(symbology: Symbology, text: str) -> None:
    plain = f"]{ {'QR': 'Q1', 'DM': 'd1', 'DotCode': 'J0'}[symbology] }{text}"
    scan = read_scan(plain)
    assert not scan.data.startswith("^")
    assert write_scan(symbology, scan.data) == plain


@given(gtins, set_82_values)
def test_gs1_data_comes_back(gtin: str, serial: str) -> None:
    for symbology in ("QR", "DM", "DotCode", "GS1_128_CCA", "DataBarExpanded"):
        said = write_scan(symbology, f"^01{gtin}21{serial}")
        assert read_scan(said) == Scan(symbology, f"^01{gtin}21{serial}")


@pytest.mark.parametrize("symbology", SYMBOLOGIES)
def test_a_gtin_as_element_string_fits_every_symbol_that_has_room(symbology: Symbology) -> None:
    gtin = "00000002345673" if symbology == "EAN8" else "00416000336108"
    said = write_scan(symbology, f"^01{gtin}")
    assert said.endswith(gtin.lstrip("0"))


@pytest.mark.parametrize(
    ("symbology", "data"),
    [
        ("DataBarLimited", "24012345678905"),
        ("DataBarOmni", "24012345678906"),
        ("EAN13", "2112345678900|99PLAIN"),
        ("GS1_128_CCA", "PLAIN"),
        ("QR", "^01123"),
    ],
)
def test_content_that_a_symbol_cannot_carry_is_refused(symbology: Symbology, data: str) -> None:
    with pytest.raises(RuleViolation):
        write_scan(symbology, data)
