"""How the answers on the pages of docs/api come about: what is prepared, who calls, with which arguments.

An answer without a scenario here is that of the page's own request on the stage of the contract tests,
with the stage's ids, and times around now, in place of those shown.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from tests.contract.stage import Raw, Stage
from tests.support.minting import claimed, execute, production_batch

Arranged = Awaitable[Raw]
Scenario = Callable[[Stage, Raw], Arranged]
"""Prepares the stage and gives the arguments to call with, made from those of the page."""

BIG = 25_000


def on_stage(stage: Stage, request: Mapping[str, object]) -> Raw:
    """The page's request with ids of the stage, and times around now, in place of those shown."""
    now = datetime.now(UTC)
    raw: Raw = {}
    for name, value in request.items():
        match name:
            case "_brand_id":
                continue
            case "_unit_ids":
                raw[name] = [str(stage.mine.unit_ids)]
            case "_from":
                raw[name] = (now - timedelta(days=1)).isoformat()
            case "_to":
                raw[name] = (now + timedelta(days=1)).isoformat()
            case _ if name.endswith("_id") and name != "_scan_id":
                raw[name] = str(getattr(stage.mine, name.removeprefix("_")))
            case _:
                raw[name] = value
    return raw


async def _gtin_is_free(stage: Stage, raw: Raw) -> Raw:
    await stage.world.rpc(
        "set_product_identifier",
        product_id=stage.mine.product_id,
        identifier_type="gtin",
        raw_value="9506000149301",
    )
    return raw


async def _another_slug(_stage: Stage, raw: Raw) -> Raw:
    return raw | {"_slug": "acme-two"}


async def _not_ready(stage: Stage, _raw: Raw | None = None) -> None:
    await stage.world.rpc(
        "update_product",
        product_id=stage.mine.product_id,
        patch={"mint_readiness_status": "NOT_READY"},
    )


async def _blocked_submit(stage: Stage, raw: Raw) -> Raw:
    serials = ["A-0001", "A-0002", "A-0003", "A-0004"]
    await stage.world.submit(stage.mine.product_id, 1, serials=serials[3:])
    await _not_ready(stage)
    common = {key: raw[key] for key in ("_product_id", "_activation_mode")}
    return common | {
        "_requested_quantity": len(serials),
        "_identity_mode": "serial",
        "_serials": serials,
    }


async def _submitted_before(stage: Stage, raw: Raw) -> Raw:
    first = await stage.call("submit_mint_request", "owner", raw)
    await stage.world.run(first["mint_job_id"])
    return raw


async def _blocked_preflight(stage: Stage, raw: Raw) -> Raw:
    batch_id = await production_batch(stage.world, stage.mine.product_id, quantity=20_000)
    await _not_ready(stage)
    return raw | {"_batch_id": str(batch_id), "_requested_quantity": BIG}


async def _queued_before(stage: Stage, raw: Raw) -> Raw:
    raw = await _preflighted(stage, raw)
    await stage.call("create_mint_batch_from_job", "owner", raw)
    return raw


async def _preflighted(stage: Stage, raw: Raw) -> Raw:
    return raw | {"_mint_job_id": str(stage.mine.preflight_id)}


async def _completed_job(stage: Stage, raw: Raw) -> Raw:
    return raw | {"_mint_job_id": str(stage.mine.mint_job_id)}


async def _discontinued(stage: Stage, raw: Raw) -> Raw:
    preflight = await stage.world.rpc(
        "preflight_mint_batch",
        product_id=stage.mine.product_id,
        batch_id=stage.mine.product_batch_id,
        requested_quantity=3,
    )
    await stage.world.rpc(
        "update_product",
        product_id=stage.mine.product_id,
        patch={"commercial_status": "DISCONTINUED"},
    )
    return raw | {"_mint_job_id": str(preflight["id"])}


async def _big_job(stage: Stage) -> dict[str, Any]:
    return await stage.world.submit(stage.mine.product_id, BIG)


async def _a_big_job(stage: Stage, raw: Raw) -> Raw:
    return raw | {"_mint_job_id": str((await _big_job(stage))["mint_job_id"])}


async def _its_last_cycle(stage: Stage, raw: Raw) -> Raw:
    raw = await _a_big_job(stage, raw)
    await stage.call("process_mint_job_batch", "service", raw)
    return raw


async def _nothing_to_do(_stage: Stage, _raw: Raw) -> Raw:
    return {}


async def _leased_by_another(stage: Stage, raw: Raw) -> Raw:
    submitted = await _big_job(stage)
    raw = raw | {"_mint_job_id": str(submitted["mint_job_id"])}
    await stage.call("process_mint_job_batch", "service", raw)
    await execute(
        stage.world,
        "update work_item set runnable_at = clock_timestamp() where ref_id = $1",
        submitted["mint_job_id"],
    )
    await claimed(stage.world, submitted)
    await execute(
        stage.world,
        "update mint_job set status = 'PROCESSING' where id = $1",
        submitted["mint_job_id"],
    )
    return raw


async def _a_taken_serial(stage: Stage, raw: Raw) -> Raw:
    """The second chunk has a serial that is there already, as no call of ours would leave it."""
    world = stage.world
    submitted = await world.submit(stage.mine.product_id, 2, serials=["A-1", "A-2"])
    raw = raw | {"_mint_job_id": str(submitted["mint_job_id"])}
    await stage.call("process_mint_job_batch", "service", raw | {"_batch_size": 1})
    await execute(
        world,
        "insert into mint_unit (brand_id, id, mint_batch_id, unit_no, serial_number, created_at) "
        "values ($1, $2, $3, 0, 'A-2', now())",
        world.brand_id,
        uuid4(),
        uuid4(),
    )
    return raw


async def _exported(stage: Stage, raw: Raw) -> Raw:
    await stage.world.rpc(
        "set_mint_batch_status", mint_batch_id=stage.mine.mint_batch_id, status="exported"
    )
    return raw


async def _applied_too_early(_stage: Stage, raw: Raw) -> Raw:
    return raw | {"_status": "applied"}


async def _failed_job(stage: Stage, raw: Raw) -> Raw:
    return raw | {"_mint_job_id": str(stage.mine.failed_job_id)}


async def _active_units(stage: Stage, raw: Raw) -> Raw:
    await stage.world.rpc("record_scan_event", "service", mint_lot_id=stage.mine.mint_lot_id)
    return raw


async def _of_another_batch(stage: Stage, raw: Raw) -> Raw:
    submitted = await stage.world.submit(stage.mine.product_id, 3)
    await stage.world.run(submitted["mint_job_id"])
    return raw | {"_mint_batch_id": str(submitted["mint_batch_id"])}


async def _requested_before(stage: Stage, raw: Raw) -> Raw:
    raw = await _of_another_batch(stage, raw)
    await stage.call("request_payload_packs", "owner", raw)
    await execute(stage.world, "update export_group set status = 'generating'")
    return raw


async def _unminted(stage: Stage, raw: Raw) -> Raw:
    submitted = await _big_job(stage)
    await stage.call(
        "process_mint_job_batch", "service", {"_mint_job_id": str(submitted["mint_job_id"])}
    )
    return raw | {"_mint_batch_id": str(submitted["mint_batch_id"])}


async def _with_attributes(stage: Stage, raw: Raw) -> Raw:
    await stage.world.rpc(
        "update_product_batch",
        product_batch_id=stage.mine.product_batch_id,
        patch={"attributes": {"line": 4}},
    )
    return raw


async def _draft_again(_stage: Stage, raw: Raw) -> Raw:
    return raw | {"_patch": {"commercial_status": "DRAFT"}}


async def _much_allocated(stage: Stage, raw: Raw) -> Raw:
    batch_id = await production_batch(stage.world, stage.mine.product_id, quantity=20_000)
    await stage.world.submit(stage.mine.product_id, 20_000, product_batch_id=batch_id)
    return raw | {"_product_batch_id": str(batch_id), "_patch": {"quantity": 100}}


async def _as_many_links_as_may_be(stage: Stage, raw: Raw) -> Raw:
    await execute(
        stage.world,
        "insert into product_link "
        "(brand_id, id, product_id, link_type, href, title, created_at, updated_at) "
        "select $1, gen_random_uuid(), $2, 'gs1:pip', 'https://example.com/' || n, 'Oak', now(), now() "
        "from generate_series(1, 199) as n",
        stage.world.brand_id,
        stage.mine.product_id,
    )
    return raw


async def _the_last_owner(_stage: Stage, raw: Raw) -> Raw:
    return raw | {"_email": "owner@example.com"}


async def _the_last_owners_id(stage: Stage, raw: Raw) -> Raw:
    return raw | {"_user_id": str(stage.world.user_ids["owner"])}


async def _revoked_key(stage: Stage, raw: Raw) -> Raw:
    await stage.world.rpc("revoke_api_key", api_key_id=stage.mine.api_key_id)
    return raw


async def _as_many_webhooks_as_may_be(stage: Stage, raw: Raw) -> Raw:
    await execute(
        stage.world,
        "insert into webhook (brand_id, id, url, event_types, status, secret_sealed, created_at) "
        "select $1, gen_random_uuid(), 'https://example.com/', '{mint_job.failed}', 'active', '', now() "
        "from generate_series(1, 19)",
        stage.world.brand_id,
    )
    return raw


async def _disabled_webhook(stage: Stage, raw: Raw) -> Raw:
    await execute(
        stage.world,
        "update webhook set status = 'disabled', disabled_reason = 'gone', disabled_at = now()",
    )
    return raw


async def _all_that_failed(stage: Stage, raw: Raw) -> Raw:
    del raw
    return {"_webhook_id": str(stage.mine.webhook_id), "_from": "2026-01-31T12:00:00Z"}


async def _oak(stage: Stage, raw: Raw) -> Raw:
    """A product, a batch and a token that begin with what is looked for."""
    product_id = await stage.world.product(sku="OAK-1")
    lots = await stage.world.submit(
        product_id, 1, identity_mode="batch", lots=[{"lot_code": "OAK-2026-01", "qty": 1}]
    )
    tokens = await stage.world.submit(product_id, 1, serials=["OAK-000017"])
    for submitted in (lots, tokens):
        await stage.world.run(submitted["mint_job_id"])
    return raw


async def _a_unit_of_that_serial(stage: Stage, raw: Raw) -> Raw:
    submitted = await stage.world.submit(stage.mine.product_id, 1, serials=["OAK-000017"])
    await stage.world.run(submitted["mint_job_id"])
    return raw


async def _scanned(stage: Stage, raw: Raw) -> Raw:
    await stage.world.rpc("record_scan_event", "service", unit_id=stage.mine.unit_id)
    return raw


SCENARIOS: dict[tuple[str, str], Scenario] = {
    ("submit_mint_request", "Response (blocked)"): _blocked_submit,
    ("submit_mint_request", "Response (idempotent hit)"): _submitted_before,
    ("preflight_mint_batch", "Response (blocked)"): _blocked_preflight,
    ("create_mint_batch_from_job", "Response"): _preflighted,
    ("create_mint_batch_from_job", "Response (duplicate)"): _queued_before,
    ("create_mint_batch_from_job", "Response (refused)"): _completed_job,
    ("create_mint_batch_from_job", "Response (refused) 2"): _discontinued,
    ("process_mint_job_batch", "Response (in progress)"): _a_big_job,
    ("process_mint_job_batch", "Response (completed)"): _its_last_cycle,
    ("process_mint_job_batch", "Response (nothing to do)"): _nothing_to_do,
    ("process_mint_job_batch", "Response (another worker has it)"): _leased_by_another,
    ("process_mint_job_batch", "Response (the cycle failed)"): _a_taken_serial,
    ("set_mint_batch_status", "Response"): _exported,
    ("set_mint_batch_status", "Response (refused)"): _applied_too_early,
    ("retry_mint_job", "Response"): _failed_job,
    ("retry_mint_job", "Response (refused)"): _completed_job,
    ("list_mint_units", "Response"): _active_units,
    ("request_payload_packs", "Response"): _of_another_batch,
    ("request_payload_packs", "Response (duplicate)"): _requested_before,
    ("request_payload_packs", "Response (refused)"): _unminted,
    ("search_brand_objects_v1", "Response"): _oak,
    ("record_scan_event", "Response"): _a_unit_of_that_serial,
    ("list_scan_events", "Response"): _scanned,
    ("list_product_batches", "Response"): _with_attributes,
    ("create_product", "Response"): _gtin_is_free,
    ("update_product", "Response (refused)"): _draft_again,
    ("update_product_batch", "Response (refused)"): _much_allocated,
    ("set_product_link", "Response (refused)"): _as_many_links_as_may_be,
    ("set_brand_member", "Response (refused)"): _the_last_owner,
    ("remove_brand_member", "Response (refused)"): _the_last_owners_id,
    ("rotate_api_key", "Response (refused)"): _revoked_key,
    ("create_webhook", "Response (refused)"): _as_many_webhooks_as_may_be,
    ("redeliver_webhook", "Response (all that failed)"): _all_that_failed,
    ("redeliver_webhook", "Response (refused)"): _disabled_webhook,
    ("create_brand", "Response"): _another_slug,
}
