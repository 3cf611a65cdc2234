"""Pieces of pages as filters of the templates: numbers, times, sizes, ids, statuses, choices of a select.

They are made in Python because a macro in a loop costs several times as much. Every value goes through
`escape`. Not here: whole rows of tables (`rows`), what stands once on a page (templates), texts (`texts`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Final

from markupsafe import Markup, escape

from mintage.console.texts import has_text, text

_NONE: Final = Markup("–")
_PERCENT_LEAST: Final = 0.001
SELECTED: Final = " selected"
_MONTHS: Final = (
    "Jan",
    "Feb",
    "Mar",
    "Apr",
    "May",
    "Jun",
    "Jul",
    "Aug",
    "Sep",
    "Oct",
    "Nov",
    "Dec",
)


def html(markup: str) -> Markup:
    """`markup` as it stands: whoever puts it together has escaped every value in it."""
    return Markup(markup)  # noqa: S704 - the one place that says so


@lru_cache(maxsize=1024)
def word(key: str) -> str:
    """A text without values, escaped."""
    return str(escape(text(key)))


def number(value: int | float | None) -> str:
    """12,345; a dash for none."""
    return "–" if value is None else f"{value:,}"


def percent(value: float | None) -> str:
    """25.0 %; a dash for none. What is there is never 0, and what is not all is never 100."""
    if value is None:
        return "–"
    if 0 < value < _PERCENT_LEAST:
        return f"< {_PERCENT_LEAST * 100:g} %"
    if 1 - _PERCENT_LEAST < value < 1:
        return f"> {100 - _PERCENT_LEAST * 100:g} %"
    return f"{value * 100:.1f} %"


def when(value: datetime | None) -> Markup:
    """A time in UTC, exact to the second, as people read it; a dash for none."""
    return _NONE if value is None else html(time_of(value))


def time_of(value: datetime) -> str:
    """As `when`, as the markup of a larger piece."""
    moment = value if value.tzinfo is UTC else value.astimezone(UTC)
    iso = moment.isoformat()
    shown = f"{moment.day} {_MONTHS[moment.month - 1]} {moment.year}, {iso[11:19]}"
    return f'<time datetime="{iso}" title="UTC">{shown}</time>'


def day(value: date | str) -> str:
    """A day in short: 31 Jan."""
    moment = date.fromisoformat(value) if isinstance(value, str) else value
    return f"{moment.day} {_MONTHS[moment.month - 1]}"


def byte_size(value: int | None) -> str:
    """1.7 MB; a dash for none."""
    if value is None:
        return "–"
    size = float(value)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    raise AssertionError("gigabytes have no end")


def short_id(value: object) -> Markup:
    """The last eight of an id, the whole of it in its title."""
    return html(short_of(str(value)))


def short_of(whole: str) -> str:
    """As `short_id`, as the markup of a larger piece."""
    return f'<code title="{escape(whole)}">…{escape(whole[-8:])}</code>'


@lru_cache(maxsize=256)
def status(value: object) -> Markup:
    """A status as a label of its colour, in words if there are any for it."""
    key = str(value).lower()
    shown = text(f"status.{key}") if has_text(f"status.{key}") else str(value)
    return html(f'<span class="status status-{escape(key)}">{escape(shown)}</span>')


@lru_cache(maxsize=256)
def choices(values: tuple[str, ...], chosen: str, words: str) -> Markup:
    """The options of a select, each with its text of the table `words`; `chosen` is selected."""
    return html(
        "".join(
            f'<option value="{escape(value)}"{SELECTED if value == chosen else ""}>'
            f"{word(f'{words}.{value.lower()}')}</option>"
            for value in values
        )
    )


FILTERS: Final[Mapping[str, Callable[..., str]]] = {
    "number": number,
    "percent": percent,
    "when": when,
    "day": day,
    "bytes": byte_size,
    "short_id": short_id,
    "status": status,
    "choices": choices,
}
