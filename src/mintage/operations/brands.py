"""Brands: the tenants. Making one, with its first host and owner, and listing the caller's own.

Not here: a brand's settings and further hosts, and its members (`members`).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID

from mintage.db.paging import ListKey
from mintage.db.queries import query
from mintage.errors import FORBIDDEN, MintageError
from mintage.operations.arguments import CreateBrand, ListMyBrands
from mintage.operations.call import Answer, Call
from mintage.operations.conflicts import taken
from mintage.operations.events import record_event
from mintage.operations.listing import Position, page_answer, start_position
from mintage.operations.members import account_of, add_first_owner
from mintage.rules.roles import Role

_INSERT: Final = query("brand", "insert")
_INSERT_HOST: Final = query("brand", "insert_host")
_WORK_IN: Final = query("brand", "work_in")
_OF_USER: Final = query("brand", "of_user")
_OF_API_KEY: Final = query("brand", "of_api_key")
_OF_SERVICE: Final = query("brand", "of_service")
_NO_CALLER: Final = UUID(int=0)


@dataclass(frozen=True, slots=True)
class BrandOfCaller:
    """A brand as its member sees it. An API key has scopes and no role: None."""

    id: UUID
    slug: str
    name: str
    role: Role | None
    created_at: datetime


async def list_my_brands(call: Call, arguments: ListMyBrands) -> Answer:
    """The brands that the caller may work in, newest first: a key's one, every one for the service.

    Raises 403 for an API key that is no longer good or lacks `mint:read`.
    """
    start = start_position(_key(call), arguments.cursor, None)
    brands = await _brands_of(call, start, arguments.limit + 1)
    page = page_answer(_key(call), "brands", [asdict(brand) for brand in brands], arguments.limit)
    return {**page, "brands": [_brand_answer(brand) for brand in brands[: arguments.limit]]}


async def create_brand(call: Call, arguments: CreateBrand) -> Answer:
    """Make a brand with its host and its first owner, whose account is made if it is new (CATALOGUE).

    The host, under the platform's resolver domain, is verified and primary. Raises 409 for a slug that
    is taken, by a brand or as a host.
    """
    brand_id = await call.connection.fetchval(
        _INSERT, call.new_id(), arguments.slug, arguments.name, call.now
    )
    if brand_id is None:
        raise _slug_taken(arguments.slug)
    base_url = call.limits.resolver_base_url.replace("{slug}", arguments.slug)
    host = await call.connection.fetchval(
        _INSERT_HOST, urlsplit(base_url).hostname, brand_id, base_url, call.now
    )
    if host is None:
        raise _slug_taken(arguments.slug)
    # Row-level security lets the event be written by a transaction that works in its brand.
    await call.connection.execute(_WORK_IN, str(brand_id))
    inside = replace(call, brand=brand_id)
    owner = await account_of(inside, arguments.owner_email)
    await record_event(
        inside,
        "settings_changed",
        payload={"subject": "brand", "change": "created", "slug": arguments.slug},
    )
    await add_first_owner(inside, owner.user_id)
    return {
        "ok": True,
        "brand_id": brand_id,
        "base_url": base_url,
        "owner_user_id": owner.user_id,
        "password": owner.password,
    }


def _key(call: Call) -> ListKey:
    return ListKey("list_my_brands", call.caller.id or _NO_CALLER, {"kind": call.caller.kind})


async def _brands_of(call: Call, start: Position, limit: int) -> list[BrandOfCaller]:
    match call.caller.kind:
        case "service" | "system":
            rows = await call.connection.fetch(_OF_SERVICE, start.created_at, start.id, limit)
        case "api_key":
            rows = await call.connection.fetch(
                _OF_API_KEY, call.caller.brand_id, call.caller.id, call.now
            )
            if not rows:
                raise MintageError(FORBIDDEN)
        case _:
            rows = await call.connection.fetch(
                _OF_USER, call.caller.id, start.created_at, start.id, limit
            )
    return [BrandOfCaller(*row) for row in rows]


def _brand_answer(brand: BrandOfCaller) -> dict[str, object]:
    return {"id": brand.id, "slug": brand.slug, "name": brand.name, "role": brand.role}


def _slug_taken(slug: str) -> MintageError:
    return taken("_slug", f"slug {slug}", "give a slug that no other brand has")
