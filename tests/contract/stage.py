"""A stage for calls of every RPC: two brands that have one of everything, and right arguments to call with.

A new RPC gets its examples here; `test_every_rpc_has_examples` says so when they are missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from itertools import count
from typing import Any
from uuid import UUID, uuid4

import asyncpg

from mintage.operations.call import Caller
from mintage.perform import perform
from mintage.rpcs import RPCS
from mintage.rules.roles import SCOPES, Scope
from tests.support.webhooks import put_webhook, redeliver_examples, webhook_examples
from tests.support.world import GTIN_TABLE, World

Raw = dict[str, object]
_numbers = count(1)

AFTER_AN_END = {
    "create_webhook",
    "list_webhook_deliveries",
    "remove_brand_member",
    "remove_product_link",
    "redeliver_webhook",
    "remove_webhook",
    "revoke_api_key",
    "rotate_api_key",
    "set_product_link",
}
"""What they name may be gone by an earlier call: it is put back before they are called."""

DIGEST = "select count(*) as rows, coalesce(sum(hashtextextended(there::text, 0)), 0) as sum from {} as there"


@dataclass(frozen=True)
class Things:
    """One of everything that an id argument can name, in one brand: `_product_id` → `product_id`.

    Besides: a preflight, and a job that has FAILED.
    """

    product_id: UUID
    product_batch_id: UUID
    batch_id: UUID
    mint_job_id: UUID
    mint_batch_id: UUID
    mint_lot_id: UUID
    unit_ids: UUID
    unit_id: UUID
    export_group_id: UUID
    preflight_id: UUID
    failed_job_id: UUID
    link_id: UUID
    user_id: UUID
    api_key_id: UUID
    webhook_id: UUID
    webhook_delivery_id: UUID


@dataclass(frozen=True)
class Stage:
    """`mine` belongs to the brand under test, `theirs` to the stranger's. `keys` are API keys by name."""

    world: World
    mine: Things
    theirs: Things
    keys: Mapping[str, Caller]

    def caller(self, name: str) -> Caller:
        return self.keys[name] if name in self.keys else self.world.callers[name]

    async def call(self, rpc: str, caller: str, raw: Mapping[str, object]) -> dict[str, Any]:
        """Perform with raw arguments; the brand under test is added where one is due."""
        given = dict(raw)
        if RPCS[rpc].audience == "brand":
            given = {"_brand_id": str(self.world.brand_id)} | given
        if rpc == "retry_mint_job":
            await _fail(self.world, self.mine.failed_job_id)
        if rpc in AFTER_AN_END:
            await _put_back(self.world, self.world.brand_id, self.mine)
        platform = self.world.platform
        return dict(await perform(platform, self.caller(caller), RPCS[rpc], given, "contract"))

    def examples(self, rpc: str) -> list[Raw]:
        """Right arguments of an RPC, fresh on each call, without the brand; together they use each one."""
        return EXAMPLES[rpc](self.mine, next(_numbers))


def allowed_caller(rpc: str) -> str:
    """A member of the cast who may call the RPC."""
    return "service" if RPCS[rpc].action == "service" else "owner"


def _submit(mine: Things, n: int) -> list[Raw]:
    common: Raw = {
        "_product_id": str(mine.product_id),
        "_product_batch_id": str(mine.product_batch_id),
        "_activation_mode": "first_scan",
        "_idempotency_key": f"key-{n}",
    }
    serials: Raw = {
        "_requested_quantity": 2,
        "_identity_mode": "serial",
        "_serials": [f"S{n}A", f"S{n}B"],
    }
    lots: Raw = {
        "_requested_quantity": 3,
        "_identity_mode": "batch",
        "_lots": [{"lot_code": "A", "qty": 1}, {"lot_code": "B", "qty": 2}],
    }
    return [
        common | serials,
        common | lots | {"_idempotency_key": f"lots-{n}"},
    ]


def _link(mine: Things, n: int) -> list[Raw]:
    link: Raw = {
        "_product_id": str(mine.product_id),
        "_link_type": "gs1:pip",
        "_href": f"https://example.com/{n}",
        "_title": "Oak table",
        "_hreflang": "en",
        "_media_type": "text/html",
        "_context": "DE",
        "_is_default": True,
    }
    return [link, link | {"_link_id": str(mine.link_id)}]


def _settings(mine: Things, n: int) -> list[Raw]:
    patch: Raw = {
        "name": f"Acme {n}",
        "default_identity_mode": "serial",
        "default_activation_mode": "first_scan",
        "strata": 1_000_000,
        "gcp_length": 7,
        "print_profile": "generic_vdp_lf",
        "biz_location": "urn:epc:id:sgln:9506000.00000.0",
        "read_point": "https://id.gs1.org/414/9506000134352",
        "clone_thresholds": {"scans_a_day_high": 200 + n},
        "redirect_signed_urls": False,
    }
    return [{"_patch": patch}]


def _scans(mine: Things, n: int) -> list[Raw]:
    context: Raw = {"user_agent": "okhttp/4.12.0", "ip": "192.0.2.7", "path": "/01/09506000134352"}
    return [
        {"_unit_id": str(mine.unit_id), "_scan_id": f"scan-{n}", "_context": context},
        {"_mint_lot_id": str(mine.mint_lot_id)},
        {"_gtin": GTIN_TABLE, "_serial_number": "ABC-1"},
        {
            "_gtin": GTIN_TABLE,
            "_lot_code": "A",
            "_scanned_at": datetime.now(UTC).isoformat(),
        },
    ]


def _page(**filters: object) -> list[Raw]:
    return [{f"_{name}": value for name, value in filters.items()} | {"_limit": 5, "_cursor": None}]


MOMENTS = {"from": "2020-01-31T12:00:00Z", "to": "2099-01-31T12:00:00+01:00"}

EXAMPLES: dict[str, Callable[[Things, int], list[Raw]]] = {
    "submit_mint_request": _submit,
    "preflight_mint_batch": lambda mine, n: [
        {
            "_product_id": str(mine.product_id),
            "_batch_id": str(mine.product_batch_id),
            "_requested_quantity": 2,
            "_idempotency_key": f"preflight-{n}",
        }
    ],
    "create_mint_batch_from_job": lambda mine, n: [{"_mint_job_id": str(mine.preflight_id)}],
    "set_mint_batch_status": lambda mine, n: [
        {
            "_mint_batch_id": str(mine.mint_batch_id),
            "_status": "exported",
            "_reason": "sent to the printer",
        }
    ],
    "retry_mint_job": lambda mine, n: [{"_mint_job_id": str(mine.failed_job_id)}],
    "revoke_mint_units": lambda mine, n: [
        {"_unit_ids": [str(mine.unit_ids)], "_reason": "stolen labels"}
    ],
    "get_mint_kpis": lambda mine, n: [{}],
    "process_mint_job_batch": lambda mine, n: [
        {"_mint_job_id": str(mine.mint_job_id), "_batch_size": 10}
    ],
    "list_mint_batches": lambda mine, n: _page(
        status="minted", product_id=str(mine.product_id), **MOMENTS
    ),
    "get_mint_batch_by_id": lambda mine, n: [{"_mint_batch_id": str(mine.mint_batch_id)}],
    "list_mint_units": lambda mine, n: _page(
        mint_batch_id=str(mine.mint_batch_id), mint_lot_id=str(mine.mint_lot_id), status="minted"
    ),
    "list_mint_events": lambda mine, n: _page(
        mint_batch_id=str(mine.mint_batch_id),
        mint_job_id=str(mine.mint_job_id),
        event_type="mint_requested",
        **MOMENTS,
    ),
    "search_brand_objects_v1": lambda mine, n: [{"_query": "SKU", "_limit": 5, "_cursor": None}],
    "record_scan_event": _scans,
    "list_scan_events": lambda mine, n: _page(
        unit_id=str(mine.unit_id),
        mint_batch_id=str(mine.mint_batch_id),
        product_id=str(mine.product_id),
        severity="review",
        **MOMENTS,
    ),
    "get_scan_activity": lambda mine, n: [{"_days": 7}],
    "request_payload_packs": lambda mine, n: [
        {
            "_mint_batch_id": str(mine.mint_batch_id),
            "_format": "csv",
            "_profile": None,
            "_options": {},
        }
    ],
    "list_payload_packs": lambda mine, n: _page(
        mint_batch_id=str(mine.mint_batch_id),
        export_group_id=str(mine.export_group_id),
        status="pending",
    ),
    "create_product": lambda mine, n: [
        {
            "_sku": f"NEW-{n}",
            "_name": "Elm chair",
            "_gtin": None,
            "_description": "Four legs",
            "_image_url": "https://example.com/elm.png",
        }
    ],
    "update_product": lambda mine, n: [
        {"_product_id": str(mine.product_id), "_patch": {"name": f"Oak table {n}"}}
    ],
    "set_product_identifier": lambda mine, n: [
        {
            "_product_id": str(mine.product_id),
            "_identifier_type": "sku",
            "_raw_value": f"RENAMED-{n}",
        }
    ],
    "create_product_batch": lambda mine, n: [
        {
            "_product_id": str(mine.product_id),
            "_batch_number": f"PB-{n}",
            "_production_date": "2026-01-31",
            "_quantity": 1000,
            "_facility_ref": "Plant 3",
            "_attributes": {"line": 4},
            "_status": "DRAFT",
            "_is_cumulative": True,
        }
    ],
    "update_product_batch": lambda mine, n: [
        {"_product_batch_id": str(mine.product_batch_id), "_patch": {"facility_ref": f"Plant {n}"}}
    ],
    "list_products": lambda mine, n: _page(
        commercial_status="ACTIVE", mint_readiness_status="READY"
    ),
    "get_product": lambda mine, n: [{"_product_id": str(mine.product_id)}],
    "list_product_identifiers": lambda mine, n: [{"_product_id": str(mine.product_id)}],
    "set_product_link": _link,
    "list_product_links": lambda mine, n: _page(product_id=str(mine.product_id)),
    "remove_product_link": lambda mine, n: [{"_link_id": str(mine.link_id)}],
    "list_product_batches": lambda mine, n: _page(product_id=str(mine.product_id), status="READY"),
    "list_brand_members": lambda mine, n: _page(),
    "set_brand_member": lambda mine, n: [
        {"_email": f"new-{n}@example.com", "_role": "viewer", "_subject": None},
        {"_email": f"new-{n}@example.com", "_role": "viewer", "_subject": f"user-{n}"},
    ],
    "remove_brand_member": lambda mine, n: [{"_user_id": str(mine.user_id)}],
    "create_api_key": lambda mine, n: [
        {
            "_name": f"ERP {n}",
            "_scopes": ["mint:read", "mint:write"],
            "_expires_at": "2099-01-31T12:00:00Z",
        }
    ],
    "list_api_keys": lambda mine, n: _page(),
    "rotate_api_key": lambda mine, n: [{"_api_key_id": str(mine.api_key_id)}],
    "create_webhook": lambda mine, n: webhook_examples(str(mine.webhook_id)),
    "list_webhooks": lambda mine, n: _page(),
    "remove_webhook": lambda mine, n: [{"_webhook_id": str(mine.webhook_id)}],
    "list_webhook_deliveries": lambda mine, n: _page(
        webhook_id=str(mine.webhook_id), status="failed"
    ),
    "redeliver_webhook": lambda mine, n: redeliver_examples(
        str(mine.webhook_id), str(mine.webhook_delivery_id)
    ),
    "revoke_api_key": lambda mine, n: [
        {"_api_key_id": str(mine.api_key_id), "_reason": "a laptop was lost"}
    ],
    "get_brand_settings": lambda mine, n: [{}],
    "update_brand_settings": _settings,
    "list_brand_hosts": lambda mine, n: _page(),
    "list_my_brands": lambda mine, n: _page(),
    "set_brand_host": lambda mine, n: [
        {"_base_url": f"https://n{n}.example.com", "_is_primary": False}
    ],
    "create_brand": lambda mine, n: [
        {"_slug": f"brand-{n}", "_name": "Brand", "_owner_email": "owner@example.com"}
    ],
}


async def build_stage(world: World) -> Stage:
    """Fill both brands of the world, and make the keys."""
    mine, theirs = [await _things(world, caller) for caller in ("owner", "stranger")]
    return Stage(world, mine, theirs, await _keys(world))


async def _things(world: World, caller: str) -> Things:
    product_id = await world.product(caller, gtin=GTIN_TABLE)
    product_batch = await world.rpc(
        "create_product_batch", caller, product_id=product_id, batch_number="PB-0", status="READY"
    )
    submitted = await world.rpc(
        "submit_mint_request",
        caller,
        product_id=product_id,
        requested_quantity=5,
        identity_mode="batch",
        activation_mode="first_scan",
        lots=[{"lot_code": "A", "qty": 5}],
    )
    await world.run(submitted["mint_job_id"])
    batch = await world.rpc(
        "get_mint_batch_by_id", caller, mint_batch_id=submitted["mint_batch_id"]
    )
    packs = await world.rpc(
        "request_payload_packs", caller, mint_batch_id=submitted["mint_batch_id"]
    )
    units = await world.rpc("list_mint_units", caller, mint_batch_id=submitted["mint_batch_id"])
    preflight = await world.rpc(
        "preflight_mint_batch", caller, product_id=product_id, requested_quantity=3
    )
    failed = await world.rpc(
        "submit_mint_request",
        caller,
        product_id=product_id,
        requested_quantity=2,
        identity_mode="serial",
        activation_mode="first_scan",
    )
    await _fail(world, failed["mint_job_id"])
    things = Things(
        product_id=product_id,
        product_batch_id=product_batch["product_batch"]["id"],
        batch_id=product_batch["product_batch"]["id"],
        mint_job_id=submitted["mint_job_id"],
        mint_batch_id=submitted["mint_batch_id"],
        mint_lot_id=batch["batch"]["lots"][0]["id"],
        unit_ids=units["units"][0]["id"],
        unit_id=units["units"][0]["id"],
        export_group_id=packs["export_group_id"],
        preflight_id=preflight["id"],
        failed_job_id=failed["mint_job_id"],
        link_id=uuid4(),
        user_id=uuid4(),
        api_key_id=uuid4(),
        webhook_id=uuid4(),
        webhook_delivery_id=uuid4(),
    )
    brand_id = world.other_brand_id if caller == "stranger" else world.brand_id
    await _put_back(world, brand_id, things)
    return things


async def _put_back(world: World, brand_id: UUID, things: Things) -> None:
    """A link of the product, a member that is nobody of the cast, a key that is good."""
    async with world.platform.database.pool.acquire() as connection:
        await connection.execute(
            "insert into product_link "
            "(brand_id, id, product_id, link_type, href, title, created_at, updated_at) "
            "values ($1, $2, $3, 'gs1:pip', 'https://example.com/', 'Oak', now(), now()) "
            "on conflict do nothing",
            brand_id,
            things.link_id,
            things.product_id,
        )
        await connection.execute(
            "insert into app_user (id, email, email_key, password_hash, created_at, updated_at) "
            "values ($1, $2, $2, 'none', now(), now()) on conflict do nothing",
            things.user_id,
            f"{things.user_id}@example.com",
        )
        await connection.execute(
            "insert into brand_member (brand_id, user_id, role, created_at, updated_at) "
            "values ($1, $2, 'editor', now(), now()) on conflict do nothing",
            brand_id,
            things.user_id,
        )
        await connection.execute(
            "insert into api_key (brand_id, id, client_id, secret_hash, name, scopes, created_at) "
            "values ($1, $2, $3, '', 'key', '{mint:read}', now()) "
            "on conflict (brand_id, id) do update set revoked_at = null",
            brand_id,
            things.api_key_id,
            f"mk_live_{things.api_key_id.hex}",
        )
        await put_webhook(connection, brand_id, things.webhook_id, things.webhook_delivery_id)


async def _fail(world: World, mint_job_id: UUID) -> None:
    """Have a job FAILED that has run in vain, and so often as it is retried."""
    async with world.platform.database.pool.acquire() as connection:
        failed = await connection.execute(
            "update mint_job set status = 'FAILED', last_error = 'INTERNAL', finished_at = now() "
            "where id = $1 and status <> 'FAILED'",
            mint_job_id,
        )
        if failed == "UPDATE 1":
            await connection.execute(
                "update mint_batch set status = 'failed' where mint_job_id = $1", mint_job_id
            )
            await connection.execute("delete from work_item where ref_id = $1", mint_job_id)


async def _keys(world: World) -> dict[str, Caller]:
    keys = {f"key {scope}": await _key(world, world.brand_id, {scope}) for scope in SCOPES}
    everything = frozenset(SCOPES)
    keys["key with all"] = await _key(world, world.brand_id, everything)
    keys["expired key"] = await _key(world, world.brand_id, everything, "expires_at")
    keys["revoked key"] = await _key(world, world.brand_id, everything, "revoked_at")
    keys["other brand's key"] = await _key(world, world.other_brand_id, everything)
    keys["unknown key"] = Caller("api_key", uuid4(), world.brand_id, everything)
    return keys


async def _key(
    world: World, brand_id: UUID, scopes: frozenset[Scope] | set[Scope], ended_by: str | None = None
) -> Caller:
    key_id = uuid4()
    service = world.callers["service"].identity(brand_id)
    async with world.platform.database.transaction(service) as connection:
        await connection.execute(
            "insert into api_key (brand_id, id, client_id, secret_hash, name, scopes, created_at) "
            "values ($1, $2, $3, '', 'key', $4, now())",
            brand_id,
            key_id,
            f"mk_live_{key_id.hex}",
            sorted(scopes),
        )
        if ended_by is not None:
            await connection.execute(
                f"update api_key set {ended_by} = now() - interval '1 second' where id = $1", key_id
            )
    return Caller("api_key", key_id, brand_id, frozenset(scopes))


async def contents(dsn: str, *, brand_id: UUID | None = None) -> dict[str, tuple[int, int]]:
    """Rows and a digest of every table (of one brand): equal before and after when nothing was stored."""
    connection = await asyncpg.connect(dsn)
    try:
        tables = await connection.fetch(
            "select relname, exists (select from pg_attribute where attrelid = pg_class.oid "
            "and attname = 'brand_id') as has_brand from pg_class "
            "where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') "
            "and not relispartition order by relname"
        )
        found = {}
        for table in tables:
            if brand_id is not None and not table["has_brand"]:
                continue
            statement = DIGEST.format(table["relname"])
            if brand_id is not None:
                statement += f" where brand_id = '{brand_id}'"
            row = await connection.fetchrow(statement)
            assert row is not None
            found[table["relname"]] = (row["rows"], int(row["sum"]))
        return found
    finally:
        await connection.close()


def id_arguments(raw: Mapping[str, object]) -> list[str]:
    """The arguments of a call that name a thing of the brand."""
    others = {"_brand_id", "_scan_id"}
    return [name for name in raw if name.endswith(("_id", "_ids")) and name not in others]


KINDS_OF_IDS = {f"_{field.name}" for field in fields(Things)}
