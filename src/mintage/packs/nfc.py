"""The `nfc` format: a line per unit with its URL as an NDEF message in hexadecimal (SPEC §7).

Not here: the records and the chips' sizes (`rules.ndef`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from pydantic import Field

from mintage.packs.context import PackContext, PackOptions, PackRefusal, PackSubject
from mintage.packs.rows import UnitRow
from mintage.packs.tables import table
from mintage.rules.ndef import TAGS, Chip, tag_bytes, uri_message, uri_message_bytes

COLUMNS: Final = ("unit_id", "resolver_url", "ndef_hex", "ndef_bytes", "tag_bytes")


class NfcOptions(PackOptions):
    """`chip`: the tag that is written. The smallest is the default: what fits it fits all."""

    chip: Chip = Field(default="ntag213", description=f"one of {', '.join(TAGS)}")


def write_nfc(context: PackContext, rows: Iterable[UnitRow]) -> Iterator[bytes]:
    """A line per unit: `ndef_bytes` is the size of the message, `tag_bytes` what it takes of the chip."""
    return table(COLUMNS, _fields(context.options_as(NfcOptions).chip, rows), context.profile)


def refuse_nfc(subject: PackSubject) -> list[PackRefusal]:
    """A batch whose longest URL does not fit the chip."""
    facts = subject.unit_facts
    if facts is None:
        raise ValueError("facts of the units are due")
    chip = subject.options_as(NfcOptions).chip
    message_bytes = uri_message_bytes(facts.resolver_base_url, facts.longest_url_characters)
    needed = tag_bytes(message_bytes, chip)
    tag = TAGS[chip]
    if needed <= tag.free_bytes:
        return []
    message = (
        f"The longest URL of the batch has {facts.longest_url_characters} characters and takes "
        f"{needed} bytes of a tag; {tag.title} has {tag.free_bytes}. Ask for a larger chip or use a "
        f"shorter host."
    )
    return [PackRefusal("FORMAT_NOT_APPLICABLE", message)]


def wants_url_length(_options: PackOptions) -> bool:
    """Always: whether a tag is large enough depends on the longest URL."""
    return True


def _fields(chip: Chip, rows: Iterable[UnitRow]) -> Iterator[tuple[str, ...]]:
    for row in rows:
        message = uri_message(row.resolver_url)
        yield (
            str(row.unit_id),
            row.resolver_url,
            message.hex().upper(),
            str(len(message)),
            str(tag_bytes(len(message), chip)),
        )
