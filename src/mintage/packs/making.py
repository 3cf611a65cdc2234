"""Making a pack's bytes from its context and columns, by the table of formats.

Not here: in which process (`packs.workshop`), and where the bytes go (`storage`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mintage.packs.columns import UnitColumns, rows_of
from mintage.packs.context import PackContext
from mintage.packs.formats import FORMATS


def pack_chunks(
    format_name: str, context: PackContext, columns: list[UnitColumns]
) -> Iterator[bytes | memoryview]:
    """The bytes of a pack in order, made while they are taken."""
    pack_format = FORMATS[format_name]
    if pack_format.write_columns is not None:
        return pack_format.write_columns(context, columns)
    return pack_format.write(context, rows_of(columns))


def make_file(
    format_name: str, context: PackContext, columns: list[UnitColumns], path: Path
) -> None:
    """Write a pack to `path` and read it back as its format does. Raises `PackUnreadable`."""
    with path.open("xb") as file:
        for chunk in pack_chunks(format_name, context, columns):
            file.write(chunk)
    verify = FORMATS[format_name].verify
    if verify is not None:
        verify(context, list(rows_of(columns)), path)
