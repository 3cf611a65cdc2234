"""What an event tells beside its name, in a few words: how many units, from what to what, of which product.

Events are the API's (`operations.events`); of a payload what a person can read is shown, ids are not. Not
here: the line it stands in (`rows`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mintage.console.texts import has_text, text


def fact_of(event_type: str, payload: Mapping[str, Any]) -> str:
    """The facts of an event as plain text; empty where its name says all."""
    match payload:
        case {"count": int(count)}:
            return f"{count:,}"
        case {"previous_status": before, "status": after}:
            return f"{_word('status', before)} → {_word('status', after)}"
        case {"previous_role": before, "role": after}:
            return _role_change(before, after)
        case {"requested_quantity": int(quantity)} if event_type == "mint_requested":
            return f"{quantity:,}"
        case {"subject": subject, "change": change}:
            parts = [_word("subject", subject), _word("change", change)]
            return " ".join([*parts, *_name(payload)])
        case {"change": change}:
            return " ".join([_word("change", change), *_name(payload)])
        case {"identifier_type": kind, "identifier_value": value}:
            return f"{str(kind).upper()} {value}"
        case {"format": str(name)}:
            return name
        case {"pack_index": int(index), "pack_count": int(count)} if index:
            # The manifest stands behind the last pack.
            is_manifest = index > count
            key = "export.manifest" if is_manifest else "export.pack_of"
            return text(key, index=index, count=count)
        case {"lots": list(lots)}:
            return f"{len(lots):,}"
        case {"address_prefix": str(prefix)}:
            return prefix
    return ""


def _role_change(before: str | None, after: str | None) -> str:
    if before and after:
        return f"{_word('role', before)} → {_word('role', after)}"
    return f"{_word('role', before or after)} {_word('change', 'removed' if before else 'added')}"


def _word(table: str, value: object) -> str:
    key = f"{table}.{str(value).lower()}"
    return text(key) if has_text(key) else str(value).replace("_", " ")


def _name(payload: Mapping[str, Any]) -> list[str]:
    """What the thing that was changed is called, if the payload says so."""
    return [
        str(payload[key]) for key in ("sku", "name", "batch_number", "host") if payload.get(key)
    ]
