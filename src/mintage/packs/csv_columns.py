"""The `csv` format from columns: the bytes that `csv_pack` writes, without an object per unit.

Where all lines are of one length (generated serials, or a lot; no unit touched; every field quoted) they
are put together as one array of bytes, as the buffers of minting are. Otherwise rows are written.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from mintage.packs.columns import UnitColumns, UrlEnd, rows_of
from mintage.packs.context import PackContext
from mintage.packs.csv_pack import COLUMNS, fields_of
from mintage.packs.print_profiles import PrintProfile
from mintage.packs.tables import PLAIN, encoded, header, lines_of, utc_text

_ID_HALF_OCTETS: Final = 8

Columns = NDArray[np.uint8]
"""One field of all lines, or a part of it: shape (lines, characters), ASCII."""


def write_csv_columns(
    context: PackContext, columns: list[UnitColumns]
) -> Iterator[bytes | memoryview]:
    """The file of a slice: the header, then the lines of each part, all at once where they are uniform."""
    form = context.profile or PLAIN
    yield from encoded(form, [header(COLUMNS, form)])
    for part in columns:
        fields = _uniform_fields(part, form)
        if fields is not None:
            yield _lines_of_one_length(part.count, fields)
        else:
            for lines in lines_of(fields_of(rows_of([part])), form):
                yield lines.encode()


def _uniform_fields(part: UnitColumns, form: PrintProfile) -> list[bytes | Columns] | None:
    """What follows one another in each line, as far as it differs by columns; None where lengths differ."""
    if form.quoting != "all" or not part.are_untouched:
        return None
    ids, serials = _ids_in_columns(part), _serials_in_columns(part)
    if ids is None or serials is None:
        return None
    between = f'"{form.delimiter}"'.encode()
    url_ends: dict[UrlEnd, list[bytes | Columns]] = {
        "nothing": [],
        "id": ids,
        "serial": [serials],
    }
    common = [part.gtin or "", part.untouched_status, utc_text(part.created_at)]
    return [
        b'"',
        *ids,
        between + part.url_start.encode(),
        *url_ends[part.url_ends_in],
        between,
        serials,
        between + between.join(each.encode() for each in common) + f'"{form.line_end}'.encode(),
    ]


def _ids_in_columns(part: UnitColumns) -> list[bytes | Columns] | None:
    """The ids in their text form (RFC 9562 §4); None unless they have the first half in common, as those
    of one batch have."""
    halves = np.frombuffer(part.ids, np.uint64).reshape(-1, 2)
    if (halves[:, 0] != halves[0, 0]).any():
        return None
    digits = np.frombuffer(halves[:, 1].tobytes().hex().encode(), np.uint8)
    digits = digits.reshape(part.count, 2 * _ID_HALF_OCTETS)
    beginning = str(UUID(bytes=part.ids[: 2 * _ID_HALF_OCTETS]))[:19].encode()
    return [beginning, digits[:, :4], b"-", digits[:, 4:]]


def _serials_in_columns(part: UnitColumns) -> Columns | None:
    """The serials, a line of the array each; None unless all are of one length, letters and digits."""
    if part.serials is None:
        return np.empty((part.count, 0), np.uint8)
    octets = f"{part.serials}\n".encode()
    if len(octets) % part.count or not octets.replace(b"\n", b"").isalnum():
        return None
    lines = np.frombuffer(octets, np.uint8).reshape(part.count, -1)
    return lines[:, :-1] if (lines[:, -1] == ord("\n")).all() else None


def _lines_of_one_length(count: int, fields: list[bytes | Columns]) -> memoryview:
    one_line = b"".join(each if isinstance(each, bytes) else each[0].tobytes() for each in fields)
    # Every line is the first one, then values are laid over it.
    lines = np.empty((count, len(one_line)), np.uint8)
    lines[:] = np.frombuffer(one_line, np.uint8)
    place = 0
    for each in fields:
        if isinstance(each, bytes):
            place += len(each)
            continue
        width = each.shape[1]
        lines[:, place : place + width] = each
        place += width
    return lines.reshape(-1).data
