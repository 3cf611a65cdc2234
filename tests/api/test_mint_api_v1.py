"""mint-api-v1: submit and one cycle; its envelope, its errors, and a kick that changes nothing."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest

from mintage.api import functions
from mintage.api.app import build_api
from mintage.operations.call import Answer
from tests.api.conftest import Api

PATH = "/functions/v1/mint-api-v1"
KEYS = ["ok", "mint_job_id", "mint_batch_id", "status", "is_duplicate", "kicked", "processed_count"]


async def body_of(api: Api, quantity: object = 10, **changes: object) -> dict[str, object]:
    """A right body for a new product."""
    return {
        "brand_id": str(api.world.brand_id),
        "product_id": str(await api.world.product()),
        "requested_quantity": quantity,
        "identity_mode": "serial",
        "activation_mode": "first_scan",
    } | changes


async def minted(api: Api, body: object, caller: str = "owner", **headers: str) -> dict[str, Any]:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    response = await api.post(PATH, caller, body, headers=sent)
    assert response.status_code == 200, response.text
    content: dict[str, Any] = response.json()
    assert list(content) == KEYS
    assert content["ok"] is True
    return content


def refusal(response: httpx2.Response) -> tuple[int, str, str]:
    content = response.json()
    assert content["ok"] is False
    assert set(content) - {"blocking_reasons"} == {"ok", "error"}
    assert list(content["error"]) == ["code", "message"]
    return response.status_code, content["error"]["code"], content["error"]["message"]


async def units(api: Api, batch_id: object) -> int:
    answer = await api.world.rpc("get_mint_batch_by_id", mint_batch_id=batch_id)
    minted_quantity: int = answer["batch"]["minted_quantity"]
    return minted_quantity


async def queued(api: Api, job_id: object) -> bool:
    async with api.door.platform.database.pool.acquire() as connection:
        found = await connection.fetchval(
            "select count(*) from work_item where ref_id = $1", UUID(str(job_id))
        )
    return bool(found)


async def test_a_small_request_is_minted_at_once(api: Api) -> None:
    answer = await minted(api, await body_of(api))
    assert answer["kicked"] is True
    assert answer["processed_count"] == 10
    assert answer["status"] == "COMPLETED"
    assert answer["is_duplicate"] is False
    assert await units(api, answer["mint_batch_id"]) == 10


async def test_exactly_one_cycle_is_run(api: Api) -> None:
    limits = replace(api.door.platform.limits, cycle_units_max=20_000)
    answer = await minted(with_limits(api, limits), await body_of(api, 20_001))
    assert answer["kicked"] is True
    assert answer["processed_count"] == 20_000
    assert answer["status"] == "PROCESSING"
    assert await units(api, answer["mint_batch_id"]) == 20_000
    assert await queued(api, answer["mint_job_id"])


def with_limits(api: Api, limits: Any) -> Api:
    door = replace(api.door, platform=replace(api.door.platform, limits=limits))
    client = httpx2.AsyncClient(
        transport=httpx2.ASGITransport(build_api(door)), base_url="https://mint.example.com"
    )
    return replace(api, door=door, client=client)


@pytest.mark.parametrize("caller", ["owner", "admin", "service"])
async def test_those_who_may_mint_may_call_it(api: Api, caller: str) -> None:
    assert (await minted(api, await body_of(api), caller))["kicked"] is True


async def test_a_hit_of_a_finished_job_kicks_nothing(api: Api) -> None:
    body = await body_of(api, idempotency_key="order-1")
    first = await minted(api, body)
    again = await minted(api, body)
    assert again == first | {"is_duplicate": True, "kicked": False, "processed_count": 0}
    assert await units(api, first["mint_batch_id"]) == 10


async def test_a_hit_of_an_unfinished_job_kicks_it(api: Api) -> None:
    body = await body_of(api, idempotency_key="order-1")
    raw = {f"_{name}": value for name, value in body.items()}
    submitted = (await api.post("/rest/v1/rpc/submit_mint_request", "owner", raw)).json()
    answer = await minted(api, body)
    assert answer["mint_job_id"] == submitted["mint_job_id"]
    assert answer["is_duplicate"] is True
    assert answer["kicked"] is True
    assert answer["processed_count"] == 10


async def test_the_key_may_stand_in_the_header(api: Api) -> None:
    body = await body_of(api)
    first = await sent_with_key(api, body, "Bestellung-ü".encode())
    # The same key in the body is the same request, and another one is another.
    again = await minted(api, body | {"idempotency_key": "Bestellung-ü"})
    other = await minted(api, body, idempotency_key="order-2")
    assert again["is_duplicate"] is True
    assert again["mint_job_id"] == first.json()["mint_job_id"] != other["mint_job_id"]
    assert refusal(await sent_with_key(api, body, b"\xff"))[:2] == (400, "INVALID_INPUT")


async def sent_with_key(api: Api, body: object, key: bytes) -> httpx2.Response:
    headers = {
        b"authorization": f"Bearer {api.token('owner')}".encode(),
        b"content-type": b"application/json",
        b"idempotency-key": key,
    }
    return await api.client.post(PATH, json=body, headers=headers)


async def test_the_same_key_in_both_places_is_one_key(api: Api) -> None:
    body = await body_of(api, idempotency_key="order-1")
    first = await minted(api, body, idempotency_key="order-1")
    again = await minted(api, body | {"idempotency_key": None}, idempotency_key="order-1")
    assert again["mint_job_id"] == first["mint_job_id"]


async def test_two_different_keys_are_refused(api: Api) -> None:
    body = await body_of(api, idempotency_key="order-1")
    headers = {"idempotency-key": "order-2"}
    response = await api.post(PATH, "owner", body, headers=headers)
    status, code, message = refusal(response)
    assert (status, code) == (400, "INVALID_INPUT")
    assert "idempotency_key" in message
    # A stranger is not told that much.
    assert refusal(await api.post(PATH, "stranger", body, headers=headers))[0] == 403
    # Nothing was stored under either key.
    assert (await minted(api, body))["is_duplicate"] is False


async def test_a_key_of_the_wrong_kind_is_named_as_the_bodys(api: Api) -> None:
    keys: tuple[object, ...] = (7, [], {}, "x" * 256, "")
    for key in keys:
        body = await body_of(api, idempotency_key=key)
        response = await api.post(PATH, "owner", body, headers={"idempotency-key": "order-2"})
        status, code, message = refusal(response)
        assert (status, code) == (400, "INVALID_INPUT")
        assert "idempotency_key" in message


async def test_another_request_with_the_same_key_is_a_conflict(api: Api) -> None:
    body = await body_of(api, idempotency_key="order-1")
    await minted(api, body)
    status, code, message = refusal(
        await api.post(PATH, "owner", body | {"requested_quantity": 11})
    )
    assert (status, code) == (409, "IDEMPOTENCY_CONFLICT")
    assert "requested_quantity" in message
    assert "_requested_quantity" not in message


async def test_a_blocked_request_is_422_with_its_reasons(api: Api) -> None:
    body = await body_of(api) | {"product_id": str(uuid4())}
    response = await api.post(PATH, "owner", body)
    assert refusal(response)[:2] == (422, "PREFLIGHT_BLOCKED")
    assert [each["code"] for each in response.json()["blocking_reasons"]] == ["PRODUCT_NOT_FOUND"]


async def test_bad_arguments_are_named_without_the_underscore(api: Api) -> None:
    body = await body_of(api, 0, lots=[{"lot_code": "A", "qty": "1"}], _brand_id="x", colour="red")
    status, code, message = refusal(await api.post(PATH, "owner", body))
    assert (status, code) == (400, "INVALID_INPUT")
    for name in ("requested_quantity", "lots[0].qty", "_brand_id", "colour", "an integer from 1"):
        assert name in message
    for name in ("_requested_quantity", "_lots", "__brand_id", "_colour", "_product_id"):
        assert name not in message


async def test_names_with_the_underscore_are_unknown_here(api: Api) -> None:
    body = {f"_{name}": value for name, value in (await body_of(api)).items()}
    status, code, message = refusal(await api.post(PATH, "owner", body))
    assert (status, code) == (400, "INVALID_INPUT")
    assert "brand_id" in message


@pytest.mark.parametrize(
    ("caller", "status", "code"),
    [
        ("nobody at all", 401, "UNAUTHENTICATED"),
        ("anonymous", 401, "UNAUTHENTICATED"),
        ("viewer", 403, "FORBIDDEN"),
        ("editor", 403, "FORBIDDEN"),
        ("stranger", 403, "FORBIDDEN"),
        ("nobody", 403, "FORBIDDEN"),
    ],
)
async def test_others_are_refused(api: Api, caller: str, status: int, code: str) -> None:
    body = await body_of(api)
    assert refusal(await api.post(PATH, caller, body))[:2] == (status, code)


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
async def test_only_post_is_answered(api: Api, method: str) -> None:
    response = await api.client.request(method, PATH, headers=api.headers("owner"))
    assert refusal(response)[:2] == (405, "METHOD_NOT_ALLOWED")
    assert response.headers["allow"] == "POST"


async def test_the_media_type_and_the_body_are_checked(api: Api) -> None:
    plain = await api.post(PATH, "owner", {}, headers={"content-type": "text/plain"})
    assert refusal(plain)[:2] == (415, "UNSUPPORTED_MEDIA_TYPE")
    packed = await api.post(PATH, "anonymous", {}, headers={"content-encoding": "br"})
    assert refusal(packed)[:2] == (415, "UNSUPPORTED_MEDIA_TYPE")
    for body in (b"", b"[]", b'{"a":NaN}', b'{"brand_id":"\\u0000"}', b"\xff"):
        assert refusal(await api.post(PATH, "owner", body))[:2] == (400, "INVALID_INPUT")
    named = await api.post(PATH, "owner", b'{"requested_quantity":1e999}')
    assert "requested_quantity" in refusal(named)[2]


async def test_a_body_over_32_mib_is_refused(api: Api) -> None:
    response = await api.post(PATH, "owner", b" " * (32 * 1024 * 1024 + 1))
    assert refusal(response)[:2] == (413, "PAYLOAD_TOO_LARGE")


async def test_brought_serials_are_minted(api: Api) -> None:
    body = await body_of(api, 3, serials=["A-1", "A-2", "a-1"])
    answer = await minted(api, body)
    page = await api.world.rpc("list_mint_units", mint_batch_id=answer["mint_batch_id"])
    assert {unit["serial_number"] for unit in page["units"]} == {"A-1", "A-2", "a-1"}


async def test_a_kick_that_fails_changes_nothing(
    api: Api, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def broken(*_: object) -> Answer:
        raise RuntimeError("the machine is on fire")

    monkeypatch.setattr(functions, "_CYCLE", replace(functions._CYCLE, function=broken))
    answer = await minted(api, await body_of(api))
    assert (answer["kicked"], answer["processed_count"]) == (False, 0)
    assert answer["status"] == "QUEUED"
    assert await queued(api, answer["mint_job_id"])
    logged = capsys.readouterr().out
    assert "RuntimeError" in logged
    assert "on fire" not in logged


async def test_a_kick_that_takes_too_long_is_given_up_and_the_job_goes_on(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def endless(*_: object) -> Answer:
        await asyncio.Event().wait()
        raise AssertionError

    slow = with_limits(api, replace(api.door.platform.limits, kick_timeout_s=0.01))
    cycle = functions._CYCLE
    monkeypatch.setattr(functions, "_CYCLE", replace(cycle, function=endless))
    answer = await minted(slow, await body_of(api))
    assert (answer["kicked"], answer["processed_count"]) == (False, 0)
    assert (await api.world.run(answer["mint_job_id"]))["status"] == "COMPLETED"
    assert await units(api, answer["mint_batch_id"]) == 10


async def test_a_cycle_cancelled_midway_leaves_no_unit_and_the_job_goes_on(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mintage.operations import mint_execution

    async def stuck(*_: object, **__: object) -> Any:
        await asyncio.Event().wait()

    slow = with_limits(api, replace(api.door.platform.limits, kick_timeout_s=0.3))
    body = await body_of(api)
    with monkeypatch.context() as patch:
        patch.setattr(mint_execution, "_work", stuck)
        answer = await minted(slow, body)
    assert (answer["kicked"], answer["processed_count"]) == (False, 0)
    assert await units(api, answer["mint_batch_id"]) == 0
    assert (await api.world.run(answer["mint_job_id"]))["status"] == "COMPLETED"
    assert await units(api, answer["mint_batch_id"]) == 10


async def test_a_job_that_another_worker_holds_is_not_kicked(api: Api) -> None:
    body = await body_of(api, idempotency_key="order-1")
    raw = {f"_{name}": value for name, value in body.items()}
    submitted = (await api.post("/rest/v1/rpc/submit_mint_request", "owner", raw)).json()
    async with api.door.platform.database.pool.acquire() as connection:
        await connection.execute(
            "update work_item set lease_owner = 'another', "
            "lease_until = clock_timestamp() + interval '1 hour'"
        )
    answer = await minted(api, body)
    assert answer["mint_job_id"] == submitted["mint_job_id"]
    assert (answer["kicked"], answer["processed_count"]) == (False, 0)
    assert answer["status"] == "QUEUED"


async def test_the_scheduler_leaves_a_new_job_to_the_kick_for_a_moment(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(*_: object) -> Answer:
        return {}

    monkeypatch.setattr(functions, "_kick", nothing)
    answer = await minted(api, await body_of(api))
    async with api.door.platform.database.pool.acquire() as connection:
        head_start = await connection.fetchval(
            "select extract(epoch from runnable_at - enqueued_at)::float from work_item "
            "where ref_id = $1",
            UUID(answer["mint_job_id"]),
        )
    assert head_start == pytest.approx(api.door.platform.limits.kick_head_start_s, abs=0.01)


async def test_fifty_racing_calls_of_one_key_make_one_job(api: Api) -> None:
    body = await body_of(api, idempotency_key="order-1")
    answers = await asyncio.gather(*(minted(api, body) for _ in range(50)))
    assert len({answer["mint_job_id"] for answer in answers}) == 1
    assert sum(not answer["is_duplicate"] for answer in answers) == 1
    assert sum(answer["processed_count"] for answer in answers) == 10
    assert await units(api, answers[0]["mint_batch_id"]) == 10
