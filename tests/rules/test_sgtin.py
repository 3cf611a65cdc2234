"""SGTIN-96 and SGTIN-198: GS1's examples, two independent libraries, round trips, refusals."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mintage.rules.gs1 import SET_82, check_digit
from mintage.rules.sgtin import (
    COMPANY_PREFIX_LENGTHS,
    SERIAL_96_END,
    ItemClass,
    Scheme,
    Sgtin,
    item_class,
    parse_tag_hex,
    parse_uri,
    pure_identity_uri,
    serial_problem,
    tag_hex,
    tag_uri,
)
from mintage.rules.violation import RuleViolation
from tests.rules.epc_oracles import (
    EpcpyRefusal,
    Reading,
    epcpy_refuses,
    read_by_epcpy,
    read_by_pyepc,
)
from tests.rules.randomness import gtins

ITEM = ItemClass("0614141", "812345")
SCHEMES: tuple[Scheme, ...] = ("sgtin-96", "sgtin-198")
# What TDS names as escapes (Annex A), written down a second time.
ESCAPES = {'"': "%22", "%": "%25", "&": "%26", "/": "%2F", "<": "%3C", ">": "%3E", "?": "%3F"}

serials_96 = st.integers(0, SERIAL_96_END - 1).map(str)
serials_198 = st.text(SET_82, min_size=1, max_size=20)
lengths = st.sampled_from(COMPANY_PREFIX_LENGTHS)
filters = st.integers(0, 7)


@pytest.mark.parametrize(
    ("gtin", "serial", "uri", "hexadecimal"),
    [
        (
            "80614141123458",
            "6789",
            "urn:epc:tag:sgtin-96:3.0614141.812345.6789",
            "3074257BF7194E4000001A85",
        ),
        (
            "70614141123451",
            "32a/b",
            "urn:epc:tag:sgtin-198:3.0614141.712345.32a%2Fb",
            "3674257BF6B7A659B2C2BF100000000000000000000000000000",
        ),
    ],
)
def test_the_worked_examples_of_gs1_hold(
    gtin: str, serial: str, uri: str, hexadecimal: str
) -> None:
    read = parse_uri(uri)
    assert read == parse_tag_hex(hexadecimal)
    assert (read.item.gtin, read.serial, read.filter_value) == (gtin, serial, 3)
    assert read.item == item_class(gtin, 7)
    assert read.scheme is not None
    assert tag_hex(read.item, serial, read.scheme, 3) == hexadecimal
    assert tag_uri(read.item, serial, read.scheme, 3) == uri


def test_the_company_prefix_of_a_gtin_8_is_its_first_three_digits_behind_zeros() -> None:
    # The example of TDS 7.1: GTIN-8 95010939.
    for length in COMPANY_PREFIX_LENGTHS:
        item = item_class("00000095010939", length)
        assert pure_identity_uri(item, "Serial") == "urn:epc:id:sgtin:00000950.01093.Serial"


def test_a_serial_is_escaped_as_gs1_says_and_no_further() -> None:
    for character in SET_82:
        expected = ESCAPES.get(character, character)
        uri = pure_identity_uri(ITEM, character)
        assert uri == f"urn:epc:id:sgtin:0614141.812345.{expected}"
        assert parse_uri(uri) == Sgtin(ITEM, character)


@given(gtins, lengths, serials_198, filters)
def test_a_tag_of_198_bits_and_its_uris_are_read_as_they_were_written(
    gtin: str, length: int, serial: str, filter_value: int
) -> None:
    _round_trip(gtin.zfill(14), length, serial, "sgtin-198", filter_value)


@given(gtins, lengths, serials_96, filters)
def test_a_tag_of_96_bits_and_its_uris_are_read_as_they_were_written(
    gtin: str, length: int, serial: str, filter_value: int
) -> None:
    _round_trip(gtin.zfill(14), length, serial, "sgtin-96", filter_value)


def _round_trip(gtin: str, length: int, serial: str, scheme: Scheme, filter_value: int) -> None:
    item = item_class(gtin, length)
    assert item.gtin == gtin
    written = tag_hex(item, serial, scheme, filter_value)
    assert len(written) == (24 if scheme == "sgtin-96" else 52)
    expected = Sgtin(item, serial, scheme, filter_value)
    assert parse_tag_hex(written) == expected
    assert parse_tag_hex(written.lower()) == expected
    assert parse_uri(tag_uri(item, serial, scheme, filter_value)) == expected
    assert parse_uri(pure_identity_uri(item, serial)) == Sgtin(item, serial)


@given(gtins, lengths, st.sampled_from(SCHEMES), serials_96, filters, st.data())
def test_a_damaged_tag_is_refused_or_is_another_that_would_be_written_so(
    gtin: str, length: int, scheme: Scheme, serial: str, filter_value: int, data: st.DataObject
) -> None:
    written = tag_hex(item_class(gtin.zfill(14), length), serial, scheme, filter_value)
    damaged = int(written, 16)
    for place in data.draw(st.sets(st.integers(0, 4 * len(written) - 1), min_size=1, max_size=3)):
        damaged ^= 1 << place
    text = f"{damaged:0{len(written)}X}"
    try:
        read = parse_tag_hex(text)
    except RuleViolation:
        return
    assert read.scheme is not None
    assert read.filter_value is not None
    assert tag_hex(read.item, read.serial, read.scheme, read.filter_value) == text
    assert text != written


@pytest.mark.long
@pytest.mark.parametrize("scheme", SCHEMES)
def test_two_independent_libraries_read_10_000_tags_as_they_are(scheme: Scheme) -> None:
    chance = random.Random(96)  # noqa: S311 - repeatable, no secret
    by_epcpy = 0
    for _ in range(10_000):
        gtin = "".join(chance.choices("0123456789", k=13))
        gtin += check_digit(gtin)
        filter_value = chance.randrange(8)
        if scheme == "sgtin-96":
            serial = str(chance.randrange(SERIAL_96_END))
        else:
            serial = "".join(chance.choices(SET_82, k=chance.randint(1, 20)))
        item = item_class(gtin, chance.choice(COMPANY_PREFIX_LENGTHS))
        uri = pure_identity_uri(item, serial)
        tag = tag_uri(item, serial, scheme, filter_value)
        written = tag_hex(item, serial, scheme, filter_value)
        ours = Reading(gtin, serial, written, uri, tag)

        theirs = read_by_pyepc(written, scheme, filter_value)
        assert theirs in {ours, Reading(gtin, serial, written, None, None)}
        if not epcpy_refuses(uri.split(".", 2)[2]):
            by_epcpy += 1
            assert read_by_epcpy(written, scheme, filter_value) == ours
    assert by_epcpy > 9_000


def test_each_library_is_wrong_where_we_say_that_it_is() -> None:
    refused = tag_hex(ITEM, "/1", "sgtin-198", 1)
    assert epcpy_refuses("%2F1")
    with pytest.raises(EpcpyRefusal):
        read_by_epcpy(refused, "sgtin-198", 1)
    assert read_by_pyepc(refused, "sgtin-198", 1).pure_identity_uri is None


@pytest.mark.parametrize(
    ("serial", "scheme"),
    [
        ("", "sgtin-198"),
        ("1" * 21, "sgtin-198"),
        ("a b", "sgtin-198"),
        ("a#b", "sgtin-198"),
        ("é", "sgtin-198"),
        ("\0", "sgtin-198"),
        ("", "sgtin-96"),
        ("01", "sgtin-96"),
        ("00", "sgtin-96"),
        ("1a", "sgtin-96"),
        ("-1", "sgtin-96"),
        ("1 ", "sgtin-96"),
        ("٣", "sgtin-96"),
        (str(SERIAL_96_END), "sgtin-96"),
        ("9" * 13, "sgtin-96"),
    ],
)
def test_a_serial_that_a_tag_cannot_hold_is_refused(serial: str, scheme: Scheme) -> None:
    assert serial_problem(serial, scheme) is not None
    for write in (tag_hex, tag_uri):
        with pytest.raises(RuleViolation, match="SGTIN-"):
            write(ITEM, serial, scheme, 1)


@pytest.mark.parametrize("serial", ["0", "1", str(SERIAL_96_END - 1)])
def test_the_least_and_the_greatest_serial_of_96_bits_are_held(serial: str) -> None:
    assert serial_problem(serial, "sgtin-96") is None
    assert parse_tag_hex(tag_hex(ITEM, serial, "sgtin-96", 0)).serial == serial


@pytest.mark.parametrize(
    ("gtin", "length"),
    [
        ("80614141123458", 5),
        ("80614141123458", 13),
        ("80614141123459", 7),
        ("614141123452", 7),
        ("8061414112345X", 7),
        ("", 7),
    ],
)
def test_a_gtin_or_prefix_length_that_is_none_is_refused(gtin: str, length: int) -> None:
    with pytest.raises(RuleViolation):
        item_class(gtin, length)


@pytest.mark.parametrize("filter_value", [-1, 8])
def test_a_filter_value_that_is_none_is_refused(filter_value: int) -> None:
    with pytest.raises(RuleViolation, match="filter value"):
        tag_hex(ITEM, "1", "sgtin-96", filter_value)
    with pytest.raises(RuleViolation, match="filter value"):
        tag_uri(ITEM, "1", "sgtin-96", filter_value)


def _bits(header: int, filter_partition: int, rest: int, bits: int, digits: int) -> str:
    value = ((header << 6 | filter_partition) << (bits - 14)) | rest
    return f"{value << (4 * digits - bits):0{digits}X}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "3",
        "30",
        "GG74257BF7194E4000001A85",
        "3074257BF7194E4000001A8",
        "3074257BF7194E4000001A8500",
        "3174257BF7194E4000001A85",
        "٣٠74257BF7194E4000001A85",
        # 50 digits: an SGTIN-198 that is not filled up to whole words.
        "3674257BF6B7A659B2C2BF1000000000000000000000000000",
        # Partition value 7.
        _bits(0x30, 0b011111, 0, 96, 24),
        # Company prefix 9 999 999 + 1 in 24 bits, item reference 999 999 + 1 in 20 bits.
        _bits(0x30, 0b011101, 10**7 << 58, 96, 24),
        _bits(0x30, 0b011101, 10**6 << 38, 96, 24),
        # No serial; a character behind the end; a space; a bit in the fill.
        _bits(0x36, 0b011101, 0, 198, 52),
        _bits(0x36, 0b011101, 0x41 << 133 | 0x41 << 119, 198, 52),
        _bits(0x36, 0b011101, 0x20 << 133, 198, 52),
        _bits(0x36, 0b011101, 0x41 << 133, 198, 52)[:-1] + "1",
    ],
)
def test_bits_that_are_no_sgtin_are_refused(text: str) -> None:
    with pytest.raises(RuleViolation):
        parse_tag_hex(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "urn:epc:id:sgtin:0614141.812345.",
        "urn:epc:id:sgtin:0614141.12345.1",
        "urn:epc:id:sgtin:06141.81234567.1",
        "urn:epc:id:sgtin:0614141.812345.32a/b",
        "urn:epc:id:sgtin:0614141.812345.32a%2",
        "urn:epc:id:sgtin:0614141.812345.32a%41",
        "urn:epc:id:sgtin:0614141.812345.a\n",
        "urn:epc:id:sgtin:0614141.812345." + "1" * 21,
        "urn:epc:tag:sgtin-96:8.0614141.812345.1",
        "urn:epc:tag:sgtin-96:1.0614141.812345.01",
        "urn:epc:tag:sgtin-96:0614141.812345.1",
        "urn:epc:tag:sgtin-64:1.0614141.812345.1",
        "urn:epc:id:sscc:0614141.1234567890",
        " urn:epc:id:sgtin:0614141.812345.1",
    ],
)
def test_a_uri_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(RuleViolation):
        parse_uri(text)
