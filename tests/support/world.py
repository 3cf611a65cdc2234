"""A small world for tests: two brands, the cast, products that may be minted.

The rows that come before any RPC can be called (brands, accounts, members) are written directly; all the
rest goes through `perform`, as in life.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID, uuid4

from mintage.operations.call import ANONYMOUS, SERVICE, Caller
from mintage.perform import Platform, perform
from mintage.rpcs import RPCS

GTIN_TABLE = "9506000134352"
"""GS1's example company prefix 9506000."""


@dataclass(frozen=True)
class World:
    """`brand_id` is the brand under test, `other_brand_id` the stranger's.

    `callers` has anonymous, viewer, editor, admin, owner, stranger (the other brand's owner) and service.
    """

    platform: Platform
    brand_id: UUID
    other_brand_id: UUID
    callers: Mapping[str, Caller]
    user_ids: Mapping[str, UUID] = field(default_factory=dict)

    async def rpc(self, name: str, caller: str = "owner", /, **arguments: Any) -> dict[str, Any]:
        """Perform RPC `name` as a member of the cast; arguments without the leading underscore.

        The brand is added (the stranger's own for the stranger) unless `brand_id` is given.
        """
        raw: dict[str, object] = {f"_{key}": _wire(value) for key, value in arguments.items()}
        if RPCS[name].audience == "brand" and "_brand_id" not in raw:
            raw["_brand_id"] = str(self.other_brand_id if caller == "stranger" else self.brand_id)
        return dict(await perform(self.platform, self.callers[caller], RPCS[name], raw, "test"))

    async def product(self, caller: str = "owner", **changes: Any) -> UUID:
        """A product that is ACTIVE and READY; its id."""
        arguments: dict[str, Any] = {
            "sku": f"SKU-{uuid4().hex[:10]}",
            "name": "Oak table",
        } | changes
        made = await self.rpc("create_product", caller, **arguments)
        product_id = UUID(str(made["product"]["id"]))
        await self.rpc(
            "update_product",
            caller,
            product_id=product_id,
            patch={"commercial_status": "ACTIVE", "mint_readiness_status": "READY"},
        )
        return product_id

    async def submit(
        self, product_id: UUID, quantity: int = 10, **changes: object
    ) -> dict[str, Any]:
        """Submit a mint request, serial mode unless told otherwise."""
        arguments: dict[str, Any] = {
            "product_id": product_id,
            "requested_quantity": quantity,
            "identity_mode": "serial",
            "activation_mode": "first_scan",
        } | changes
        return await self.rpc("submit_mint_request", **arguments)

    async def run(self, job_id: object = None, **changes: Any) -> dict[str, Any]:
        """Run cycles until nothing is left to do; the last answer."""
        arguments = dict(changes) if job_id is None else dict(changes) | {"mint_job_id": job_id}
        while True:
            answer = await self.rpc("process_mint_job_batch", "service", **arguments)
            if answer["done"]:
                return answer

    async def minted(
        self, quantity: int = 10, *, gtin: str | None = GTIN_TABLE, **changes: object
    ) -> dict[str, Any]:
        """A minted batch of a new product: submit's answer."""
        product_id = await self.product(gtin=gtin)
        submitted = await self.submit(product_id, quantity, **changes)
        await self.run(submitted["mint_job_id"])
        return submitted

    def with_platform(self, platform: Platform) -> World:
        return replace(self, platform=platform)


async def build_world(platform: Platform) -> World:
    """Make the two brands, their hosts, accounts and members."""
    brand_id, other_brand_id = uuid4(), uuid4()
    user_ids = {
        name: uuid4() for name in ("owner", "admin", "editor", "viewer", "stranger", "nobody")
    }
    async with platform.database.transaction(SERVICE.identity(None)) as connection:
        for identifier, slug in ((brand_id, "acme"), (other_brand_id, "rival")):
            await connection.execute(
                "insert into brand (id, slug, name, created_at) values ($1, $2, $3, clock_timestamp())",
                identifier,
                slug,
                slug.title(),
            )
            await connection.execute(
                "insert into brand_host (host, brand_id, base_url, is_primary, verified_at, created_at) "
                "values ($1, $2, $3, true, clock_timestamp(), clock_timestamp())",
                f"{slug}.example.com",
                identifier,
                f"https://{slug}.example.com",
            )
        for name, user_id in user_ids.items():
            await connection.execute(
                "insert into app_user (id, email, email_key, password_hash, created_at, updated_at) "
                "values ($1, $2, $2, 'none', clock_timestamp(), clock_timestamp())",
                user_id,
                f"{name}@example.com",
            )
            if name != "nobody":
                await connection.execute(
                    "insert into brand_member (brand_id, user_id, role, created_at, updated_at) "
                    "values ($1, $2, $3, clock_timestamp(), clock_timestamp())",
                    other_brand_id if name == "stranger" else brand_id,
                    user_id,
                    "owner" if name == "stranger" else name,
                )
    callers = {name: Caller("user", user_id) for name, user_id in user_ids.items()}
    callers |= {"anonymous": ANONYMOUS, "service": SERVICE}
    return World(platform, brand_id, other_brand_id, callers, user_ids)


def _wire(value: object) -> object:
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, dict):
        return {key: _wire(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_wire(inner) for inner in value]
    return value
