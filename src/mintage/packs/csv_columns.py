"""The `csv` format from columns: the bytes that `csv_pack` writes, without an object per unit.

Where all lines are of one length (generated serials, or a lot; no unit touched; every field quoted) they
are put together as one array of bytes, as the buffers of minting are. Otherwise rows are written.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mintage.packs.columns import UnitColumns, UrlEnd, id_texts, rows_of
from mintage.packs.context import PackContext
from mintage.packs.csv_pack import COLUMNS, fields_of
from mintage.packs.print_profiles import PrintProfile
from mintage.packs.tables import PLAIN, encoded, header, lines_of, utc_text

_LINES_A_BLOCK: Final = 1000


def write_csv_columns(context: PackContext, columns: list[UnitColumns]) -> Iterator[bytes]:
    """The file of a slice: the header, then the lines of each part, in blocks of some 200 KB."""
    form = context.profile or PLAIN
    yield from encoded(form, [header(COLUMNS, form)])
    for part in columns:
        serials = _serials_in_columns(part) if _may_be_uniform(part, form) else None
        if serials is not None:
            yield from _lines_of_one_length(part, serials, form)
        else:
            for lines in lines_of(fields_of(rows_of([part])), form):
                yield lines.encode()


def _may_be_uniform(part: UnitColumns, form: PrintProfile) -> bool:
    return form.quoting == "all" and part.are_untouched


def _serials_in_columns(part: UnitColumns) -> NDArray[np.uint8] | None:
    """The serials, a line of the array each; None unless all are of one length, letters and digits."""
    if part.serials is None:
        return np.empty((part.count, 0), np.uint8)
    octets = f"{part.serials}\n".encode()
    if len(octets) % part.count or not octets.replace(b"\n", b"").isalnum():
        return None
    lines = np.frombuffer(octets, np.uint8).reshape(part.count, -1)
    return lines[:, :-1] if (lines[:, -1] == ord("\n")).all() else None


def _lines_of_one_length(
    part: UnitColumns, serials: NDArray[np.uint8], form: PrintProfile
) -> Iterator[bytes]:
    ids = id_texts(part)
    between = f'"{form.delimiter}"'
    end = f'{between}{utc_text(part.created_at)}"{form.line_end}'
    ends: dict[UrlEnd, NDArray[np.uint8]] = {
        "nothing": np.empty((part.count, 0), np.uint8),
        "id": ids,
        "serial": serials,
    }
    fields: list[bytes | NDArray[np.uint8]] = [
        b'"',
        ids,
        f"{between}{part.url_start}".encode(),
        ends[part.url_ends_in],
        between.encode(),
        serials,
        f"{between}{part.gtin or ''}{between}{part.untouched_status}{end}".encode(),
    ]
    one_line = b"".join(each if isinstance(each, bytes) else each[0].tobytes() for each in fields)
    # Every line is the first one, then values are laid over it; a block at a time, which a cache holds.
    block = np.tile(np.frombuffer(one_line, np.uint8), (min(_LINES_A_BLOCK, part.count), 1))
    for start in range(0, part.count, _LINES_A_BLOCK):
        lines = block[: part.count - start]
        place = 0
        for each in fields:
            if isinstance(each, bytes):
                place += len(each)
                continue
            width = each.shape[1]
            lines[:, place : place + width] = each[start : start + _LINES_A_BLOCK]
            place += width
        yield lines.tobytes()
