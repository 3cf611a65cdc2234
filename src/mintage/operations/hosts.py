"""A brand's hosts: where its resolver URLs point. The first comes with the brand (`brands`)."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

import asyncpg

from mintage.db.paging import CursorProblem, ListKey, decode_cursor, encode_cursor
from mintage.db.queries import query
from mintage.errors import ArgumentProblem, invalid_input
from mintage.operations.arguments import SetBrandHost
from mintage.operations.arguments_catalogue import ListBrandHosts
from mintage.operations.call import Answer, Call, TryAgain
from mintage.operations.conflicts import taken
from mintage.operations.events import record_event
from mintage.operations.listing import END, bad_cursor, moment_of_cursor
from mintage.settings import base_url_of

_DROP_PRIMARY: Final = query("host", "drop_primary")
_SET: Final = query("host", "set")
_NEWEST: Final = query("host", "list_newest")
_COLUMNS: Final = ("host", "base_url", "is_primary", "verified_at")


async def set_brand_host(call: Call, arguments: SetBrandHost) -> Answer:
    """Give the brand a host, verified by the operator who calls; the same host again changes its base URL.

    Printed URLs are built from the primary host's base URL. A primary host stays primary until another
    becomes it. Raises 400 for what is no base URL, 409 for a host that another brand has.
    """
    try:
        base_url = base_url_of(arguments.base_url)
    except ValueError as problem:
        hint = (
            "must be http:// or https://, a host and perhaps a port, such as https://id.example.com"
        )
        raise invalid_input([ArgumentProblem("_base_url", str(problem), hint)]) from None
    host = urlsplit(base_url).hostname or ""
    if arguments.is_primary:
        await call.connection.execute(_DROP_PRIMARY, call.brand_id, host)
    try:
        row = await call.connection.fetchrow(
            _SET, host, call.brand_id, base_url, arguments.is_primary, call.now
        )
    except asyncpg.UniqueViolationError:
        # A racing call has made another host the primary one.
        raise TryAgain from None
    if row is None:
        raise taken("_base_url", f"host {host}", "give a host that no other brand has")
    await record_event(
        call, "settings_changed", payload={"subject": "host", "host": host, "base_url": base_url}
    )
    return {"ok": True, "host": dict(row)}


async def list_brand_hosts(call: Call, arguments: ListBrandHosts) -> Answer:
    """One page of the brand's hosts, newest first (CATALOGUE)."""
    key = ListKey("list_brand_hosts", call.brand_id, {})
    created_at, host = _start(key, arguments.cursor)
    rows = await call.connection.fetch(
        _NEWEST, call.brand_id, created_at, host, arguments.limit + 1
    )
    shown = rows[: arguments.limit]
    cursor = None
    if len(rows) > arguments.limit:
        last = shown[-1]
        cursor = encode_cursor(key, [last["created_at"].isoformat(), last["host"]])
    return {
        "ok": True,
        "hosts": [{name: row[name] for name in _COLUMNS} for row in shown],
        "has_more": cursor is not None,
        "next_cursor": cursor,
    }


def _start(key: ListKey, cursor: str | None) -> tuple[datetime, str]:
    """Where a page begins; no host is later than the end of time, whatever its name."""
    if cursor is None:
        return END, ""
    try:
        created_at, host = decode_cursor(key, cursor, 2)
        if not host.isprintable():
            raise ValueError("a host that no row has")
        return moment_of_cursor(created_at), host
    except (CursorProblem, ValueError, OverflowError):
        raise bad_cursor() from None
