"""The states of everything that has states, and who may move it from one to the next.

Sources: SPEC §3, §4 (set_mint_batch_status, process_mint_job_batch), §7; DATA-MODEL (unit status).
The tuples are what the CHECK constraints of the schema say. A move to the state that a thing has
already is no move: the operations answer it without asking here.
"""

from typing import Final, Literal, get_args

JobStatus = Literal["PREFLIGHTED", "QUEUED", "RESERVED", "PROCESSING", "COMPLETED", "FAILED"]
BatchStatus = Literal[
    "draft",
    "queued",
    "processing",
    "failed",
    "minted",
    "exported",
    "printed",
    "applied",
    "voided",
]
UnitStatus = Literal["minted", "active", "revoked"]
PackStatus = Literal["pending", "generating", "completed", "failed"]
CommercialStatus = Literal["DRAFT", "ACTIVE", "DISCONTINUED"]
MintReadinessStatus = Literal["NOT_READY", "READY"]
ProductBatchStatus = Literal["DRAFT", "READY", "CLOSED"]
IdentifierStatus = Literal["active", "retired"]
IdentityMode = Literal["batch", "serial"]
ActivationMode = Literal["active_at_mint", "first_scan"]
ScanOutcome = Literal["activated", "already_active", "recorded", "revoked", "unknown"]
ScanSeverity = Literal["info", "review", "elevated", "high"]
JobError = Literal["SERIAL_COLLISION", "INTEGRITY_CHECK_FAILED", "LEASE_LOST", "VOIDED", "INTERNAL"]
EventType = Literal[
    "mint_requested",
    "mint_job_started",
    "mint_units_created",
    "mint_lots_confirmed",
    "mint_job_completed",
    "mint_job_failed",
    "mint_job_retried",
    "mint_batch_status_changed",
    "mint_units_revoked",
    "payload_packs_requested",
    "payload_pack_completed",
    "payload_pack_failed",
    "payload_pack_downloaded",
    "member_changed",
    "api_key_changed",
    "settings_changed",
    "identifier_changed",
    "signed_in",
    "sign_in_failed",
]
# The executor is the platform itself: worker, retry, a completed export group.
Mover = Literal["executor", "caller"]

JOB_STATUSES: Final[tuple[JobStatus, ...]] = get_args(JobStatus)
BATCH_STATUSES: Final[tuple[BatchStatus, ...]] = get_args(BatchStatus)
UNIT_STATUSES: Final[tuple[UnitStatus, ...]] = get_args(UnitStatus)
PACK_STATUSES: Final[tuple[PackStatus, ...]] = get_args(PackStatus)
EXPORT_GROUP_STATUSES: Final = PACK_STATUSES
COMMERCIAL_STATUSES: Final[tuple[CommercialStatus, ...]] = get_args(CommercialStatus)
MINT_READINESS_STATUSES: Final[tuple[MintReadinessStatus, ...]] = get_args(MintReadinessStatus)
PRODUCT_BATCH_STATUSES: Final[tuple[ProductBatchStatus, ...]] = get_args(ProductBatchStatus)
IDENTIFIER_STATUSES: Final[tuple[IdentifierStatus, ...]] = get_args(IdentifierStatus)
IDENTITY_MODES: Final[tuple[IdentityMode, ...]] = get_args(IdentityMode)
ACTIVATION_MODES: Final[tuple[ActivationMode, ...]] = get_args(ActivationMode)
SCAN_OUTCOMES: Final[tuple[ScanOutcome, ...]] = get_args(ScanOutcome)
SCAN_SEVERITIES: Final[tuple[ScanSeverity, ...]] = get_args(ScanSeverity)
JOB_ERRORS: Final[tuple[JobError, ...]] = get_args(JobError)
EVENT_TYPES: Final[tuple[EventType, ...]] = get_args(EventType)
EVENT_TYPES_OF_ADMINS: Final[tuple[EventType, ...]] = ("signed_in", "sign_in_failed")
"""Events that are shown to those alone who administer members."""

# A job of one cycle is COMPLETED, and its batch minted, in the transaction that would have made it
# PROCESSING: hence the moves that skip it. A lapsed lease leaves the state as it is.
JOB_MOVES: Final[dict[JobStatus, frozenset[JobStatus]]] = {
    "PREFLIGHTED": frozenset({"QUEUED"}),
    "QUEUED": frozenset({"RESERVED", "FAILED"}),
    "RESERVED": frozenset({"PROCESSING", "COMPLETED", "FAILED"}),
    "PROCESSING": frozenset({"COMPLETED", "FAILED"}),
    "COMPLETED": frozenset(),
    "FAILED": frozenset({"QUEUED"}),
}
BATCH_MOVES: Final[dict[Mover, dict[BatchStatus, frozenset[BatchStatus]]]] = {
    "executor": {
        "draft": frozenset({"processing", "minted", "failed"}),
        "queued": frozenset({"processing", "minted", "failed"}),
        "processing": frozenset({"minted", "failed"}),
        "failed": frozenset({"queued"}),
        "minted": frozenset({"exported"}),
        "exported": frozenset(),
        "printed": frozenset(),
        "applied": frozenset(),
        "voided": frozenset(),
    },
    "caller": {
        "draft": frozenset({"voided"}),
        "queued": frozenset({"voided"}),
        "processing": frozenset({"voided"}),
        "failed": frozenset({"voided"}),
        "minted": frozenset({"exported", "voided"}),
        "exported": frozenset({"printed", "voided"}),
        "printed": frozenset({"applied", "voided"}),
        "applied": frozenset({"voided"}),
        "voided": frozenset(),
    },
}
PACK_MOVES: Final[dict[PackStatus, frozenset[PackStatus]]] = {
    "pending": frozenset({"generating", "failed"}),
    "generating": frozenset({"pending", "completed", "failed"}),
    "completed": frozenset(),
    "failed": frozenset(),
}
COMMERCIAL_MOVES: Final[dict[CommercialStatus, frozenset[CommercialStatus]]] = {
    "DRAFT": frozenset({"ACTIVE", "DISCONTINUED"}),
    "ACTIVE": frozenset({"DISCONTINUED"}),
    "DISCONTINUED": frozenset({"ACTIVE"}),
}

UNFINISHED_JOB_STATUSES: Final[frozenset[JobStatus]] = frozenset(
    {"QUEUED", "RESERVED", "PROCESSING"}
)
EXPORTABLE_BATCH_STATUSES: Final[frozenset[BatchStatus]] = frozenset(
    {"minted", "exported", "printed", "applied"}
)


def is_legal_job_move(before: JobStatus, after: JobStatus) -> bool:
    """True if a mint job may go from `before` to `after`."""
    return after in JOB_MOVES[before]


def is_legal_batch_move(before: BatchStatus, after: BatchStatus, mover: Mover) -> bool:
    """True if `mover` may take a mint batch from `before` to `after`."""
    return after in BATCH_MOVES[mover][before]


def is_legal_pack_move(before: PackStatus, after: PackStatus) -> bool:
    """True if a payload pack, or an export group, may go from `before` to `after`."""
    return after in PACK_MOVES[before]


def is_legal_commercial_move(before: CommercialStatus, after: CommercialStatus) -> bool:
    """True if a product may go from `before` to `after`: never back to DRAFT."""
    return after in COMMERCIAL_MOVES[before]


def unit_status(
    *,
    batch_is_voided: bool,
    is_revoked: bool,
    activation_mode: ActivationMode,
    is_activated: bool,
    lot_is_activated: bool,
) -> UnitStatus:
    """The status of a unit, which no row holds: DATA-MODEL, "Unit status is derived"."""
    if batch_is_voided or is_revoked:
        return "revoked"
    if activation_mode == "active_at_mint" or is_activated or lot_is_activated:
        return "active"
    return "minted"
