"""Database URLs: what of them is for the driver and not for the server.

`statement_cache_size` in a URL's query is asyncpg's: 0 behind PgBouncer in transaction mode.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

_CACHE_SIZE: Final = "statement_cache_size"
_CACHE_SIZE_DEFAULT: Final = 100


@dataclass(frozen=True, slots=True)
class Target:
    """What asyncpg is told: the URL for the server, and how many statements a connection keeps prepared."""

    dsn: str
    statement_cache_size: int


def read_dsn(url: str) -> Target:
    """`url` without what is the driver's. Raises `ValueError` for a cache size that is no number."""
    parts = urlsplit(url)
    cache_size = _CACHE_SIZE_DEFAULT
    kept = []
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name != _CACHE_SIZE:
            kept.append((name, value))
        elif value.isascii() and value.isdigit():
            cache_size = int(value)
        else:
            raise ValueError(f"{_CACHE_SIZE}={value} in the database URL must be a whole number")
    return Target(urlunsplit(parts._replace(query=urlencode(kept))), cache_size)
