"""A URL as an NFC tag carries it: one NDEF record, and how much of a tag it fills.

Sources: NFC Forum NDEF 1.0 (records), URI Record Type Definition 1.0 (prefixes), Type 2 Tag 1.1 (TLV
blocks), Type 4 Tag 2.0 (NLEN); NXP's data sheets of NTAG 213/215/216 and NTAG 424 DNA (sizes).
Not here: files (`packs.nfc`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Chip = Literal["ntag213", "ntag215", "ntag216", "ntag424dna"]

# The prefixes that a resolver's URL can begin with; the longer one first.
_PREFIXES: Final = (
    ("https://www.", 0x02),
    ("http://www.", 0x01),
    ("https://", 0x04),
    ("http://", 0x03),
)
_WELL_KNOWN_RECORD: Final = 0xC1
_SHORT: Final = 0x10
_SHORT_PAYLOAD_MAX: Final = 255
_SHORT_TLV_MAX: Final = 254
_NLEN_BYTES: Final = 2


@dataclass(frozen=True, slots=True)
class Tag:
    """A chip. `area_bytes` is what it offers to NDEF, `reserved_bytes` what of it is taken at delivery."""

    title: str
    area_bytes: int
    reserved_bytes: int
    has_tlv: bool

    @property
    def free_bytes(self) -> int:
        """What is left for a message with what goes around it."""
        return self.area_bytes - self.reserved_bytes


TAGS: Final[dict[Chip, Tag]] = {
    # The area is byte 2 of the capability container × 8. An NTAG 213 is delivered with a lock control
    # TLV of 5 bytes before the message.
    "ntag213": Tag("NTAG 213", 0x12 * 8, 5, has_tlv=True),
    "ntag215": Tag("NTAG 215", 0x3E * 8, 0, has_tlv=True),
    "ntag216": Tag("NTAG 216", 0x6D * 8, 0, has_tlv=True),
    # A Type 4 tag: the file E104h.
    "ntag424dna": Tag("NTAG 424 DNA", 256, 0, has_tlv=False),
}


def uri_message(uri: str) -> bytes:
    """An NDEF message of one record of type U: header, lengths, type, prefix code, the rest of `uri`.

    The record is a short one up to 255 bytes of payload. `uri` is a URI: ASCII.
    """
    code, rest = _abbreviated(uri)
    payload = bytes((code,)) + rest.encode("ascii")
    if len(payload) <= _SHORT_PAYLOAD_MAX:
        return bytes((_WELL_KNOWN_RECORD | _SHORT, 1, len(payload))) + b"U" + payload
    return bytes((_WELL_KNOWN_RECORD, 1)) + len(payload).to_bytes(4, "big") + b"U" + payload


def uri_message_bytes(base: str, uri_characters: int) -> int:
    """The size of the message of a URI of that many characters that begins with `base`."""
    code_and_rest = 1 + uri_characters - (len(base) - len(_abbreviated(base)[1]))
    return code_and_rest + (4 if code_and_rest <= _SHORT_PAYLOAD_MAX else 7)


def tag_bytes(message_bytes: int, chip: Chip) -> int:
    """What a message of that size takes of the chip, with what goes around it.

    On a Type 2 tag: an NDEF message TLV (tag, length of 1 or 3 bytes) and a terminator TLV. On a Type 4
    tag: the two bytes of NLEN.
    """
    if not TAGS[chip].has_tlv:
        return _NLEN_BYTES + message_bytes
    return 1 + (1 if message_bytes <= _SHORT_TLV_MAX else 3) + message_bytes + 1


def _abbreviated(uri: str) -> tuple[int, str]:
    for prefix, code in _PREFIXES:
        if uri.startswith(prefix):
            return code, uri[len(prefix) :]
    return 0, uri
