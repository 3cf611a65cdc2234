"""Which RPC answers what: one row an RPC, its models in `answers_<topic>`.

The contract that OpenAPI states; tests call every RPC and hold the real answer against it. A new RPC
is a row here too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mintage.operations import answers_catalogue as catalogue
from mintage.operations import answers_minting as minting
from mintage.operations import answers_telemetry as telemetry
from mintage.operations import answers_webhooks as webhooks
from mintage.operations.answer_models import Refusal, Wire


@dataclass(frozen=True, slots=True)
class Answers:
    """All that an RPC may answer with HTTP 200: what it does, and what the rules refuse."""

    successes: tuple[type[Wire], ...]
    refusals: tuple[type[Wire], ...] = ()

    @property
    def models(self) -> tuple[type[Wire], ...]:
        return (*self.successes, *self.refusals)


def _answers(success: type[Wire], *refusals: type[Wire]) -> Answers:
    return Answers((success,), refusals)


ANSWERS: Final = {
    # Minting
    "submit_mint_request": _answers(minting.Submitted, minting.SubmitRefusal),
    "preflight_mint_batch": _answers(minting.PreflightPass, minting.PreflightBlocked),
    "create_mint_batch_from_job": _answers(minting.Submitted, Refusal, minting.SubmitRefusal),
    "process_mint_job_batch": Answers((minting.Cycle, minting.Idle), (minting.FailedCycle,)),
    "set_mint_batch_status": _answers(minting.StatusSet, Refusal),
    "retry_mint_job": _answers(minting.Retried, Refusal),
    "revoke_mint_units": _answers(minting.Revoked),
    "list_mint_batches": _answers(minting.BatchPage),
    "get_mint_batch_by_id": _answers(minting.BatchAnswer),
    "list_mint_units": _answers(minting.UnitPage),
    "list_mint_events": _answers(minting.EventPage),
    "get_mint_kpis": _answers(minting.KpisAnswer),
    # Exports
    "request_payload_packs": _answers(minting.PacksRequested, Refusal),
    "list_payload_packs": _answers(minting.PackPage),
    # Search and scans
    "search_brand_objects_v1": _answers(telemetry.SearchPage),
    "record_scan_event": _answers(telemetry.ScanRecorded),
    "list_scan_events": _answers(telemetry.ScanEventPage),
    "get_scan_activity": _answers(telemetry.ScanActivity),
    # Catalogue
    "create_product": _answers(catalogue.ProductAnswer),
    "update_product": _answers(catalogue.ProductAnswer, Refusal),
    "list_products": _answers(catalogue.ProductPage),
    "get_product": _answers(catalogue.ProductAnswer),
    "set_product_identifier": _answers(catalogue.IdentifierSet),
    "list_product_identifiers": _answers(catalogue.Identifiers),
    "set_product_link": _answers(catalogue.LinkAnswer, Refusal),
    "list_product_links": _answers(catalogue.LinkPage),
    "remove_product_link": _answers(catalogue.Removed),
    "create_product_batch": _answers(catalogue.ProductBatchAnswer),
    "update_product_batch": _answers(catalogue.ProductBatchAnswer, Refusal),
    "list_product_batches": _answers(catalogue.ProductBatchPage),
    # Administration
    "list_brand_members": _answers(catalogue.MemberPage),
    "set_brand_member": _answers(catalogue.MemberSet, Refusal),
    "remove_brand_member": _answers(catalogue.Removed, Refusal),
    "create_api_key": _answers(catalogue.ApiKeySecret),
    "list_api_keys": _answers(catalogue.ApiKeyPage),
    "rotate_api_key": _answers(catalogue.ApiKeySecret, Refusal),
    "revoke_api_key": _answers(catalogue.ApiKeyRevoked),
    "get_brand_settings": _answers(catalogue.BrandSettingsAnswer),
    "update_brand_settings": _answers(catalogue.BrandSettingsAnswer),
    "create_webhook": _answers(webhooks.WebhookMade, Refusal),
    "list_webhooks": _answers(webhooks.WebhookPage),
    "remove_webhook": _answers(catalogue.Removed),
    "list_webhook_deliveries": _answers(webhooks.WebhookDeliveryPage),
    "redeliver_webhook": _answers(webhooks.Redelivered, Refusal),
    "list_my_brands": _answers(catalogue.BrandPage),
    "list_brand_hosts": _answers(catalogue.HostPage),
    "set_brand_host": _answers(catalogue.HostAnswer),
    "create_brand": _answers(catalogue.BrandCreated),
}
"""What each RPC answers, by its name."""
