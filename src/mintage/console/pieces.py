"""Pieces of pages that stand in every row, as filters of the templates: times, numbers, statuses, events.

They are made in Python because a macro in a loop costs several times as much. Every value goes through
`escape`. Not here: what stands once on a page (templates), and its texts (`texts`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from markupsafe import Markup, escape

from mintage.console.texts import has_text, text

_NONE: Final = Markup("–")
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


class Bar(NamedTuple):
    """One day of a chart, in the chart's own units; `title` is what a pointer is told."""

    x: float
    y: float
    width: float
    height: float
    day: str
    value: int


def number(value: int | float | None) -> str:
    """12,345; a dash for none."""
    return "–" if value is None else f"{value:,}"


def percent(value: float | None) -> str:
    """25.0 %; a dash for none."""
    return "–" if value is None else f"{value * 100:.1f} %"


def when(value: datetime | None) -> Markup:
    """A time in UTC, exact to the second, as people read it; a dash for none."""
    if value is None:
        return _NONE
    moment = value.astimezone(UTC)
    shown = f"{moment.day} {_MONTHS[moment.month - 1]} {moment.year}, {moment:%H:%M:%S}"
    return Markup(f'<time datetime="{moment.isoformat()}" title="UTC">{shown}</time>')  # noqa: S704 - digits


def day(value: object) -> str:
    """A day in short: 31 Jan."""
    if not isinstance(value, str):
        value = str(value)
    moment = datetime.fromisoformat(value)
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
    whole = str(value)
    return Markup(f'<code title="{escape(whole)}">…{escape(whole[-8:])}</code>')  # noqa: S704 - escaped


def status(value: object) -> Markup:
    """A status as a label of its colour, in words if there are any for it."""
    key = str(value).lower()
    shown = text(f"status.{key}") if has_text(f"status.{key}") else str(value)
    return Markup(  # noqa: S704 - escaped
        f'<span class="status status-{escape(key)}">{escape(shown)}</span>'
    )


def scan_row(scan: Mapping[str, Any], units_url: str | None = None) -> Markup:
    """A scan as a row of a table; with `units_url`, where units are, it has a cell that leads to its unit."""
    cells = [when(scan["scanned_at"]), status(scan["outcome"])]
    unit_id = scan["unit_id"]
    if units_url is not None:
        leads = f'<a href="{escape(units_url)}{escape(unit_id)}">{short_id(unit_id)}</a>'
        cells.append(Markup(leads) if unit_id else _NONE)  # noqa: S704 - escaped
    device = " · ".join(part for part in (scan["device"], scan["os"], scan["browser"]) if part)
    cells += [escape(scan["country"] or "–"), escape(device or "–")]
    cells.append(status(scan["severity"]) if scan["severity"] else _NONE)
    return Markup(f"<tr><td>{'</td><td>'.join(cells)}</td></tr>\n")  # noqa: S704 - escaped


def drawn(bars: Sequence[Bar], height: int) -> Markup:
    """The bars of a chart of `height`, each in a slot that tells a pointer its day and value."""
    parts = []
    for bar in bars:
        place = f'x="{bar.x}" width="{bar.width}"'
        told = f"{day(bar.day)}: {number(bar.value)}"
        parts.append(
            f'<g><title>{told}</title><rect class="slot" {place} y="0" height="{height}"/>'
        )
        if bar.height:
            parts.append(f'<rect class="value" {place} y="{bar.y}" height="{bar.height}"/>')
        parts.append("</g>\n")
    return Markup("".join(parts))  # noqa: S704 - numbers and days


def event_line(event: Mapping[str, Any], batch_url: str | None = None) -> Markup:
    """An event as a line of a timeline; with `batch_url`, where batches are, it leads to its batch."""
    kind, payload = event["event_type"], event["payload"]
    shown = text(f"event.{kind}") if has_text(f"event.{kind}") else kind
    parts = [f'<li><span class="what">{escape(shown)}</span>']
    if "count" in payload:
        parts.append(f' <span class="muted">{escape(number(payload["count"]))}</span>')
    if payload.get("error"):
        parts.append(f' <span class="wrong">{escape(payload["error"])}</span>')
    if payload.get("reason"):
        parts.append(f" <q>{escape(payload['reason'])}</q>")
    batch_id = event["mint_batch_id"]
    if batch_url is not None and batch_id is not None:
        parts.append(f' <a href="{escape(batch_url)}{escape(batch_id)}">{short_id(batch_id)}</a>')
    actor, at = escape(text(f"actor.{event['actor_type']}")), when(event["created_at"])
    parts.append(f' <span class="muted">{actor} · {at}</span></li>\n')
    return Markup("".join(parts))  # noqa: S704 - escaped


FILTERS: Final[Mapping[str, Callable[..., str]]] = {
    "number": number,
    "percent": percent,
    "when": when,
    "day": day,
    "bytes": byte_size,
    "short_id": short_id,
    "status": status,
    "drawn": drawn,
    "scan_row": scan_row,
    "event_line": event_line,
}
