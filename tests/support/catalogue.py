"""What tests of the catalogue and of administration do again and again. Not here: what they assert."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from tests.support.world import World

HREF = "https://acme.example/oak-table"


async def link_of(world: World, product_id: UUID, **changes: Any) -> dict[str, Any]:
    """A link of a product as `set_product_link` answers it; English product information by default."""
    arguments = {"link_type": "gs1:pip", "href": HREF, "title": "Oak table"} | changes
    caller = arguments.pop("caller", "owner")
    answer = await world.rpc("set_product_link", caller, product_id=product_id, **arguments)
    link: dict[str, Any] = answer["link"]
    return link


async def new_key(world: World, *scopes: str, **changes: Any) -> dict[str, Any]:
    """A new API key as `create_api_key` answers it."""
    arguments = {"name": "ERP", "scopes": list(scopes or ("mint:read",))} | changes
    caller = arguments.pop("caller", "owner")
    return await world.rpc("create_api_key", caller, **arguments)


def at(world: World, moment: datetime) -> World:
    """The same world with its clock standing still."""
    return world.with_platform(replace(world.platform, pinned_now=moment))
