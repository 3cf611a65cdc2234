"""Rows of text as a delimited file, in the form that a print profile asks for (SPEC §7; RFC 4180).

Not here: which columns a format has, and the profiles themselves (`packs.print_profiles`).
"""

from __future__ import annotations

import codecs
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from mintage.packs.print_profiles import PROFILES, PrintProfile

PLAIN: Final = PROFILES["generic_vdp_crlf"]
"""What is written without a profile: UTF-8, CRLF, a header, commas, every field quoted."""
_LINES_A_CHUNK: Final = 2000
_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")


def table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], profile: PrintProfile | None
) -> Iterator[bytes]:
    """A header line as the profile names `columns`, then a line per row, in chunks of 2,000 lines.

    Fields are never altered: quotes in them are doubled (RFC 4180).
    """
    form = profile or PLAIN
    return encoded(form, itertools.chain([header(columns, form)], lines_of(rows, form)))


def header(columns: Sequence[str], form: PrintProfile) -> str:
    """The header line as `form` names the columns; nothing where it wants none."""
    if not form.has_header:
        return ""
    field = _field_writer(form)
    return form.delimiter.join(field(form.header_of(name)) for name in columns) + form.line_end


def encoded(form: PrintProfile, texts: Iterable[str]) -> Iterator[bytes]:
    """`texts` one after another in the encoding of `form`, its mark at the very beginning."""
    encode = codecs.getincrementalencoder(form.encoding)().encode
    for text in texts:
        yield encode(text)


def lines_of(rows: Iterable[Sequence[str]], form: PrintProfile) -> Iterator[str]:
    """A line per row in the form that is asked for, 2,000 lines at a time."""
    field = _field_writer(form)
    iterator = iter(rows)
    while chunk := list(itertools.islice(iterator, _LINES_A_CHUNK)):
        yield "".join(form.delimiter.join(map(field, row)) + form.line_end for row in chunk)


def guarded(text: str) -> str:
    """Free text that no spreadsheet takes for a formula: an apostrophe before what begins like one
    (SECURITY, CSV injection). Serials, lot codes and URLs need none, and get none.
    """
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


def utc_text(moment: datetime) -> str:
    """`moment` as the API writes times (SPEC §2): UTC with microseconds and a Z."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def _field_writer(form: PrintProfile) -> Callable[[str], str]:
    if form.quoting == "all":
        return _quoted
    special = (form.delimiter, '"', "\r", "\n")

    def where_needed(value: str) -> str:
        return _quoted(value) if any(each in value for each in special) else value

    return where_needed


def _quoted(value: str) -> str:
    return '"' + value.replace('"', '""') + '"'
