"""Answers as JSON: UUIDs as text, times as UTC `2026-01-31T12:00:00.123456Z` (SPEC §2)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from uuid import UUID

from starlette.responses import Response


def json_response(
    content: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """`content` as an answer of `status`."""
    return Response(
        json_bytes(content), status, headers=headers, media_type="application/json; charset=utf-8"
    )


def json_bytes(content: object) -> bytes:
    """`content` as compact JSON. A lone surrogate, were there one, is written as its JSON
    escape."""
    text = json.dumps(
        content, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain
    )
    return text.encode("utf-8", "backslashreplace")


def moment_text(moment: datetime) -> str:
    """`moment` as UTC with six digits of a second and `Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _plain(value: object) -> object:
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, datetime):
        return moment_text(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a {type(value).__name__} is no part of an answer")
