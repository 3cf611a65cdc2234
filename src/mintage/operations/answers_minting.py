"""What the RPCs of minting and exports answer (SPEC §3, §4). The base: `answer_models`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from mintage.operations.answer_models import (
    ActorType,
    Count,
    Gtin14,
    Id,
    Moment,
    Page,
    Reason,
    Reasons,
    Success,
    Wire,
)
from mintage.rules.lifecycle import (
    ActivationMode,
    BatchStatus,
    EventType,
    IdentityMode,
    JobError,
    JobStatus,
    PackStatus,
    UnitStatus,
)

ScopeType = Literal["product", "product_batch"]
Position = Annotated[int, Field(ge=1)]


class Submitted(Success):
    mint_job_id: Id
    mint_batch_id: Id
    status: JobStatus
    is_duplicate: bool


class SubmitRefusal(Wire):
    """A mint request that is blocked; nothing was created."""

    ok: Literal[False]
    blocking_reasons: Reasons
    product_id: Id
    product_batch_id: Id | None


class PreflightPass(Success):
    id: Id
    status: Literal["preflight_pass"]
    preflight_result: Literal["pass"]
    blocking_reasons: Annotated[list[Reason], Field(max_length=0)]
    scope_type: ScopeType
    requested_quantity: Position | None
    created_at: Moment


class PreflightBlocked(Wire):
    """A preflight that is blocked; nothing was stored."""

    ok: Literal[False]
    id: None
    status: Literal["preflight_blocked"]
    preflight_result: Literal["blocked"]
    blocking_reasons: Reasons
    scope_type: ScopeType
    requested_quantity: Position | None
    created_at: None


class Cycle(Success):
    """A cycle's end, or a job that needs none; `busy` where another worker has it."""

    mint_job_id: Id
    mint_batch_id: Id | None
    status: JobStatus
    units_created: Count
    minted_quantity: Count
    requested_quantity: Count
    remaining: Count
    done: bool
    busy: Literal[True] = True


class Idle(Success):
    """Nothing to do."""

    mint_job_id: None
    status: Literal["IDLE"]
    done: Literal[True]


class CycleError(Wire):
    code: JobError
    message: str


class FailedCycle(Wire):
    """A cycle that failed, or a job that has."""

    ok: Literal[False]
    status: JobStatus
    attempts: Count
    error: CycleError
    done: bool


class StatusSet(Success):
    mint_batch_id: Id
    previous_status: BatchStatus
    status: BatchStatus


class Retried(Success):
    mint_job_id: Id
    status: Literal["QUEUED"]


class Revoked(Success):
    revoked: Count
    already_revoked: Count


class BatchOfList(Wire):
    id: Id
    brand_id: Id
    product_id: Id
    product_sku: str | None
    product_batch_id: Id | None
    mint_job_id: Id
    identity_mode: IdentityMode
    activation_mode: ActivationMode
    status: BatchStatus
    requested_quantity: Position
    minted_quantity: Count
    gtin: Gtin14 | None
    created_by: Id | None
    created_by_type: ActorType
    created_at: Moment
    updated_at: Moment
    minted_at: Moment | None


class JobOfBatch(Wire):
    status: JobStatus
    attempts: Count
    last_error: JobError | None
    started_at: Moment | None
    finished_at: Moment | None


class LotOfBatch(Wire):
    id: Id
    lot_code: str
    quantity: Position
    minted_quantity: Count
    activated_at: Moment | None


class Batch(BatchOfList):
    product_name: str | None
    job: JobOfBatch
    lots: list[LotOfBatch]


class BatchAnswer(Success):
    batch: Batch


class BatchPage(Page):
    batches: list[BatchOfList]


class Unit(Wire):
    id: Id
    mint_batch_id: Id
    mint_lot_id: Id | None
    lot_code: str | None
    unit_no: Count
    product_id: Id
    product_sku: str | None
    gtin: Gtin14 | None
    serial_number: str | None
    status: UnitStatus
    activation_mode: ActivationMode
    resolver_url: str
    activated_at: Moment | None
    created_at: Moment


class UnitPage(Page):
    units: list[Unit]


class Event(Wire):
    id: Id
    brand_id: Id
    mint_job_id: Id | None
    mint_batch_id: Id | None
    event_type: EventType
    actor_type: ActorType
    actor_id: Id | None
    payload: dict[str, object]
    created_at: Moment


class EventPage(Page):
    events: list[Event]


class Kpis(Wire):
    batches_total: Count
    batches_in_progress: Count
    batches_minted: Count
    batches_failed: Count
    batches_voided: Count
    units_requested: Count
    units_minted: Count
    units_active: Count
    units_revoked: Count
    activation_rate: Annotated[float, Field(ge=0, le=1)] | None
    units_minted_7d: Count
    scans_7d: Count
    jobs_queued: Count
    jobs_failed: Count
    packs_completed: Count
    scans_total: Count
    units_scanned: Count
    as_of: Moment


class KpisAnswer(Success):
    kpis: Kpis


class PacksRequested(Success):
    export_group_id: Id
    pack_count: Position
    status: PackStatus
    is_duplicate: bool


class Pack(Wire):
    id: Id
    export_group_id: Id
    mint_batch_id: Id
    product_sku: str | None
    format: str
    profile: str | None
    pack_index: Position
    pack_count: Position
    unit_count: Count
    status: PackStatus
    storage_path: str | None
    byte_size: Count | None
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None
    error: str | None
    created_at: Moment
    completed_at: Moment | None


class PackPage(Page):
    packs: list[Pack]
