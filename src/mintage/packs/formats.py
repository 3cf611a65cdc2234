"""The one table of pack formats: a new format is one file beside this one and a row here.

Not here: which units a pack holds and where its file goes (`operations.pack_execution`, `storage`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from mintage.packs.csv_pack import write_csv
from mintage.packs.rows import UnitRow
from mintage.rules.lifecycle import IDENTITY_MODES, IdentityMode

Writer = Callable[[Iterable[UnitRow]], Iterator[bytes]]
"""Rows in unit order in, the file's bytes in order out; holds no more than a part of them."""


@dataclass(frozen=True, slots=True)
class PackFormat:
    """One row. `profiles` and `options` are the names that `_profile` and `_options` may hold."""

    name: str
    file_extension: str
    media_type: str
    write: Writer
    identity_modes: frozenset[IdentityMode] = frozenset(IDENTITY_MODES)
    profiles: frozenset[str] = frozenset()
    options: frozenset[str] = frozenset()


_ROWS: Final = (
    PackFormat(
        name="csv",
        file_extension="csv",
        media_type="text/csv; charset=utf-8",
        write=write_csv,
    ),
)

FORMATS: Final = {row.name: row for row in _ROWS}
