"""One success and one error envelope: each RPC's answer is of its model, each door's errors of one shape.

Generated over the table of RPCs and the list of errors. Refusals of each RPC: tests/docs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import httpx2
import pytest
from asyncpg import ConnectionDoesNotExistError
from pydantic import ValidationError
from starlette.responses import Response

from mintage.api.auth_answers import auth_error
from mintage.api.door import error_response
from mintage.api.functions import function_error
from mintage.api.json_answer import json_bytes
from mintage.api.openapi_models import AuthError, FunctionError, RpcError, StorageError
from mintage.api.storage_answers import storage_error
from mintage.db.connection import Database
from mintage.errors import ERROR_KINDS, FORBIDDEN, ArgumentProblem, ErrorKind, MintageError
from mintage.operations.answer_models import Wire
from mintage.operations.answers import ANSWERS
from mintage.rpcs import RPCS
from tests.api.conftest import Api
from tests.contract.stage import Stage, allowed_caller

SHAPES: dict[str, tuple[Callable[[MintageError], Response], type[Wire]]] = {
    "/rest/v1": (error_response, RpcError),
    "/functions/v1": (function_error, FunctionError),
    "/auth/v1": (auth_error, AuthError),
    "/storage/v1": (storage_error, StorageError),
}
MEGABYTE = 1024 * 1024


def held_against(models: tuple[type[Wire], ...], content: bytes) -> type[Wire]:
    """The one model that the bytes of an answer are of. Fails for none, and for several."""
    fitting, faults = [], []
    for model in models:
        try:
            model.model_validate_json(content)
            fitting.append(model)
        except ValidationError as error:
            faults.append(str(error))
    assert len(fitting) == 1, (content[:500], [model.__name__ for model in fitting], faults)
    return fitting[0]


@pytest.mark.parametrize("name", RPCS)
async def test_a_success_begins_with_ok_and_is_of_its_model(stage: Stage, name: str) -> None:
    for example in stage.examples(name):
        answer = await stage.call(name, allowed_caller(name), example)
        content = json_bytes(answer)
        assert content.startswith(b'{"ok":true,')
        assert held_against(ANSWERS[name].models, content) in ANSWERS[name].successes


@pytest.mark.parametrize("name", RPCS)
def test_what_is_answered_begins_with_ok(name: str) -> None:
    for model in ANSWERS[name].models:
        assert next(iter(model.model_fields)) == "ok", model


async def test_an_undocumented_key_is_noticed(stage: Stage) -> None:
    # Or the test above could not fail.
    answer = await stage.call("get_mint_kpis", "owner", {})
    for wrong in (answer | {"more": 1}, {"ok": True}, answer | {"ok": "true"}):
        with pytest.raises(AssertionError):
            held_against(ANSWERS["get_mint_kpis"].models, json_bytes(wrong))


@pytest.mark.parametrize("door_path", SHAPES)
@pytest.mark.parametrize("kind", ERROR_KINDS, ids=lambda kind: kind.sentence[:30])
def test_an_error_has_the_shape_of_its_door(door_path: str, kind: ErrorKind) -> None:
    shape, model = SHAPES[door_path]
    problem = ArgumentProblem("_limit", "is too large", "must be an integer from 1 to 200")
    for error in (
        MintageError(kind),
        MintageError(kind, hint="look elsewhere", details="more", retry_after_s=7),
        MintageError(kind, problems=[problem] * 500),
    ):
        answer = shape(error)
        assert held_against((model,), bytes(answer.body)) is model
        assert answer.headers["content-type"] == "application/json; charset=utf-8"
        if (door_path, kind) == ("/storage/v1", FORBIDDEN):
            # There it is not found: a stranger learns nothing.
            assert answer.status_code == 404
            continue
        assert answer.status_code == kind.status
        if error.retry_after_s is not None:
            assert answer.headers["retry-after"] == "7"


def assert_error(answer: httpx2.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert held_against((RpcError,), answer.content) is RpcError
    assert answer.headers["x-request-id"]
    assert answer.headers["access-control-allow-origin"] == "*"


def path_of(name: str) -> str:
    return f"/rest/v1/rpc/{name}"


def brand_argument(api: Api, name: str) -> dict[str, str]:
    is_due = RPCS[name].audience == "brand"
    return {"_brand_id": str(api.world.brand_id)} if is_due else {}


@pytest.mark.parametrize("name", RPCS)
async def test_every_error_of_an_rpc_has_the_one_envelope(api: Api, name: str) -> None:
    path, caller = path_of(name), allowed_caller(name)
    right = brand_argument(api, name)
    wrong = right | {"_nonsense": 1}
    assert_error(await api.post(path, "nobody at all", right), 401, "PGRST301")
    assert_error(await api.post(path, "anonymous", right), 401, "PGRST301")
    if RPCS[name].audience != "caller":
        assert_error(await api.post(path, "stranger", right), 403, "42501")
    assert_error(await api.post(path, caller, wrong), 400, "22023")
    assert_error(await api.post(path, caller, b"no json"), 400, "22023")
    assert_error(await api.post(path, caller, [right]), 400, "22023")
    media = {"content-type": "text/plain"}
    assert_error(await api.post(path, caller, right, headers=media), 415, "PGRST102")
    assert_error(await api.client.delete(path, headers=api.headers(caller)), 405, "PGRST101")
    size = (33 if name == "submit_mint_request" else 2) * MEGABYTE
    assert_error(await api.post(path, caller, b" " * size), 413, "54000")


@pytest.mark.parametrize("name", RPCS)
async def test_a_database_that_is_away_is_503_for_every_rpc(
    api: Api, stage: Stage, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise ConnectionDoesNotExistError("the connection was closed in the middle of select 1")

    right = brand_argument(api, name) | stage.examples(name)[0]
    monkeypatch.setattr(Database, "transaction", away)
    answer = await api.post(path_of(name), allowed_caller(name), right)
    assert_error(answer, 503, "PGRST002")
    assert int(answer.headers["retry-after"]) >= 1
    assert "select" not in answer.text


@pytest.mark.parametrize("name", RPCS)
async def test_what_nobody_foresaw_is_500_for_every_rpc(
    api: Api, stage: Stage, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a secret of the platform")

    right = brand_argument(api, name) | stage.examples(name)[0]
    monkeypatch.setattr(Database, "transaction", fail)
    answer = await api.post(path_of(name), allowed_caller(name), right)
    assert_error(answer, 500, "XX000")
    assert "secret" not in answer.text


def _errors_of_doors() -> Iterator[tuple[str, str, type[Wire], int]]:
    bucket = "/storage/v1/object/sign/payload-packs"
    yield "POST", "/functions/v1/mint-api-v1", FunctionError, 401
    yield "GET", "/functions/v1/mint-api-v1", FunctionError, 405
    yield "GET", "/functions/v1/nothing", FunctionError, 404
    yield "GET", "/auth/v1/user", AuthError, 401
    yield "PUT", "/auth/v1/user", AuthError, 405
    yield "POST", "/auth/v1/token", AuthError, 400
    yield "POST", "/auth/v1/signup", AuthError, 404
    yield "POST", bucket, StorageError, 401
    yield "POST", f"{bucket}/nothing.csv", StorageError, 401
    yield "GET", f"{bucket}/nothing.csv?token=x", StorageError, 404
    yield "GET", "/storage/v1/bucket", StorageError, 404
    yield "GET", "/rest/v1/mint_unit", RpcError, 404
    yield "GET", "/nothing", RpcError, 404
    # A line's end in a path, which no pattern of a route takes.
    yield "GET", "/nothing%0Aelse", RpcError, 404
    yield "GET", "/storage/v1/object/payload-packs/a%0Ab.csv", StorageError, 404
    yield "GET", "/auth/v1/user%0Aelse", AuthError, 404
    yield "POST", "/functions/v1/mint-api-v1%0Aelse", FunctionError, 404
    yield "POST", "/openapi.json", RpcError, 405
    yield "GET", "/docs/nothing", RpcError, 404


@pytest.mark.parametrize(("method", "path", "model", "status"), tuple(_errors_of_doors()))
async def test_the_errors_of_a_door_have_its_shape(
    api: Api, method: str, path: str, model: type[Wire], status: int
) -> None:
    body = json.dumps({}) if method == "POST" else None
    headers = {"content-type": "application/json"} if body else {}
    answer = await api.client.request(method, path, content=body, headers=headers)
    assert answer.status_code == status, answer.text
    assert held_against((model,), answer.content) is model
    assert answer.headers["x-request-id"]
