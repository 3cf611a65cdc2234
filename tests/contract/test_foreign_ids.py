"""Another brand's id in every id argument: the same bytes as for an id that nobody has."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from mintage.errors import SUBJECT_NOT_FOUND, MintageError
from mintage.rpcs import RPCS
from tests.contract.stage import (
    KINDS_OF_IDS,
    Raw,
    Stage,
    allowed_caller,
    contents,
    id_arguments,
)

# The service names no brand: a job is found by its id alone (SPEC §4).
WITHOUT_A_BRAND = {"process_mint_job_batch"}
CASES = [
    (name, argument)
    for name, rpc in RPCS.items()
    if name not in WITHOUT_A_BRAND
    for argument in id_arguments({f"_{field}": None for field in rpc.arguments.model_fields})
]


def test_every_id_argument_is_known() -> None:
    unknown = {argument for _, argument in CASES} - KINDS_OF_IDS
    assert not unknown, "add a thing of that kind to tests/contract/stage.py"


async def _outcome(
    stage: Stage, name: str, example: Raw, argument: str, value: str
) -> tuple[str, Any]:
    """What the call comes to; where the value itself is told back, a placeholder stands."""
    try:
        given = [value] if isinstance(example[argument], list) else value
        answer = await stage.call(name, allowed_caller(name), example | {argument: given})
    except MintageError as error:
        told = (error.kind, error.message, error.details, error.hint, error.problems)
        return "error", told
    return "answer", {key: "<id>" if str(told) == value else told for key, told in answer.items()}


@pytest.mark.parametrize(("name", "argument"), CASES)
async def test_another_brands_id_is_an_unknown_one(
    stage: Stage, dsn: str, name: str, argument: str
) -> None:
    before = await contents(dsn)
    theirs = str(getattr(stage.theirs, argument.removeprefix("_")))
    asked = 0
    for example in stage.examples(name):
        if argument not in example:
            continue
        asked += 1
        foreign = await _outcome(stage, name, example, argument, theirs)
        unknown = await _outcome(stage, name, example, argument, str(uuid4()))
        assert foreign == unknown
        kind, told = foreign
        if RPCS[name].is_read_only and kind == "answer":
            rows = [value for value in told.values() if isinstance(value, list)]
            assert rows == [[]], "as a filter it gives an empty page"
        elif kind == "error":
            assert told[0] is SUBJECT_NOT_FOUND
        else:
            assert told["ok"] is False or told["outcome"] == "unknown"
    assert asked, f"no example of {name} uses {argument}"
    assert await contents(dsn) == before


async def test_the_same_ids_work_in_their_own_brand(stage: Stage) -> None:
    # Or the test above could not fail.
    for name, argument in CASES:
        for example in stage.examples(name):
            if argument in example:
                given = example[argument]
                value = str(given[0] if isinstance(given, list) else given)
                kind, told = await _outcome(stage, name, example, argument, value)
                assert kind == "answer", (name, told)
                assert told["ok"] is True, (name, told)
