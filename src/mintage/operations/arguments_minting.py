"""The arguments of what is around minting: preflights, statuses, revocations, retries, figures."""

from __future__ import annotations

from typing import Annotated, Final
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from mintage.operations.argument_checks import stated
from mintage.operations.arguments import (
    BatchStatus,
    BrandArguments,
    IdempotencyKey,
    MintBatchId,
    MintJobId,
    ProductBatchId,
    ProductId,
    Quantity,
    Uuid,
)
from mintage.rules import lifecycle

REVOKED_UNITS_MAX: Final = 1_000
Reason = Annotated[
    str,
    StringConstraints(min_length=1, max_length=500),
    Field(description="text of 1 to 500 characters"),
]


def _each_once(unit_ids: list[UUID]) -> list[UUID]:
    if len(set(unit_ids)) < len(unit_ids):
        raise PydanticCustomError("twice", "has a unit twice")
    return unit_ids


class PreflightMintBatch(BrandArguments):
    product_id: ProductId
    batch_id: ProductBatchId | None = None
    requested_quantity: Quantity | None = None
    idempotency_key: IdempotencyKey | None = None


class CreateMintBatchFromJob(BrandArguments):
    mint_job_id: MintJobId


class SetMintBatchStatus(BrandArguments):
    mint_batch_id: MintBatchId
    status: BatchStatus = Field(description="one of " + ", ".join(lifecycle.BATCH_STATUSES))
    reason: Reason | None = None


class RevokeMintUnits(BrandArguments):
    unit_ids: Annotated[list[Uuid], AfterValidator(_each_once), stated(uniqueItems=True)] = Field(
        min_length=1,
        max_length=REVOKED_UNITS_MAX,
        description=f"a list of 1 to {REVOKED_UNITS_MAX} UUIDs of mint units, each once",
    )
    reason: Reason


class RetryMintJob(BrandArguments):
    mint_job_id: MintJobId


class GetMintKpis(BrandArguments):
    pass
