"""States and moves: what the executor and a caller may do, and what nobody can reach."""

from collections.abc import Mapping
from itertools import pairwise
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mintage.rules import lifecycle
from mintage.rules.lifecycle import BATCH_STATUSES, JOB_STATUSES, BatchStatus, JobStatus, Mover

LIFE_OF_A_BATCH: list[BatchStatus] = [
    "draft",
    "queued",
    "processing",
    "minted",
    "exported",
    "printed",
    "applied",
]


def test_the_states_are_those_of_the_specification() -> None:
    assert " ".join(JOB_STATUSES) == "PREFLIGHTED QUEUED RESERVED PROCESSING COMPLETED FAILED"
    assert " ".join(BATCH_STATUSES) == (
        "draft queued processing failed minted exported printed applied voided"
    )
    assert " ".join(lifecycle.PACK_STATUSES) == "pending generating completed failed"
    assert " ".join(lifecycle.UNIT_STATUSES) == "minted active revoked"
    assert " ".join(lifecycle.COMMERCIAL_STATUSES) == "DRAFT ACTIVE DISCONTINUED"
    assert " ".join(lifecycle.MINT_READINESS_STATUSES) == "NOT_READY READY"
    assert " ".join(lifecycle.PRODUCT_BATCH_STATUSES) == "DRAFT READY CLOSED"
    assert " ".join(lifecycle.IDENTITY_MODES) == "batch serial"
    assert " ".join(lifecycle.ACTIVATION_MODES) == "active_at_mint first_scan"


@pytest.mark.parametrize(
    ("moves", "states"),
    [
        (lifecycle.JOB_MOVES, lifecycle.JOB_STATUSES),
        (lifecycle.BATCH_MOVES["executor"], lifecycle.BATCH_STATUSES),
        (lifecycle.BATCH_MOVES["caller"], lifecycle.BATCH_STATUSES),
        (lifecycle.PACK_MOVES, lifecycle.PACK_STATUSES),
        (lifecycle.COMMERCIAL_MOVES, lifecycle.COMMERCIAL_STATUSES),
    ],
)
def test_every_state_has_its_moves_and_none_moves_to_itself(
    moves: Mapping[str, frozenset[str]], states: tuple[str, ...]
) -> None:
    assert tuple(moves) == states
    for before, afters in moves.items():
        assert before not in afters
        assert afters <= set(states)


def test_a_job_goes_from_queued_to_completed() -> None:
    steps: list[JobStatus] = ["PREFLIGHTED", "QUEUED", "RESERVED", "PROCESSING", "COMPLETED"]
    for before, after in pairwise(steps):
        assert lifecycle.is_legal_job_move(before, after)
        assert not lifecycle.is_legal_job_move(after, before)


def test_a_finished_job_stays_and_a_failed_one_can_only_be_queued_again() -> None:
    for after in JOB_STATUSES:
        assert not lifecycle.is_legal_job_move("COMPLETED", after)
        assert lifecycle.is_legal_job_move("FAILED", after) == (after == "QUEUED")


def test_a_caller_goes_one_step_at_a_time_and_voids_from_any_other_state() -> None:
    steps = {("minted", "exported"), ("exported", "printed"), ("printed", "applied")}
    for before in BATCH_STATUSES:
        for after in BATCH_STATUSES:
            may = (before, after) in steps or (after == "voided" and before != "voided")
            assert lifecycle.is_legal_batch_move(before, after, "caller") == may


def test_the_executor_never_prints_applies_or_voids() -> None:
    for before in BATCH_STATUSES:
        for after in ("printed", "applied", "voided", "draft"):
            assert not lifecycle.is_legal_batch_move(before, after, "executor")


@given(
    st.sampled_from(["draft", "queued"]),
    st.lists(st.tuples(st.sampled_from(BATCH_STATUSES), st.sampled_from(get_args(Mover)))),
)
def test_no_sequence_of_moves_undoes_a_void_or_unmints(
    start: BatchStatus, attempts: list[tuple[BatchStatus, Mover]]
) -> None:
    status = start
    for wanted, mover in attempts:
        if not lifecycle.is_legal_batch_move(status, wanted, mover):
            continue
        assert status != "voided"
        is_retry = (status, wanted) == ("failed", "queued")
        if status in LIFE_OF_A_BATCH and wanted in LIFE_OF_A_BATCH and not is_retry:
            assert LIFE_OF_A_BATCH.index(wanted) > LIFE_OF_A_BATCH.index(status)
        if status in lifecycle.EXPORTABLE_BATCH_STATUSES:
            assert wanted in lifecycle.EXPORTABLE_BATCH_STATUSES | {"voided"}
        status = wanted


def test_every_batch_state_can_be_reached() -> None:
    reached: set[BatchStatus] = {"draft", "queued"}
    while True:
        further = {
            after
            for moves in lifecycle.BATCH_MOVES.values()
            for before in reached
            for after in moves[before]
        }
        if further <= reached:
            break
        reached |= further
    assert reached == set(BATCH_STATUSES)


def test_a_pack_waits_again_after_a_failed_attempt_but_is_never_rebuilt() -> None:
    assert lifecycle.is_legal_pack_move("generating", "pending")
    for after in lifecycle.PACK_STATUSES:
        assert not lifecycle.is_legal_pack_move("completed", after)
        assert not lifecycle.is_legal_pack_move("failed", after)


def test_a_product_never_goes_back_to_draft() -> None:
    for before in lifecycle.COMMERCIAL_STATUSES:
        assert not lifecycle.is_legal_commercial_move(before, "DRAFT")
    assert lifecycle.is_legal_commercial_move("DISCONTINUED", "ACTIVE")


def test_exactly_the_jobs_between_submit_and_end_are_unfinished() -> None:
    assert set(JOB_STATUSES) - lifecycle.UNFINISHED_JOB_STATUSES == {
        "PREFLIGHTED",
        "COMPLETED",
        "FAILED",
    }


@given(
    st.booleans(),
    st.booleans(),
    st.sampled_from(lifecycle.ACTIVATION_MODES),
    st.booleans(),
    st.booleans(),
)
def test_the_status_of_a_unit_is_derived(
    batch_is_voided: bool,
    is_revoked: bool,
    activation_mode: lifecycle.ActivationMode,
    is_activated: bool,
    lot_is_activated: bool,
) -> None:
    status = lifecycle.unit_status(
        batch_is_voided=batch_is_voided,
        is_revoked=is_revoked,
        activation_mode=activation_mode,
        is_activated=is_activated,
        lot_is_activated=lot_is_activated,
    )
    assert (status == "revoked") == (batch_is_voided or is_revoked)
    if status != "revoked":
        is_active = activation_mode == "active_at_mint" or is_activated or lot_is_activated
        assert status == ("active" if is_active else "minted")
