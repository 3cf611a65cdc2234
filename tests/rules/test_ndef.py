"""NDEF messages of one URI: bytes by the standards' own text, and what ndeflib reads in them."""

from __future__ import annotations

import ndef
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mintage.rules.ndef import TAGS, Chip, tag_bytes, uri_message, uri_message_bytes


def read_message(message: bytes) -> str:
    """The URI of a message that is one URI record, as ndeflib reads it, strictly."""
    (record,) = ndef.message_decoder(message, errors="strict")
    assert isinstance(record, ndef.UriRecord)
    assert record.name == ""
    return str(record.iri)


@pytest.mark.parametrize(
    ("uri", "hexadecimal"),
    [
        # The first example of URI RTD 1.0 (annex A.1): http://www.nfc.com.
        ("http://www.nfc.com", "D1 01 08 55 01 6E 66 63 2E 63 6F 6D"),
        ("https://www.nfc.com", "D1 01 08 55 02 6E 66 63 2E 63 6F 6D"),
        ("https://a.de/1", "D1 01 07 55 04 61 2E 64 65 2F 31"),
        ("http://a.de/1", "D1 01 07 55 03 61 2E 64 65 2F 31"),
        ("urn:a:b", "D1 01 08 55 00 75 72 6E 3A 61 3A 62"),
    ],
)
def test_a_message_is_what_the_standard_says_to_the_byte(uri: str, hexadecimal: str) -> None:
    assert uri_message(uri) == bytes.fromhex(hexadecimal)


def test_a_payload_over_255_bytes_is_no_short_record() -> None:
    # 254 characters behind https:// and the code are 255 bytes of payload.
    longest = uri_message("https://" + "a" * 254)
    assert longest[:5] == bytes.fromhex("D1 01 FF 55 04")
    longer = uri_message("https://" + "a" * 255)
    assert longer[:8] == bytes.fromhex("C1 01 00 00 01 00 55 04")
    assert read_message(longest) == "https://" + "a" * 254
    assert read_message(longer) == "https://" + "a" * 255


@given(
    st.sampled_from(["http://", "https://", "http://www.", "https://www.", "https://wwww.", "x:"]),
    st.text("abcXYZ019-._~/%:", max_size=400),
)
@example("https://", "")
def test_a_message_is_read_as_the_uri_that_it_was_written_of(start: str, rest: str) -> None:
    uri = start + rest
    message = uri_message(uri)
    assert read_message(message) == uri
    assert uri_message_bytes(uri, len(uri)) == len(message)


@pytest.mark.parametrize("base", ["https://www.a.example", "http://a.example", "https://a.example"])
def test_the_size_of_a_message_is_known_from_its_length_and_beginning(base: str) -> None:
    for more in range(0, 300, 7):
        assert uri_message_bytes(base, len(base) + more) == len(uri_message(base + "a" * more))


@pytest.mark.parametrize(
    ("chip", "message_bytes", "taken"),
    [
        # Type 2: 03, length, message, FE.
        ("ntag213", 12, 15),
        ("ntag215", 254, 257),
        # Type 2: 03, FF and two bytes of length, message, FE.
        ("ntag216", 255, 260),
        # Type 4: two bytes of NLEN, message.
        ("ntag424dna", 12, 14),
        ("ntag424dna", 254, 256),
    ],
)
def test_what_goes_around_a_message_is_counted(chip: Chip, message_bytes: int, taken: int) -> None:
    assert tag_bytes(message_bytes, chip) == taken


def test_the_sizes_are_those_of_the_data_sheets() -> None:
    # 144, 496 and 872 bytes by the capability container; 5 of the first are taken at delivery.
    free = {chip: tag.free_bytes for chip, tag in TAGS.items()}
    assert free == {"ntag213": 139, "ntag215": 496, "ntag216": 872, "ntag424dna": 256}
