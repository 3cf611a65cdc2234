"""Tables of products as people have them: CSV with any usual delimiter, or a sheet of a spreadsheet.

Not here: what the rows must hold (`operations.product_import`).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Final

import python_calamine

from mintage.errors import ArgumentProblem, MintageError, invalid_input
from mintage.operations.product_import import COLUMNS, ROWS_MAX

DELIMITERS: Final = (",", ";", "\t", "|")
_REQUIRED: Final = COLUMNS[:2]
_SPREADSHEET_STARTS: Final = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
_CELL_CHARACTERS_MAX: Final = 10_000


def read_product_file(content: bytes) -> list[dict[str, str]]:
    """Rows of texts by column. Raises `MintageError` 400 for a file that is no such table."""
    if content.startswith(_SPREADSHEET_STARTS):
        return _rows(_sheet(content))
    try:
        return read_product_text(content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise _refusal(
            "is neither a spreadsheet nor text in UTF-8", "save it as XLSX or as CSV in UTF-8"
        ) from None


def read_product_text(text: str) -> list[dict[str, str]]:
    """The rows of a CSV (RFC 4180) whose first line names the columns."""
    first, _, _ = text.partition("\n")
    delimiter = max(DELIMITERS, key=first.count)
    try:
        return _rows(
            list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
        )
    except csv.Error as problem:
        raise _refusal(
            f"is no CSV: {problem}", "quote cells that hold quotes or line ends"
        ) from None


def write_product_text(rows: Sequence[dict[str, str]]) -> str:
    """`rows` as the CSV that `read_product_text` reads."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, restval="")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


def _sheet(content: bytes) -> list[list[str]]:
    """The first sheet's cells as texts."""
    try:
        workbook = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(content))
        cells = workbook.get_sheet_by_index(0).to_python()
    except (python_calamine.CalamineError, IndexError, OSError) as problem:
        raise _refusal("cannot be read as a spreadsheet", "save it as XLSX") from problem
    return [[_cell(value) for value in row] for row in cells]


def _cell(value: object) -> str:
    """A number without the point that spreadsheets give whole ones: GTINs are kept as numbers there."""
    match value:
        case bool():
            return "TRUE" if value else "FALSE"
        case float() if value.is_integer() and abs(value) < 1e15:
            return str(int(value))
        case date() | datetime() | time() | timedelta():
            return str(value)
    return str(value)


def _rows(table: list[list[str]]) -> list[dict[str, str]]:
    if not table:
        raise _refusal("is empty", f"its first line is {','.join(COLUMNS)}")
    names = [cell.strip().lower().replace(" ", "_").replace("-", "_") for cell in table[0]]
    while names and not names[-1]:
        names.pop()
    _require_columns(names)
    rows = []
    for cells in table[1:]:
        row = {name: cell.strip() for name, cell in zip(names, cells, strict=False)}
        if any(row.values()):
            rows.append(row)
        if len(rows) > ROWS_MAX:
            raise _refusal(f"has more than {ROWS_MAX:,} rows", "import it in parts")
        if any(len(cell) > _CELL_CHARACTERS_MAX for cell in row.values()):
            raise _refusal("has a cell that is too long", "check that its quotes are paired")
    if not rows:
        raise _refusal("has no rows below its first line", "add a line for each product")
    return rows


def _require_columns(names: list[str]) -> None:
    missing = [name for name in _REQUIRED if name not in names]
    if missing:
        raise _refusal(
            f"has no column {' and '.join(missing)}", f"name its columns {', '.join(COLUMNS)}"
        )
    unknown = [name for name in names if name not in COLUMNS]
    if unknown:
        shown = ", ".join(name[:40] or "(empty)" for name in unknown[:5])
        raise _refusal(f"has columns that are none: {shown}", f"there are {', '.join(COLUMNS)}")
    if len(set(names)) < len(names):
        raise _refusal("has a column twice", "name each column once")


def _refusal(problem: str, hint: str) -> MintageError:
    return invalid_input([ArgumentProblem("file", problem, hint)])
