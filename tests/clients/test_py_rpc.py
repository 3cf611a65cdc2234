"""supabase-py calls RPCs by POST, GET and HEAD, as a member, the service or a key; and its errors."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from postgrest.exceptions import APIError

from tests.clients.python import OWN_WARNINGS, Client, PythonClients, failure, settled, sign_in
from tests.clients.server import STRICT_CALLS_A_MINUTE, UNITS, Served
from tests.clients.shown import FORBIDDEN, NOT_AUTHENTICATED, TOO_MANY_CALLS, UNAVAILABLE

pytestmark = pytest.mark.filterwarnings(OWN_WARNINGS)

READING: list[dict[str, bool]] = [{}, {"get": True}]


async def _data(client: Client, name: str, asked: dict[str, Any], **options: bool) -> Any:
    return (await settled(client.rpc(name, asked, **options).execute())).data


async def _error(client: Client, name: str, asked: dict[str, Any], **options: bool) -> APIError:
    call = client.rpc(name, asked, **options)
    error: APIError = await failure(call.execute, APIError)
    return error


def _told(error: APIError) -> dict[str, object]:
    return {
        "code": error.code,
        "message": error.message,
        "details": error.details,
        "hint": error.hint,
    }


@pytest.mark.parametrize("options", READING, ids=["post", "get"])
async def test_a_member_reads_a_list(
    py_owner: Client, mintage: Served, options: dict[str, bool]
) -> None:
    asked = {"_brand_id": mintage.brand_id, "_mint_batch_id": mintage.mint_batch_id, "_limit": 10}
    first = await _data(py_owner, "list_mint_units", asked, **options)
    assert len(first["units"]) == 10
    assert first["has_more"] is True
    rest = asked | {"_limit": 200, "_cursor": first["next_cursor"]}
    second = await _data(py_owner, "list_mint_units", rest, **options)
    units = first["units"] + second["units"]
    assert [unit["unit_no"] for unit in units] == list(range(UNITS - 1, -1, -1))
    assert second["next_cursor"] is None


@pytest.mark.parametrize("options", READING, ids=["post", "get"])
async def test_none_is_an_argument_that_is_left_out(
    py_owner: Client, mintage: Served, options: dict[str, bool]
) -> None:
    absent = dict.fromkeys(("_commercial_status", "_limit", "_cursor"))
    asked = {"_brand_id": mintage.brand_id} | absent
    shown = await _data(py_owner, "list_products", asked, **options)
    assert mintage.product_id in {product["id"] for product in shown["products"]}


async def test_single_gives_the_answer_as_it_is(py_owner: Client, mintage: Served) -> None:
    asked = {"_brand_id": mintage.brand_id, "_mint_batch_id": mintage.mint_batch_id}
    shown = await settled(py_owner.rpc("get_mint_batch_by_id", asked).single().execute())
    assert shown.data["batch"]["id"] == mintage.mint_batch_id


async def test_head_answers_without_a_body(py_owner: Client, mintage: Served) -> None:
    asked = {"_brand_id": mintage.brand_id}
    assert not await _data(py_owner, "list_products", asked, head=True)
    error = await _error(py_owner, "list_products", {"_brand_id": str(uuid4())}, head=True)
    assert error.code == "403"


async def test_a_member_submits_and_the_same_key_answers_the_same(
    py_owner: Client, mintage: Served
) -> None:
    asked = mintage.arguments(idempotency_key=uuid4().hex)
    first = await _data(py_owner, "submit_mint_request", asked)
    assert (first["ok"], first["is_duplicate"]) == (True, False)
    again = await _data(py_owner, "submit_mint_request", asked)
    assert again["is_duplicate"] is True
    assert again["mint_job_id"] == first["mint_job_id"]


async def test_the_service_calls_with_its_key(py_service: Client, mintage: Served) -> None:
    asked = {"_brand_id": mintage.brand_id, "_unit_id": str(uuid4())}
    assert (await _data(py_service, "record_scan_event", asked))["outcome"] == "unknown"


async def test_a_program_calls_with_the_token_of_its_key(
    py_program: Client, mintage: Served
) -> None:
    asked = {"_brand_id": mintage.brand_id}
    assert (await _data(py_program, "list_mint_batches", asked, get=True))["ok"] is True
    submitted = await _data(py_program, "submit_mint_request", mintage.arguments())
    assert submitted["ok"] is True
    # It has no exports:write.
    packs = asked | {"_mint_batch_id": mintage.mint_batch_id}
    assert _told(await _error(py_program, "request_payload_packs", packs)) == FORBIDDEN


async def test_who_has_not_signed_in_is_told_to(py: Client, mintage: Served) -> None:
    error = await _error(py, "list_products", {"_brand_id": mintage.brand_id})
    assert _told(error) == NOT_AUTHENTICATED


@pytest.mark.parametrize("options", READING, ids=["post", "get"])
async def test_a_token_that_is_over_is_refused(
    clients: PythonClients, mintage: Served, options: dict[str, bool]
) -> None:
    over = mintage.token("owner", lifetime_s=-3600)
    client = await clients.make(mintage.anon_key, token=over)
    error = await _error(client, "list_products", {"_brand_id": mintage.brand_id}, **options)
    assert _told(error) == NOT_AUTHENTICATED


async def test_a_foreign_brand_and_one_that_is_not_are_told_alike(
    py_owner: Client, mintage: Served
) -> None:
    for brand_id in (mintage.foreign_brand_id, str(uuid4())):
        error = await _error(py_owner, "list_products", {"_brand_id": brand_id})
        assert _told(error) == FORBIDDEN


async def test_a_role_that_may_not_is_refused(py: Client, mintage: Served) -> None:
    await sign_in(py, mintage, "viewer")
    assert _told(await _error(py, "submit_mint_request", mintage.arguments())) == FORBIDDEN


async def test_every_bad_argument_is_named_at_once(py_owner: Client, mintage: Served) -> None:
    asked = mintage.arguments(requested_quantity=0, identity_mode="both") | {"_colour": "red"}
    error = await _error(py_owner, "submit_mint_request", asked)
    assert error.code == "22023"
    assert str(error.message).startswith("Invalid input: ")
    for name in ("_requested_quantity", "_identity_mode", "_colour"):
        assert name in str(error.message)
        assert name in str(error.details)
    assert "must be an integer from 1 to 1,000,000" in str(error.hint)


async def test_an_id_that_is_unknown_is_named(py_owner: Client, mintage: Served) -> None:
    asked = {"_brand_id": mintage.brand_id, "_mint_batch_id": str(uuid4())}
    error = await _error(py_owner, "get_mint_batch_by_id", asked)
    assert (error.code, error.message) == ("P0002", "Invalid input: mint batch not found")


async def test_what_the_rules_refuse_is_data_and_no_error(
    py_owner: Client, mintage: Served
) -> None:
    asked = mintage.arguments(product_id=mintage.draft_product_id, product_batch_id=None)
    shown = await _data(py_owner, "submit_mint_request", asked)
    assert shown["ok"] is False
    assert [reason["code"] for reason in shown["blocking_reasons"]] == [
        "COMMERCIAL_STATUS_NOT_ACTIVE",
        "MINT_READINESS_NOT_READY",
    ]


async def test_a_key_used_with_other_arguments_is_a_conflict(
    py_owner: Client, mintage: Served
) -> None:
    key = uuid4().hex
    await _data(py_owner, "submit_mint_request", mintage.arguments(idempotency_key=key))
    other = mintage.arguments(idempotency_key=key, requested_quantity=4)
    error = await _error(py_owner, "submit_mint_request", other)
    assert error.code == "23505"
    assert "_requested_quantity" in str(error.message)


async def test_what_is_not_there_or_not_readable_is_told(py_owner: Client, mintage: Served) -> None:
    assert (await _error(py_owner, "mint_everything", {})).code == "PGRST202"
    error = await _error(py_owner, "create_product", {"_sku": "X"}, get=True)
    assert (error.code, error.message) == ("PGRST101", "Method not allowed: POST")
    table = py_owner.table("mint_unit").select("*")
    error = await failure(table.execute, APIError)
    assert error.code == "PGRST125"
    assert "/rest/v1/rpc" in str(error.hint)


async def test_after_too_many_calls_a_program_is_told_to_wait(
    clients: PythonClients, strict_mintage: Served
) -> None:
    hasty = strict_mintage.with_new_key()
    strict = replace(clients, mintage=hasty)
    client = await strict.make(hasty.anon_key, token=hasty.exchanged())
    asked = {"_brand_id": hasty.brand_id}
    assert (await _data(client, "get_mint_kpis", asked))["ok"] is True

    async def hurries() -> None:
        for _ in range(2 * STRICT_CALLS_A_MINUTE):
            await _data(client, "get_mint_kpis", asked)

    assert (await failure(hurries, APIError)).code == TOO_MANY_CALLS


async def test_without_the_database_a_call_says_so(
    py_service: Client, mintage: Served, away: None
) -> None:
    asked = {"_brand_id": mintage.brand_id}
    assert _told(await _error(py_service, "list_products", asked)) == UNAVAILABLE
    call = py_service.rpc("list_products", asked, get=True).retry(False)
    assert _told(await failure(call.execute, APIError)) == UNAVAILABLE


async def test_a_get_call_waits_for_the_database_by_itself(
    py_service: Client, mintage: Served
) -> None:
    is_cut = threading.Event()

    def cut_until_noticed() -> None:
        with mintage.away() as since:
            is_cut.set()
            mintage.wait_for_failure("list_products", since)

    # The client repeats a reading call that was answered 503.
    call = py_service.rpc("list_products", {"_brand_id": mintage.brand_id}, get=True)
    cutting = asyncio.create_task(asyncio.to_thread(cut_until_noticed))
    await asyncio.to_thread(is_cut.wait, 60)
    assert (await settled(call.execute())).data["ok"] is True
    await cutting
