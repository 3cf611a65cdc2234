"""May this be minted? All reasons that block a request, at once, in the spec's order (SPEC §3).

Submit and preflight ask here. Not here: the guarded counter that decides between racing submits
(`mint_creation`), and whether brought serials are new.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from mintage.db.queries import query
from mintage.operations.call import BlockingReason, Call, Refused
from mintage.rules.gs1 import lot_code_problem
from mintage.rules.lifecycle import ActivationMode, IdentityMode

_PRECONDITIONS: Final = query("mint_job", "preconditions")


@dataclass(frozen=True, slots=True)
class Ask:
    """What is to be minted. `identity_mode` None: the brand's default. `has_lots`: lots of its own."""

    product_id: UUID
    product_batch_id: UUID | None
    quantity: int | None
    identity_mode: IdentityMode | None
    has_lots: bool = False


@dataclass(frozen=True, slots=True)
class Preconditions:
    """The reasons (none: it may be minted) and what minting takes over from the catalogue."""

    reasons: tuple[BlockingReason, ...]
    gtin14: str | None
    batch_number: str | None
    strata: int | None
    default_identity_mode: IdentityMode
    default_activation_mode: ActivationMode


@dataclass(frozen=True, slots=True)
class _ProductBatch:
    product_id: UUID
    batch_number: str
    status: str
    quantity: int | None
    allocated_quantity: int
    is_cumulative: bool


async def check_preconditions(call: Call, ask: Ask) -> Preconditions:
    """Read the product and the production batch once and judge them."""
    row = await call.connection.fetchrow(
        _PRECONDITIONS, call.brand_id, ask.product_id, ask.product_batch_id
    )
    if row is None:
        raise LookupError("the brand of an authorized call has no row")
    reasons: list[BlockingReason] = []
    if row["product_id"] is None:
        reasons.append(
            BlockingReason("PRODUCT_NOT_FOUND", "The product was not found in this brand.")
        )
    else:
        reasons += _product_reasons(row["commercial_status"], row["mint_readiness_status"])
    product_batch = None
    if ask.product_batch_id is not None:
        if row["product_batch_id"] is None:
            reasons.append(
                BlockingReason(
                    "PRODUCT_BATCH_NOT_FOUND", "The production batch was not found in this brand."
                )
            )
        else:
            product_batch = _ProductBatch(
                product_id=row["product_batch_product_id"],
                batch_number=row["batch_number"],
                status=row["product_batch_status"],
                quantity=row["product_batch_quantity"],
                allocated_quantity=row["allocated_quantity"],
                is_cumulative=row["is_cumulative"],
            )
            reasons += _product_batch_reasons(ask, product_batch)
            reasons += _quantity_reasons(ask, product_batch)
            mode = ask.identity_mode or row["default_identity_mode"]
            if mode == "batch" and not ask.has_lots:
                reasons += _batch_number_reasons(product_batch)
    return Preconditions(
        tuple(reasons),
        row["gtin14"],
        product_batch.batch_number if product_batch else None,
        row["strata"],
        row["default_identity_mode"],
        row["default_activation_mode"],
    )


def blocked(ask: Ask, reasons: Sequence[BlockingReason]) -> Refused:
    """The refusal of a request to mint, with all `reasons`."""
    return Refused(
        {
            "ok": False,
            "blocking_reasons": [reason.as_answer() for reason in reasons],
            "product_id": ask.product_id,
            "product_batch_id": ask.product_batch_id,
        }
    )


def _product_reasons(commercial_status: str, mint_readiness_status: str) -> list[BlockingReason]:
    reasons = []
    if commercial_status != "ACTIVE":
        reasons.append(
            BlockingReason(
                "COMMERCIAL_STATUS_NOT_ACTIVE",
                f"The product's commercial_status is {commercial_status}; it must be ACTIVE.",
            )
        )
    if mint_readiness_status != "READY":
        reasons.append(
            BlockingReason(
                "MINT_READINESS_NOT_READY",
                f"The product's mint_readiness_status is {mint_readiness_status}; it must be READY.",
            )
        )
    return reasons


def _product_batch_reasons(ask: Ask, product_batch: _ProductBatch) -> list[BlockingReason]:
    reasons = []
    if product_batch.product_id != ask.product_id:
        reasons.append(
            BlockingReason(
                "PRODUCT_BATCH_MISMATCH", "The production batch belongs to another product."
            )
        )
    if product_batch.status != "READY":
        reasons.append(
            BlockingReason(
                "PRODUCT_BATCH_NOT_READY",
                f"The production batch's status is {product_batch.status}; it must be READY.",
            )
        )
    return reasons


def _quantity_reasons(ask: Ask, product_batch: _ProductBatch) -> list[BlockingReason]:
    if ask.quantity is None or product_batch.quantity is None:
        return []
    if ask.quantity > product_batch.quantity:
        return [
            BlockingReason(
                "QUANTITY_EXCEEDS_BATCH",
                f"{ask.quantity:,} units are asked for; the production batch's quantity is "
                f"{product_batch.quantity:,}.",
            )
        ]
    left = product_batch.quantity - product_batch.allocated_quantity
    if product_batch.is_cumulative and ask.quantity > left:
        return [
            BlockingReason(
                "BATCH_QUANTITY_EXHAUSTED",
                f"{ask.quantity:,} units are asked for; of the production batch's "
                f"{product_batch.quantity:,} only {max(left, 0):,} are left.",
            )
        ]
    return []


def _batch_number_reasons(product_batch: _ProductBatch) -> list[BlockingReason]:
    problem = lot_code_problem(product_batch.batch_number)
    if problem is None:
        return []
    return [
        BlockingReason(
            "BATCH_NUMBER_NOT_ENCODABLE",
            f"The production batch's number cannot name a lot: {problem}. Give _lots of your own.",
        )
    ]
