"""A brand's hosts: where its resolver URLs point. The first comes with the brand (`brands`)."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from mintage.db.queries import query
from mintage.errors import ArgumentProblem, invalid_input
from mintage.operations.arguments import SetBrandHost
from mintage.operations.call import Answer, Call
from mintage.operations.conflicts import taken
from mintage.operations.events import record_event
from mintage.settings import base_url_of

_DROP_PRIMARY: Final = query("host", "drop_primary")
_SET: Final = query("host", "set")


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
    row = await call.connection.fetchrow(
        _SET, host, call.brand_id, base_url, arguments.is_primary, call.now
    )
    if row is None:
        raise taken("_base_url", f"host {host}", "give a host that no other brand has")
    await record_event(
        call, "settings_changed", payload={"subject": "host", "host": host, "base_url": base_url}
    )
    return {"ok": True, "host": dict(row)}
