"""The examples on the pages of docs/api are true: each request is run, each answer comes about as shown.

What is compared: the keys in their order, the types, and of a refusal its codes and words. How an answer
comes about that is not the plain one: `scenarios`. Mend a failure by editing the page.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import pytest_asyncio

from mintage.api.json_answer import json_bytes
from mintage.api.rpc_pages import rpc_page
from mintage.rpcs import RPCS
from tests.contract.stage import Stage, allowed_caller, build_stage
from tests.docs.scenarios import SCENARIOS, on_stage
from tests.support.world import World


def shown_answers(name: str) -> Iterator[tuple[str, object]]:
    """The answers of a page by title; a second one under the same heading has a number."""
    seen: dict[str, int] = {}
    for example in rpc_page(name).answers:
        seen[example.title] = number = seen.get(example.title, 0) + 1
        yield example.title if number == 1 else f"{example.title} {number}", example.content


FREE_OBJECTS = (".payload", ".attributes")
CASES = [(name, title) for name in RPCS for title, _ in shown_answers(name)]


@pytest_asyncio.fixture
async def stage(world: World) -> Stage:
    return await build_stage(world)


def differences(shown: object, real: object, place: str = "$") -> list[str]:
    """Where `real` is not of the shape that is shown. Null stands for a value of any type."""
    if shown is None or real is None:
        return []
    if isinstance(shown, dict) and isinstance(real, dict):
        # PostgreSQL keeps what is stored as jsonb in an order of its own.
        ordered = sorted if place.endswith(FREE_OBJECTS) else list
        if ordered(shown) != ordered(real):
            return [f"{place}: keys {list(shown)} are shown, {list(real)} answered"]
        return [
            found for key in shown for found in differences(shown[key], real[key], f"{place}.{key}")
        ]
    if isinstance(shown, list) and isinstance(real, list):
        if bool(shown) and not real:
            return [f"{place}: entries are shown, none answered"]
        return differences(shown[0], real[0], f"{place}[0]") if shown and real else []
    numbers = (int, float)
    if isinstance(shown, numbers) and isinstance(real, numbers):
        return [] if isinstance(shown, bool) is isinstance(real, bool) else [f"{place}: type"]
    return [] if type(shown) is type(real) else [f"{place}: {shown!r} is shown, {real!r} answered"]


def refusal(answer: dict[str, Any]) -> list[tuple[object, str]]:
    """The codes and words of a refusal, numbers aside."""
    each = answer["blocking_reasons"] if "blocking_reasons" in answer else [answer["error"]]
    return [(reason["code"], re.sub(r"[0-9]+", "0", reason["message"])) for reason in each]


@pytest.mark.parametrize(("name", "title"), CASES)
async def test_an_answer_comes_about_as_the_page_shows(stage: Stage, name: str, title: str) -> None:
    shown = dict(shown_answers(name))[title]
    assert isinstance(shown, dict)
    raw = on_stage(stage, rpc_page(name).request.content)
    if (scenario := SCENARIOS.get((name, title))) is not None:
        raw = await scenario(stage, raw)
    # Not by the stage's own call, which puts back what has ended.
    arguments = {key.removeprefix("_"): value for key, value in raw.items()}
    answer = json.loads(json_bytes(await stage.world.rpc(name, allowed_caller(name), **arguments)))
    assert answer["ok"] is shown["ok"], answer
    assert not differences(shown, answer)
    if not answer["ok"]:
        assert refusal(answer) == refusal(shown)
    for key in ("status", "is_duplicate", "done", "preflight_result"):
        assert answer.get(key) == shown.get(key)


def test_every_scenario_is_of_an_answer_that_is_shown() -> None:
    assert set(SCENARIOS) <= set(CASES), "remove the scenario, or show its answer"


@pytest.mark.parametrize(
    ("shown", "real"),
    [
        ({"a": 1}, {"a": "1"}),
        ({"a": 1}, {"a": True}),
        ({"a": 1}, {"a": 1, "b": 2}),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({"a": [{"b": 1}]}, {"a": [{"c": 1}]}),
        ({"a": [1]}, {"a": []}),
        ({"a": {}}, {"a": []}),
    ],
)
def test_another_shape_is_noticed(shown: object, real: object) -> None:
    assert differences(shown, real)
