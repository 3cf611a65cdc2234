"""The named steps of a mint cycle, of a pack and of a webhook: where tests let a worker die, stop or fail.

`reached` does nothing, and there is no switch that makes it do something: a fault harness puts a function of
its own in its place (tests/support/faults.py), in a process of its own. Not here: what happens at a step
(`mint_claims`, `mint_execution`, `pack_execution`, `webhook_sending`).
"""

from __future__ import annotations

from typing import Literal

MintStep = Literal[
    "mint_claim_begun",
    "mint_leased",
    "mint_reserved",
    "mint_claimed",
    "mint_chunk_built",
    "mint_copy_begun",
    "mint_copy_under_way",
    "mint_copied",
    "mint_closed",
    "mint_item_removed",
    "mint_committed",
]
"""In their order. The item is removed in a job's last cycle only."""
MintFailureStep = Literal["mint_attempt_booked", "mint_job_failed"]
PackStep = Literal[
    "pack_claim_begun",
    "pack_leased",
    "pack_started",
    "pack_claimed",
    "pack_rows_read",
    "pack_file_under_way",
    "pack_written",
    "pack_item_locked",
    "pack_completed",
    "pack_group_finished",
    "pack_committed",
]
PackFailureStep = Literal["pack_attempt_booked", "pack_failed", "pack_failure_committed"]
WebhookStep = Literal[
    "webhook_claim_begun",
    "webhook_leased",
    "webhook_claimed",
    "webhook_sent",
    "webhook_closed",
    "webhook_committed",
]
Step = MintStep | MintFailureStep | PackStep | PackFailureStep | WebhookStep


def reached(step: Step) -> None:
    """Nothing. `step` is what the caller has just done."""
