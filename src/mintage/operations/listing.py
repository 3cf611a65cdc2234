"""Lists: a page's bounds from limit, cursor and times; a page's answer from its rows (SPEC §2, "Lists").

A list in `(created_at desc, id desc)` order reads one row more than the limit to know whether there is more.
Not here: any list's statement or columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from mintage.db.paging import CursorProblem, ListKey, decode_cursor, encode_cursor
from mintage.errors import ArgumentProblem, MintageError, invalid_input
from mintage.operations.call import Answer

BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)
END: Final = datetime(9999, 12, 31, tzinfo=UTC)
LOWEST_ID: Final = UUID(int=0)
HIGHEST_ID: Final = UUID(int=2**128 - 1)


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a `(created_at desc, id desc)` list: rows strictly after it are read."""

    created_at: datetime
    id: UUID


def bad_cursor() -> MintageError:
    """400 for a cursor of another list, brand or filter, or of none."""
    return invalid_input(
        [
            ArgumentProblem(
                "_cursor",
                "is no cursor of this list with these filters",
                "must be the next_cursor of the page before, with the same filters",
            )
        ]
    )


def start_position(key: ListKey, cursor: str | None, before: datetime | None) -> Position:
    """Where a page begins: after the cursor's row, else before `before`, else at the newest row."""
    if cursor is None:
        return Position(before or END, LOWEST_ID if before else HIGHEST_ID)
    try:
        created_at, identifier = decode_cursor(key, cursor, 2)
        return Position(moment_of_cursor(created_at), UUID(identifier))
    except (CursorProblem, ValueError, OverflowError):
        raise bad_cursor() from None


def moment_of_cursor(text: str) -> datetime:
    """A cursor's time. One without an offset is none of ours, and no driver would take it."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time without an offset")
    return moment.astimezone(UTC)


def start_id(key: ListKey, cursor: str | None) -> UUID:
    """Where a page of an `id desc` list begins: ids strictly below this one are read."""
    if cursor is None:
        return HIGHEST_ID
    try:
        return UUID(decode_cursor(key, cursor, 1)[0])
    except (CursorProblem, ValueError):
        raise bad_cursor() from None


def page_answer(
    key: ListKey,
    name: str,
    rows: Sequence[dict[str, object]],
    limit: int,
    *,
    time: str = "created_at",
) -> Answer:
    """`rows` (up to `limit` + 1 of them, with an `id` and the `time` of the order) as a list's answer."""
    shown = list(rows[:limit])
    cursor = None
    if len(rows) > limit:
        last = shown[-1]
        moment = last[time]
        if not isinstance(moment, datetime):
            raise TypeError(f"a row of this list has a {time}")
        cursor = encode_cursor(key, [moment.isoformat(), str(last["id"])])
    return {"ok": True, name: shown, "has_more": cursor is not None, "next_cursor": cursor}
