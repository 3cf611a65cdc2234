"""The resolver URL of a unit, as printed on a product (SPEC §4, table of modes; GS1 Digital Link).

Not here: reading such a URL back (`rules.digital_link`) and answering it (`resolver/`).
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

from mintage.db.queries import query
from mintage.operations.call import Call
from mintage.rules.gs1 import percent_encode

_PRIMARY_BASE_URL: Final = query("resolver_url", "primary_base_url")


async def brand_base_url(call: Call) -> str:
    """The base URL of the brand's primary host, `scheme://host[:port]` without a slash at the end.

    Raises `LookupError` for a brand without one: `create_brand` gives each its first.
    """
    return settled_base_url(await call.connection.fetchval(_PRIMARY_BASE_URL, call.brand_id))


def settled_base_url(found: str | None) -> str:
    """The same of what a statement has `found` beside other things."""
    if found is None:
        raise LookupError("the brand has no primary host")
    return found.removesuffix("/")


def resolver_url(
    base_url: str,
    gtin14: str | None,
    unit_id: UUID,
    serial: str | None,
    lot_code: str | None,
    lot_id: UUID | None,
) -> str:
    """The absolute URL of one unit, values percent-encoded: AI (21) with a serial, else AI (10).

    Serial mode has a serial, batch mode a lot: `ValueError` for a unit that has neither.
    """
    if serial is not None:
        if gtin14 is None:
            return f"{base_url}/mu/{unit_id}"
        return f"{base_url}/01/{gtin14}/21/{_encoded(serial)}"
    if lot_code is None or lot_id is None:
        raise ValueError(f"unit {unit_id} has neither a serial nor a lot")
    if gtin14 is None:
        return f"{base_url}/ml/{lot_id}"
    return f"{base_url}/01/{gtin14}/10/{_encoded(lot_code)}"


def _encoded(value: str) -> str:
    # Generated serials are letters and digits: a million of them need no encoder.
    return value if value.isalnum() and value.isascii() else percent_encode(value)
