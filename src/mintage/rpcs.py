"""The whole API as one table: name, function, arguments, action needed, read-only, audience.

A new RPC is a row here, a function in `operations/`, its statements in sql/queries/, a test and a page in
docs/api/, all of one name.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, Literal

from mintage.operations import (
    api_keys,
    arguments,
    arguments_catalogue,
    arguments_exports,
    arguments_minting,
    arguments_telemetry,
    arguments_webhooks,
    brand_settings,
    brands,
    exports,
    hosts,
    identifiers,
    kpis,
    members,
    mint_batches,
    mint_events,
    mint_execution,
    mint_lifecycle,
    mint_preflight,
    mint_submission,
    mint_units,
    product_batches,
    product_links,
    product_lists,
    products,
    scan_activity,
    scan_events,
    scan_recording,
    search,
    unit_revocation,
    webhooks,
)
from mintage.operations.call import Answer
from mintage.rules.roles import Action

Audience = Literal["brand", "caller", "service"]
"""brand: works in the brand of `_brand_id`; caller: any authenticated caller; service: no brand named."""


@dataclass(frozen=True, slots=True)
class Rpc:
    """One row. `opens_transactions`: the function is given `Transactions` rather than a `Call`.

    `deprecated_since`: the day from which answers say so (RFC 9745).
    """

    function: Callable[[Any, Any], Awaitable[Answer]]
    arguments: type[arguments.Arguments]
    action: Action
    is_read_only: bool = False
    audience: Audience = "brand"
    opens_transactions: bool = False
    deprecated_since: date | None = None

    @property
    def name(self) -> str:
        return self.function.__name__

    @property
    def is_deprecated(self) -> bool:
        return self.deprecated_since is not None


_ROWS: Final = (
    # Minting
    Rpc(mint_submission.submit_mint_request, arguments.SubmitMintRequest, "mint:write"),
    Rpc(mint_preflight.preflight_mint_batch, arguments_minting.PreflightMintBatch, "mint:write"),
    Rpc(
        mint_preflight.create_mint_batch_from_job,
        arguments_minting.CreateMintBatchFromJob,
        "mint:write",
        deprecated_since=date(2026, 11, 24),
    ),
    Rpc(
        mint_execution.process_mint_job_batch,
        arguments.ProcessMintJobBatch,
        "service",
        audience="service",
        opens_transactions=True,
    ),
    Rpc(mint_lifecycle.set_mint_batch_status, arguments_minting.SetMintBatchStatus, "mint:write"),
    Rpc(mint_lifecycle.retry_mint_job, arguments_minting.RetryMintJob, "mint:write"),
    Rpc(unit_revocation.revoke_mint_units, arguments_minting.RevokeMintUnits, "mint:write"),
    Rpc(mint_batches.list_mint_batches, arguments.ListMintBatches, "mint:read", is_read_only=True),
    Rpc(
        mint_batches.get_mint_batch_by_id,
        arguments.GetMintBatchById,
        "mint:read",
        is_read_only=True,
    ),
    Rpc(mint_units.list_mint_units, arguments.ListMintUnits, "mint:read", is_read_only=True),
    Rpc(mint_events.list_mint_events, arguments.ListMintEvents, "mint:read", is_read_only=True),
    Rpc(kpis.get_mint_kpis, arguments_minting.GetMintKpis, "mint:read", is_read_only=True),
    Rpc(
        search.search_brand_objects_v1,
        arguments_telemetry.SearchBrandObjects,
        "mint:read",
        is_read_only=True,
    ),
    # Exports
    Rpc(exports.request_payload_packs, arguments_exports.RequestPayloadPacks, "exports:write"),
    Rpc(
        exports.list_payload_packs,
        arguments_exports.ListPayloadPacks,
        "mint:read",
        is_read_only=True,
    ),
    # Catalogue
    Rpc(products.create_product, arguments.CreateProduct, "products:write"),
    Rpc(products.update_product, arguments.UpdateProduct, "products:write"),
    Rpc(
        product_lists.list_products,
        arguments_catalogue.ListProducts,
        "mint:read",
        is_read_only=True,
    ),
    Rpc(product_lists.get_product, arguments_catalogue.GetProduct, "mint:read", is_read_only=True),
    Rpc(identifiers.set_product_identifier, arguments.SetProductIdentifier, "gates:write"),
    Rpc(
        product_lists.list_product_identifiers,
        arguments_catalogue.ListProductIdentifiers,
        "mint:read",
        is_read_only=True,
    ),
    Rpc(product_links.set_product_link, arguments_catalogue.SetProductLink, "products:write"),
    Rpc(
        product_links.list_product_links,
        arguments_catalogue.ListProductLinks,
        "mint:read",
        is_read_only=True,
    ),
    Rpc(product_links.remove_product_link, arguments_catalogue.RemoveProductLink, "products:write"),
    Rpc(product_batches.create_product_batch, arguments.CreateProductBatch, "gates:write"),
    Rpc(product_batches.update_product_batch, arguments.UpdateProductBatch, "gates:write"),
    Rpc(
        product_lists.list_product_batches,
        arguments_catalogue.ListProductBatches,
        "mint:read",
        is_read_only=True,
    ),
    # Scans
    Rpc(scan_recording.record_scan_event, arguments_telemetry.RecordScanEvent, "service"),
    Rpc(
        scan_events.list_scan_events,
        arguments_telemetry.ListScanEvents,
        "mint:read",
        is_read_only=True,
    ),
    Rpc(
        scan_activity.get_scan_activity,
        arguments_telemetry.GetScanActivity,
        "mint:read",
        is_read_only=True,
    ),
    # Administration
    Rpc(
        members.list_brand_members, arguments_catalogue.ListBrandMembers, "admin", is_read_only=True
    ),
    Rpc(members.set_brand_member, arguments_catalogue.SetBrandMember, "admin"),
    Rpc(members.remove_brand_member, arguments_catalogue.RemoveBrandMember, "admin"),
    Rpc(api_keys.create_api_key, arguments_catalogue.CreateApiKey, "admin"),
    Rpc(api_keys.list_api_keys, arguments_catalogue.ListApiKeys, "admin", is_read_only=True),
    Rpc(api_keys.rotate_api_key, arguments_catalogue.RotateApiKey, "admin"),
    Rpc(api_keys.revoke_api_key, arguments_catalogue.RevokeApiKey, "admin"),
    Rpc(
        brand_settings.get_brand_settings,
        arguments_catalogue.GetBrandSettings,
        "admin",
        is_read_only=True,
    ),
    Rpc(brand_settings.update_brand_settings, arguments_catalogue.UpdateBrandSettings, "admin"),
    Rpc(webhooks.create_webhook, arguments_webhooks.CreateWebhook, "admin"),
    Rpc(webhooks.list_webhooks, arguments_webhooks.ListWebhooks, "admin", is_read_only=True),
    Rpc(webhooks.remove_webhook, arguments_webhooks.RemoveWebhook, "admin"),
    Rpc(
        webhooks.list_webhook_deliveries,
        arguments_webhooks.ListWebhookDeliveries,
        "admin",
        is_read_only=True,
    ),
    Rpc(webhooks.redeliver_webhook, arguments_webhooks.RedeliverWebhook, "admin"),
    Rpc(
        brands.list_my_brands,
        arguments.ListMyBrands,
        "mint:read",
        is_read_only=True,
        audience="caller",
    ),
    Rpc(hosts.list_brand_hosts, arguments_catalogue.ListBrandHosts, "admin", is_read_only=True),
    Rpc(hosts.set_brand_host, arguments.SetBrandHost, "service"),
    Rpc(brands.create_brand, arguments.CreateBrand, "service", audience="service"),
)

RPCS: Final = {row.name: row for row in _ROWS}
