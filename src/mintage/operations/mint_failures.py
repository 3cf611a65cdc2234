"""How a mint job fails (SPEC §4, §6): the codes of a failed cycle, the answer that tells one, FAILED.

Not here: attempts and back-off (`mint_execution`), and the voiding of a batch (`mint_lifecycle`).
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

from mintage import meters
from mintage.db.queries import query
from mintage.operations.call import Answer, Call
from mintage.operations.events import event_id, record_event
from mintage.operations.tallies import Delta, add_deltas
from mintage.operations.webhook_outbox import announce, batch_message
from mintage.rules.lifecycle import JobError

_FAIL_JOB: Final = query("mint_job", "fail")
_FAIL_BATCH: Final = query("mint_batch", "fail")
_GIVE_BACK: Final = query("mint_job", "give_quantity_back")
_SENTENCES: Final[dict[JobError, str]] = {
    "SERIAL_COLLISION": "A unit id or serial of the chunk was taken already; nothing of the chunk was kept.",
    "INTEGRITY_CHECK_FAILED": "The chunk was not exactly complete; nothing of it was kept.",
    "LEASE_LOST": "The lease lapsed before the cycle was closed; nothing of the chunk was kept.",
    "VOIDED": "The mint batch was voided.",
    "INTERNAL": "The cycle failed; the reason has been logged. Nothing of the chunk was kept.",
}


class CycleFailed(Exception):
    """The work transaction was rolled back, for one of our reasons."""

    def __init__(self, code: JobError) -> None:
        self.code: JobError = code
        super().__init__(code)


async def fail_job(call: Call, job_id: UUID, code: JobError, attempts: int) -> None:
    """FAILED: the units stay, what was not minted is given back to the production batch."""
    job = await call.connection.fetchrow(_FAIL_JOB, call.brand_id, job_id, attempts, code, call.now)
    batch = await call.connection.fetchrow(_FAIL_BATCH, call.brand_id, job_id, call.now)
    if job is None or batch is None:
        raise LookupError("a running job without a running batch")
    meters.JOBS_FINISHED.labels("failed").inc()
    await add_deltas(
        call,
        [
            Delta("jobs_queued", -1 if job["status_before"] == "QUEUED" else 0, batch["id"]),
            Delta("jobs_failed", 1, batch["id"]),
            Delta("batches_in_progress", -1, batch["id"]),
            Delta("batches_failed", 1, batch["id"]),
            Delta(
                "units_requested",
                batch["minted_quantity"] - batch["requested_quantity"],
                batch["id"],
            ),
        ],
    )
    await record_event(
        call,
        "mint_job_failed",
        payload={
            "error": code,
            "attempts": attempts,
            "minted_quantity": batch["minted_quantity"],
            "requested_quantity": batch["requested_quantity"],
        },
        mint_job_id=job_id,
        mint_batch_id=batch["id"],
    )
    await announce(call, [batch_message(event_id(call.now), batch["id"], "failed")])
    if batch["product_batch_id"] is not None and batch["given_back"]:
        await call.connection.execute(
            _GIVE_BACK, call.brand_id, batch["product_batch_id"], batch["given_back"], call.now
        )


def failed_answer(status: str, attempts: int, code: JobError, *, done: bool) -> Answer:
    """The answer of a cycle that kept nothing (SPEC §4): status, attempts, the code with its sentence.

    `done` is whether the job has ended by it.
    """
    return {
        "ok": False,
        "status": status,
        "attempts": attempts,
        "error": {"code": code, "message": _SENTENCES[code]},
        "done": done,
    }
