"""Deliveries of a webhook as rows, each with the form that sends it again: a filter like those of `rows`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from markupsafe import Markup, escape

from mintage.console.pieces import html, time_of, word
from mintage.console.rows import Row


def delivery_rows(
    deliveries: Iterable[Row], page_url: str, webhook_id: UUID, form_token: str
) -> Markup:
    """`page_url` is the page of webhooks; `form_token` goes with every form of it."""
    hidden = (
        f'<input type="hidden" name="form_token" value="{escape(form_token)}">'
        f'<input type="hidden" name="webhook_id" value="{escape(webhook_id)}">'
    )
    form = f'<form class="inline" method="post" action="{escape(page_url)}/redeliver">{hidden}'
    return html("".join([_row(delivery, form) for delivery in deliveries]))


def _row(delivery: Row, form: str) -> str:
    state, told_at = delivery["status"], time_of(delivery["created_at"])
    colour = "completed" if state == "delivered" else state
    return (
        f"<tr><td><code>{escape(delivery['event_type'])}</code><br>"
        f'<small class="muted">{escape(delivery["event_id"])} · {told_at}</small></td>'
        f'<td data-label="{word("webhooks.status")}"><span class="status status-{escape(colour)}">'
        f"{word(f'delivery.{state}')}</span>{_failure(delivery)}</td>"
        f'<td data-label="{word("webhooks.tries")}">{delivery["attempts"]:,}</td>'
        f'<td data-label="{word("webhooks.last_try")}">{_moment(delivery["last_attempt_at"])}</td>'
        f'<td data-label="{word("webhooks.next_try")}">{_moment(delivery["next_try_at"])}</td>'
        f'<td>{form}<input type="hidden" name="webhook_delivery_id" value="{delivery["id"]}">'
        f'<button class="outline secondary small">{word("webhooks.redeliver")}</button></form></td></tr>\n'
    )


def _failure(delivery: Row) -> str:
    """Why it failed, and what the receiver answered."""
    if not delivery["failure"]:
        return ""
    code, excerpt = delivery["answer_code"], delivery["answer_excerpt"]
    told = str(delivery["failure"])
    told += f" {code}" if code else ""
    told += f": {excerpt}" if excerpt else ""
    return f"<br><small>{escape(told)}</small>"


def _moment(value: datetime | None) -> str:
    return "–" if value is None else time_of(value)
