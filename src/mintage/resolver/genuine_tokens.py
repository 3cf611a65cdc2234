"""The signed token that carries "genuine, first scanned on …" from a scan to the product's page.

It says so of one product of one brand, for an hour at least: a page reached through a unit shows it, and
nobody can write it himself. It names no unit. It ends on the hour, so that within an hour one code leads to
one URL, which its linkset names too.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import lru_cache
from typing import Final
from uuid import UUID

TOKEN_LIFETIME_S: Final = 3600
"""A token is good for as long, and at most for twice as long."""
TOKEN_LENGTH: Final = 32

_AUDIENCE: Final = b"mintage product page 1\0"
_KEY_BYTES_MIN: Final = 32
_FACTS_BYTES: Final = 8
_SIGNATURE_BYTES: Final = 16
_TOKENS_REMEMBERED: Final = 4096


@dataclass(frozen=True, slots=True)
class GenuineTokens:
    """Makes tokens with the first of `keys`, which sign nothing else, and reads those of all."""

    keys: Sequence[bytes] = field(repr=False)

    def __post_init__(self) -> None:
        if not self.keys or any(len(key) < _KEY_BYTES_MIN for key in self.keys):
            raise ValueError(f"the key of product pages has {_KEY_BYTES_MIN} bytes or more")

    def make(self, brand_id: UUID, product_id: UUID, first_scanned_on: date, now: datetime) -> str:
        """32 URL-safe characters: days since year 1, end in Unix seconds, 128 bits of HMAC-SHA256."""
        hour = int(now.timestamp()) // TOKEN_LIFETIME_S
        return _token(self.keys[0], brand_id, product_id, first_scanned_on.toordinal(), hour)

    def read(self, token: str, brand_id: UUID, product_id: UUID, now: datetime) -> date | None:
        """The day of the first scan, or None for a token that is forged, over, or of another product."""
        if len(token) != TOKEN_LENGTH:
            return None
        try:
            octets = base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True)
        except (binascii.Error, UnicodeEncodeError):
            return None
        facts, signature = octets[:_FACTS_BYTES], octets[_FACTS_BYTES:]
        if not any(
            hmac.compare_digest(signature, _signature(key, brand_id, product_id, facts))
            for key in self.keys
        ):
            return None
        if int.from_bytes(facts[4:], "big") <= now.timestamp():
            return None
        return date.fromordinal(int.from_bytes(facts[:4], "big"))


@lru_cache(maxsize=_TOKENS_REMEMBERED)
def _token(key: bytes, brand_id: UUID, product_id: UUID, day: int, hour: int) -> str:
    ends_at = (hour + 2) * TOKEN_LIFETIME_S
    facts = day.to_bytes(4, "big") + ends_at.to_bytes(4, "big")
    signature = _signature(key, brand_id, product_id, facts)
    return base64.urlsafe_b64encode(facts + signature).decode("ascii")


def _signature(key: bytes, brand_id: UUID, product_id: UUID, facts: bytes) -> bytes:
    message = _AUDIENCE + brand_id.bytes + product_id.bytes + facts
    return hmac.digest(key, message, hashlib.sha256)[:_SIGNATURE_BYTES]
