"""Bad input: every argument of every RPC with values that are wrong is 400 naming it, and stores nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from mintage.errors import INVALID_INPUT, MintageError
from mintage.rpcs import RPCS
from tests.contract.bad_values import (
    Bad,
    arguments_of,
    bad_values,
    is_required,
    keys_not_null,
    placed,
)
from tests.contract.stage import EXAMPLES, Raw, Stage, allowed_caller, contents

# Optional each, but one of them is needed.
ONE_OF_SEVERAL = {
    "record_scan_event": {"_unit_id"},
    "redeliver_webhook": {"_webhook_delivery_id"},
}


pytestmark = pytest.mark.long


def test_every_rpc_has_examples() -> None:
    assert set(EXAMPLES) == set(RPCS), "add the RPC's right arguments to tests/contract/stage.py"


def arguments_but_brand(name: str) -> list[str]:
    return [found for found in arguments_of(RPCS[name].arguments) if found != "_brand_id"]


def with_argument(stage: Stage, name: str, argument: str) -> Raw:
    """An example that uses the argument."""
    for example in stage.examples(name):
        if argument in example:
            return example
    raise LookupError(f"no example of {name} in tests/contract/stage.py uses {argument}")


async def refusal(stage: Stage, name: str, raw: Mapping[str, object]) -> MintageError:
    """The 400 that the call gets. Anything else fails the test."""
    shown = json.dumps(raw, default=repr)[:300]
    try:
        answer = await stage.call(name, allowed_caller(name), raw)
    except MintageError as error:
        if error.kind is INVALID_INPUT:
            return error
        raise AssertionError(f"{name} {shown}: {error.message}") from error
    raise AssertionError(f"{name} {shown} was taken: {answer}")


async def assert_named(stage: Stage, name: str, raw: Mapping[str, object], bad: Bad) -> None:
    error = await refusal(stage, name, raw)
    named = [problem.argument for problem in error.problems]
    assert named, f"{name}: the error for {bad} names no argument"
    assert all(bad.named_by(each) for each in named), f"{name}: {bad} is named {named}"
    for problem in error.problems:
        assert problem.problem, f"{name}: nothing is said of {bad}"
        assert problem.hint, f"{name}: nothing would be right for {bad}"


@pytest.mark.parametrize("name", RPCS)
async def test_the_examples_are_right(stage: Stage, name: str) -> None:
    # Or everything below could be refused for another reason.
    used = set()
    for example in stage.examples(name):
        answer = await stage.call(name, allowed_caller(name), example)
        assert answer["ok"] is True, answer
        used |= set(example)
    assert used == set(arguments_but_brand(name)), "together the examples use every argument"


@pytest.mark.parametrize("name", RPCS)
async def test_a_bad_value_is_named_and_nothing_is_stored(
    stage: Stage, dsn: str, name: str
) -> None:
    before = await contents(dsn)
    tried = 0
    for argument, schema in arguments_of(RPCS[name].arguments).items():
        if argument == "_brand_id":
            continue
        for bad in bad_values(argument, schema):
            right = with_argument(stage, name, argument)
            raw = right | {argument: placed(right[argument], bad.value)}
            await assert_named(stage, name, raw, bad)
            tried += 1
    assert tried >= 10 * len(arguments_but_brand(name))
    assert await contents(dsn) == before


@pytest.mark.parametrize("name", [name for name, rpc in RPCS.items() if rpc.audience == "brand"])
async def test_a_bad_brand_id_is_named_alone(stage: Stage, name: str) -> None:
    schema = arguments_of(RPCS[name].arguments)["_brand_id"]
    for bad in [*bad_values("_brand_id", schema), Bad("_brand_id", None)]:
        raw = {"_brand_id": bad.value, "_nonsense": 1}
        await assert_named(stage, name, raw, bad)


@pytest.mark.parametrize("name", RPCS)
async def test_a_required_argument_is_neither_missing_nor_null(
    stage: Stage, dsn: str, name: str
) -> None:
    before = await contents(dsn)
    for argument in arguments_but_brand(name):
        right = with_argument(stage, name, argument)
        if is_required(RPCS[name].arguments, argument):
            without = {key: value for key, value in right.items() if key != argument}
            await assert_named(stage, name, without, Bad(argument, "missing"))
            await assert_named(stage, name, right | {argument: None}, Bad(argument, None))
        for key in keys_not_null(RPCS[name].arguments, argument):
            raw = right | {argument: {key: None}}
            await assert_named(stage, name, raw, Bad(f"{argument}.{key}", None))
    assert await contents(dsn) == before


@pytest.mark.parametrize("name", RPCS)
async def test_null_is_as_good_as_absent_for_an_optional_argument(stage: Stage, name: str) -> None:
    optional = [
        argument
        for argument in arguments_but_brand(name)
        if not is_required(RPCS[name].arguments, argument)
    ]
    required = {
        argument: value
        for argument, value in stage.examples(name)[0].items()
        if argument not in optional or argument in ONE_OF_SEVERAL.get(name, ())
    }
    answer = await stage.call(name, allowed_caller(name), dict.fromkeys(optional, None) | required)
    assert answer["ok"] is True


@pytest.mark.parametrize("name", RPCS)
async def test_an_unknown_argument_is_named(stage: Stage, dsn: str, name: str) -> None:
    before = await contents(dsn)
    first = next(iter([*arguments_but_brand(name), "_nothing"]))
    for unknown in ("_nonsense", first.removeprefix("_"), first.upper(), f"{first} ", ""):
        raw = stage.examples(name)[0] | {unknown: 1}
        await assert_named(stage, name, raw, Bad(unknown, 1))
        await assert_named(stage, name, raw | {unknown: None}, Bad(unknown, None))
    assert await contents(dsn) == before


@pytest.mark.parametrize("name", RPCS)
async def test_all_bad_arguments_are_named_at_once(stage: Stage, name: str) -> None:
    schemas = arguments_of(RPCS[name].arguments)
    raw: Raw = {
        argument: next(bad.value for bad in bad_values(argument, schemas[argument]))
        for argument in arguments_but_brand(name)
    }
    error = await refusal(stage, name, raw | {"_nonsense": 1})
    assert {problem.argument for problem in error.problems} == {*raw, "_nonsense"}
    assert all(argument in error.message for argument in raw)


@pytest.mark.parametrize("name", RPCS)
def test_every_argument_says_what_would_be_right(name: str) -> None:
    for argument, schema in arguments_of(RPCS[name].arguments).items():
        told = [schema, *schema.get("anyOf", [])]
        assert any(branch.get("description") for branch in told), f"{argument} has no description"
