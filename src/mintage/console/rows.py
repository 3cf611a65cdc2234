"""Rows of the console's tables, lines of its timelines, bars of its charts: filters that make a whole list.

A page of fifty rows is mostly these, so they are plain strings put together once. Every value goes through
`escape`, but for numbers, times and words of ours. Not here: the heads of tables (templates).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from typing import Any, Final, NamedTuple

from markupsafe import Markup, escape

from mintage.console.event_facts import fact_of
from mintage.console.pieces import (
    SELECTED,
    byte_size,
    day,
    html,
    number,
    short_of,
    status,
    time_of,
    word,
)
from mintage.console.texts import has_text, text

Row = Mapping[str, Any]
_CELL: Final = "</td><td>"
_NUMBER_CELL: Final = '</td><td class="n">'
_NONE: Final = "–"
_MANIFEST: Final = "group_manifest"


class Bar(NamedTuple):
    """One day of a chart, in the chart's own units; `day` and `value` are what a pointer is told."""

    x: float
    y: float
    width: float
    height: float
    day: date | str
    value: int


def drawn(bars: Sequence[Bar], height: int) -> Markup:
    """The bars of a chart of `height`, and a slot for each day that tells a pointer its value."""
    slots = "".join(
        f"<g><title>{day(bar.day)}: {bar.value:,}</title>"
        f'<rect class="slot" x="{bar.x}" width="{bar.width}" y="0" height="{height}"/></g>\n'
        for bar in bars
    )
    shape = "".join(
        f"M{bar.x} {height}V{bar.y}h{bar.width}V{height}z" for bar in bars if bar.height
    )
    return html(f'{slots}<path class="value" d="{shape}"/>')


def event_lines(
    events: Iterable[Row], names: Mapping[str, str], batches_url: str | None = None
) -> Markup:
    """Events as lines of a timeline; with `batches_url`, where batches are, each leads to its batch.

    `names` are those of people and keys by their ids; who is not among them is told as what he is.
    """
    url = None if batches_url is None else str(escape(batches_url))
    return html("".join([_event_line(event, names, url) for event in events]))


def _event_line(event: Row, names: Mapping[str, str], batches_url: str | None) -> str:
    kind, payload, more = event["event_type"], event["payload"], ""
    shown = word(f"event.{kind}") if has_text(f"event.{kind}") else escape(kind)
    fact = fact_of(kind, payload)
    concerned = names.get(str(payload.get("user_id")))
    if concerned and payload["user_id"] != str(event["actor_id"]):
        more += f" <strong>{escape(concerned)}</strong>"
    if fact:
        more += f' <span class="muted">{escape(fact)}</span>'
    if payload.get("error"):
        more += f' <span class="wrong">{escape(payload["error"])}</span>'
    if payload.get("reason"):
        more += f" <q>{escape(payload['reason'])}</q>"
    if batches_url is not None and event["mint_batch_id"] is not None:
        batch_id = str(event["mint_batch_id"])
        more += f' <a href="{batches_url}{escape(batch_id)}">{short_of(batch_id)}</a>'
    actor, at = event["actor_type"], time_of(event["created_at"])
    name = names.get(str(event["actor_id"]))
    who = word(f"actor.{actor}") if name is None else escape(name)
    return f'<li><span class="what">{shown}</span>{more} <span class="muted">{who} · {at}</span></li>\n'


def scan_rows(scans: Iterable[Row], units_url: str | None = None) -> Markup:
    """Scans as rows; with `units_url`, where units are, each has a cell that leads to its unit."""
    url = None if units_url is None else str(escape(units_url))
    return html("".join([_scan_row(scan, url) for scan in scans]))


def _scan_row(scan: Row, units_url: str | None) -> str:
    unit = ""
    if units_url is not None:
        unit_id = str(scan["unit_id"] or "")
        leads = f'<a href="{units_url}{escape(unit_id)}">{short_of(unit_id)}</a>'
        unit = f"{_CELL}{leads if unit_id else _NONE}"
    device = " · ".join([part for part in (scan["device"], scan["os"], scan["browser"]) if part])
    severity = status(scan["severity"]) if scan["severity"] else _NONE
    return (
        f"<tr><td>{time_of(scan['scanned_at'])}{unit}{_CELL}{status(scan['outcome'])}{_CELL}"
        f"{escape(scan['country'] or _NONE)}{_CELL}{escape(device or _NONE)}{_CELL}{severity}</td></tr>\n"
    )


def unit_rows(units: Iterable[Row], units_url: str) -> Markup:
    """Units as rows, each with the address that its code holds."""
    url, nameless = str(escape(units_url)), text("unit.without_serial")
    return html("".join([_unit_row(unit, url, nameless) for unit in units]))


def _unit_row(unit: Row, units_url: str, nameless: str) -> str:
    name = escape(unit["serial_number"] or unit["lot_code"] or nameless)
    return (
        f'<tr><td><a href="{units_url}{unit["id"]}">{name}</a>{_CELL}'
        f"{escape(unit['product_sku'] or _NONE)}{_CELL}{status(unit['status'])}"
        f'{_NUMBER_CELL}{unit["unit_no"] + 1:,}</td><td class="url"><code>'
        f"{escape(unit['resolver_url'])}</code>{_CELL}{short_of(str(unit['mint_batch_id']))}</td></tr>\n"
    )


def batch_rows(batches: Iterable[Row], batches_url: str) -> Markup:
    """Mint batches as rows."""
    url = str(escape(batches_url))
    return html("".join([_batch_row(batch, url) for batch in batches]))


def _batch_row(batch: Row, batches_url: str) -> str:
    whole, mode = str(batch["id"]), batch["identity_mode"]
    minted, requested = batch["minted_quantity"], batch["requested_quantity"]
    units = f"{requested:,}" if minted == requested else f"{minted:,} / {requested:,}"
    return (
        f'<tr><td><a href="{batches_url}{whole}">{escape(batch["product_sku"] or _NONE)}</a>{_CELL}'
        f"{status(batch['status'])}{_NUMBER_CELL}{units}{_CELL}{word(f'mode.{mode}')}{_CELL}"
        f"{time_of(batch['created_at'])}{_CELL}{short_of(whole)}</td></tr>\n"
    )


def product_rows(products: Iterable[Row], products_url: str) -> Markup:
    """Products as rows."""
    url = str(escape(products_url))
    return html("".join([_product_row(product, url) for product in products]))


def _product_row(product: Row, products_url: str) -> str:
    return (
        f'<tr><td><a href="{products_url}{product["id"]}">{escape(product["sku"])}</a>{_CELL}'
        f"{escape(product['name'])}{_CELL}{escape(product['gtin'] or _NONE)}{_CELL}"
        f"{status(product['commercial_status'])}{_CELL}{status(product['mint_readiness_status'])}{_CELL}"
        f"{time_of(product['created_at'])}</td></tr>\n"
    )


def pack_rows(packs: Iterable[Row], home: str, columns: Sequence[str]) -> Markup:
    """Packs as rows of `columns`, names of `_PACK_CELLS`; `home` is the brand's first page."""
    url, makers = str(escape(home)), [_PACK_CELLS[column] for column in columns]
    rows = ["".join([maker(pack, url) for maker in makers]) for pack in packs]
    return html("".join([f"<tr>{row}</tr>\n" for row in rows]))


def _format_cell(pack: Row, home: str) -> str:
    leads = f"{home}exports/{pack['export_group_id']}"
    return f'<td><a href="{leads}">{escape(pack["format"])}</a></td>'


def _download_cell(pack: Row, home: str) -> str:
    path = pack["storage_path"]
    if not path:
        return "<td></td>"
    return f'<td><a href="{home}download/{escape(path)}">{word("export.download")}</a></td>'


def _product_cell(pack: Row, _home: str) -> str:
    return f"<td>{escape(pack['product_sku'] or _NONE)}</td>"


def _pack_cell(pack: Row, _home: str) -> str:
    if pack["format"] == _MANIFEST:
        return f"<td>{word('export.manifest')}</td>"
    place = text("export.pack_of", index=pack["pack_index"], count=pack["pack_count"])
    return f"<td>{escape(place)}</td>"


def _status_cell(pack: Row, _home: str) -> str:
    error = f' <span class="wrong">{escape(pack["error"])}</span>' if pack["error"] else ""
    return f"<td>{status(pack['status'])}{error}</td>"


def _units_cell(pack: Row, _home: str) -> str:
    shown = _NONE if pack["format"] == _MANIFEST else number(pack["unit_count"])
    return f'<td class="n">{shown}</td>'


def _size_cell(pack: Row, _home: str) -> str:
    return f'<td class="n">{byte_size(pack["byte_size"])}</td>'


def _created_cell(pack: Row, _home: str) -> str:
    return f"<td>{time_of(pack['created_at'])}</td>"


def _sha256_cell(pack: Row, _home: str) -> str:
    digest = escape(pack["sha256"] or "")
    return f'<td><code title="{digest}">{digest[:12]}…</code></td>' if digest else "<td>–</td>"


_PACK_CELLS: Final[Mapping[str, Callable[[Row, str], str]]] = {
    "format": _format_cell,
    "download": _download_cell,
    "product": _product_cell,
    "pack": _pack_cell,
    "status": _status_cell,
    "units": _units_cell,
    "size": _size_cell,
    "created": _created_cell,
    "sha256": _sha256_cell,
}


def product_choices(products: Iterable[Row], chosen: str, *, is_named: bool = False) -> Markup:
    """Products as options of a select: SKU, and name if `is_named`; the id `chosen` is selected."""
    return html("".join([_product_choice(product, chosen, is_named) for product in products]))


def _product_choice(product: Row, chosen: str, is_named: bool) -> str:
    whole = str(product["id"])
    name = f" · {escape(product['name'])}" if is_named else ""
    selected = SELECTED if whole == chosen else ""
    return f'<option value="{whole}"{selected}>{escape(product["sku"])}{name}</option>'


def batch_choices(batches: Iterable[Row], chosen: str) -> Markup:
    """Mint batches as options of a select; the id `chosen` is selected."""
    return html("".join([_batch_choice(batch, chosen) for batch in batches]))


def _batch_choice(batch: Row, chosen: str) -> str:
    whole = str(batch["id"])
    selected = SELECTED if whole == chosen else ""
    return (
        f'<option value="{whole}"{selected}>{escape(batch["product_sku"] or _NONE)} · '
        f"{batch['requested_quantity']:,} · {whole}</option>"
    )


FILTERS: Final[Mapping[str, Callable[..., str]]] = {
    "drawn": drawn,
    "event_lines": event_lines,
    "scan_rows": scan_rows,
    "unit_rows": unit_rows,
    "batch_rows": batch_rows,
    "product_rows": product_rows,
    "pack_rows": pack_rows,
    "product_choices": product_choices,
    "batch_choices": batch_choices,
}
