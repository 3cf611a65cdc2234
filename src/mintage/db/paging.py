"""Keyset paging: opaque cursors that hold for one list, one brand and one set of filters (SPEC §2).

Not here: the statements; each list's query takes the key's columns as its last arguments.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

_CURSOR_CHARACTERS_MAX: Final = 512


class CursorProblem(ValueError):
    """The cursor is none of ours, or of another list, brand or filter."""


@dataclass(frozen=True, slots=True)
class ListKey:
    """What a cursor is bound to: the RPC's name, the brand, the filters as given (not limit, not cursor)."""

    rpc: str
    brand_id: UUID
    filters: Mapping[str, object]

    def fingerprint(self) -> str:
        text = json.dumps(
            [
                self.rpc,
                str(self.brand_id),
                sorted((k, str(v)) for k, v in self.filters.items() if v is not None),
            ]
        )
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def encode_cursor(key: ListKey, position: Sequence[str]) -> str:
    """A cursor after the row at `position` (the order's columns as text)."""
    body = json.dumps([key.fingerprint(), *position], separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(body).decode().rstrip("=")


def decode_cursor(key: ListKey, cursor: str, columns: int) -> list[str]:
    """The position in `cursor`: `columns` texts. Raises `CursorProblem`."""
    refused = CursorProblem("is no cursor of this list with these filters")
    if len(cursor) > _CURSOR_CHARACTERS_MAX or not cursor.isascii():
        raise refused
    try:
        body = json.loads(
            base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        )
    except (binascii.Error, ValueError, RecursionError):
        raise refused from None
    if (
        not isinstance(body, list)
        or len(body) != columns + 1
        or not all(isinstance(x, str) for x in body)
    ):
        raise refused
    if body[0] != key.fingerprint():
        raise refused
    return body[1:]
