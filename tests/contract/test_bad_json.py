"""Bad JSON in every argument, over HTTP: NUL, surrogates, 17 levels, no numbers, names twice.

pytestmark = pytest.mark.long
Values of a wrong type or size are `test_bad_input`, below HTTP.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio

from mintage.api.app import build_api
from mintage.api.door import Door
from mintage.errors import INVALID_INPUT
from mintage.rpcs import RPCS
from mintage.secrets import new_secrets_text, parse_secrets
from mintage.settings import read_settings
from mintage.storage import open_pack_store
from mintage.tokens import service_key
from tests.contract.bad_values import arguments_of
from tests.contract.stage import Stage, contents

LEVELS_MAX = 16
# The argument's value is one level below the object of arguments.
TOO_DEEP = "[" * LEVELS_MAX + "]" * LEVELS_MAX
DEEP_ENOUGH = "[" * (LEVELS_MAX - 1) + "]" * (LEVELS_MAX - 1)
FAULTS = {
    "NUL": '"a\\u0000b"',
    "lone surrogate": '"a\\ud800b"',
    "lone low surrogate": '"\\udc00"',
    "NUL in a list": '["a", "\\u0000"]',
    "NUL in a key": '{"a\\u0000": 1}',
    "surrogate in an object": '{"a": {"b": "\\ud83d"}}',
    "17 levels": TOO_DEEP,
    "17 levels of objects": '{"a":' * LEVELS_MAX + "1" + "}" * LEVELS_MAX,
    "NaN": "NaN",
    "Infinity": "-Infinity",
    "beyond a double": "1e999",
    "beyond 64 bits": "9223372036854775808",
    "a name twice": '{"a": 1, "a": 1}',
}


@dataclass(frozen=True)
class Window:
    """The control plane over ASGI, as the service calls it."""

    client: httpx2.AsyncClient
    token: str
    stage: Stage

    async def post(self, name: str, body: bytes) -> httpx2.Response:
        return await self.client.post(
            f"/rest/v1/rpc/{name}",
            content=body,
            headers={"content-type": "application/json", "authorization": f"Bearer {self.token}"},
        )

    def right(self, name: str, argument: str) -> dict[str, object]:
        """Right arguments, the brand's and the one in question included."""
        brand: dict[str, object] = {}
        if RPCS[name].audience == "brand":
            brand = {"_brand_id": str(self.stage.world.brand_id)}
        examples = [brand | example for example in self.stage.examples(name)]
        return next((each for each in examples if argument in each), examples[0])


@pytest_asyncio.fixture
async def window(stage: Stage, tmp_path: Path) -> AsyncIterator[Window]:
    secrets = parse_secrets(new_secrets_text())
    settings = read_settings({"MINTAGE_DATA": str(tmp_path)})
    door = Door(stage.world.platform, settings, secrets, open_pack_store(None, tmp_path))
    transport = httpx2.ASGITransport(app=build_api(door))
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield Window(client, service_key(secrets), stage)


def with_text(right: Mapping[str, object], argument: str, text: str) -> bytes:
    """The arguments as a body, with JSON text in the place of one value."""
    pairs = [
        f"{json.dumps(name)}: {text if name == argument else json.dumps(value)}"
        for name, value in ({argument: None} | dict(right)).items()
    ]
    return ("{" + ", ".join(pairs) + "}").encode()


def assert_named(response: httpx2.Response, argument: str, what: str) -> None:
    shown = f"{what} in {argument}: {response.status_code} {response.text[:300]}"
    assert response.status_code == 400, shown
    body = response.json()
    assert body["code"] == INVALID_INPUT.code, shown
    named = [error["argument"] for error in body["errors"]]
    assert named, shown
    assert all(
        each == argument or each.startswith((f"{argument}[", f"{argument}.")) for each in named
    ), shown
    assert all(error["problem"] and error["hint"] for error in body["errors"]), shown


def texts_inside(value: object) -> Iterator[tuple[str, object]]:
    """Every text in a value, as (where, the value with a NUL in that text)."""
    if isinstance(value, str):
        yield "", f"{value}\0"
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            for where, bad in texts_inside(inner):
                yield f"[{number}]{where}", [*value[:number], bad, *value[number + 1 :]]
    elif isinstance(value, dict):
        for key, inner in value.items():
            for where, bad in texts_inside(inner):
                yield f".{key}{where}", value | {key: bad}


@pytest.mark.parametrize("name", RPCS)
async def test_a_fault_of_the_json_is_named_and_nothing_is_stored(
    window: Window, dsn: str, name: str
) -> None:
    before = await contents(dsn)
    for argument in arguments_of(RPCS[name].arguments):
        right = window.right(name, argument)
        for what, text in FAULTS.items():
            assert_named(await window.post(name, with_text(right, argument, text)), argument, what)
    assert await contents(dsn) == before


@pytest.mark.parametrize("name", RPCS)
async def test_a_nul_in_a_text_that_was_right_is_named(window: Window, dsn: str, name: str) -> None:
    before = await contents(dsn)
    for argument in arguments_of(RPCS[name].arguments):
        right = window.right(name, argument)
        for where, bad in texts_inside(right.get(argument)):
            body = json.dumps(right | {argument: bad}).encode()
            assert_named(await window.post(name, body), argument + where, "NUL")
    assert await contents(dsn) == before


@pytest.mark.parametrize("name", RPCS)
async def test_an_argument_that_is_there_twice_is_named(
    window: Window, dsn: str, name: str
) -> None:
    before = await contents(dsn)
    for argument in arguments_of(RPCS[name].arguments):
        right = window.right(name, argument)
        once = json.dumps(right)
        twice = f"{once[:-1]}, {json.dumps(argument)}: null{once[-1]}"
        if argument not in right:
            twice = f"{twice[:-1]}, {json.dumps(argument)}: null{twice[-1]}"
        assert_named(await window.post(name, twice.encode()), argument, "twice")
    assert await contents(dsn) == before


async def test_sixteen_levels_are_no_fault_of_the_json(window: Window) -> None:
    # Or the limit could be anywhere below.
    right = window.right("create_product_batch", "_attributes")
    deep = '{"a":' + DEEP_ENOUGH.replace("[", "", 1).replace("]", "", 1) + "}"
    response = await window.post("create_product_batch", with_text(right, "_attributes", deep))
    assert response.status_code == 200, response.text


async def test_twenty_thousand_levels_are_refused(window: Window, dsn: str) -> None:
    before = await contents(dsn)
    right = window.right("create_product_batch", "_attributes")
    for opening, closing in (("[", "]"), ('{"a":', "}")):
        text = opening * 20_000 + "1" + closing * 20_000
        response = await window.post("create_product_batch", with_text(right, "_attributes", text))
        assert response.status_code == 400
        assert response.json()["code"] == INVALID_INPUT.code
    assert await contents(dsn) == before


@pytest.mark.parametrize("name", RPCS)
async def test_the_right_arguments_are_taken_over_http(window: Window, name: str) -> None:
    right = window.right(name, "_brand_id")
    response = await window.post(name, json.dumps(right).encode())
    assert response.status_code == 200
    assert response.json()["ok"] is True


@pytest.mark.parametrize("name", RPCS)
async def test_nobody_gets_in_without_a_token(window: Window, name: str) -> None:
    response = await window.client.post(
        f"/rest/v1/rpc/{name}", json=window.right(name, "_brand_id")
    )
    assert response.status_code == 401
