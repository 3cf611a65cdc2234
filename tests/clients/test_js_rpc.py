"""supabase-js calls RPCs by POST, GET and HEAD, as a member, the service or a key; and its errors."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from tests.clients.javascript import Answer, Chain, Node
from tests.clients.server import STRICT_CALLS_A_MINUTE, UNITS, Served
from tests.clients.shown import FORBIDDEN, NOT_AUTHENTICATED, TOO_MANY_CALLS, UNAVAILABLE

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("supabase_js")]

READING: list[dict[str, object]] = [{}, {"get": True}]


def _error(answer: Answer) -> dict[str, Any]:
    """What PostgREST's clients document of an error."""
    return {key: answer.error[key] for key in ("code", "message", "details", "hint")}


@pytest.mark.parametrize("options", READING, ids=["post", "get"])
def test_a_member_reads_a_list(
    js_owner: Chain, mintage: Served, options: dict[str, object]
) -> None:
    asked = {"_brand_id": mintage.brand_id, "_mint_batch_id": mintage.mint_batch_id, "_limit": 10}
    first = js_owner.rpc("list_mint_units", asked, options).answer()
    assert first.shown["status"] == 200
    assert len(first.data["units"]) == 10
    assert first.data["has_more"] is True
    rest = asked | {"_limit": 200, "_cursor": first.data["next_cursor"]}
    second = js_owner.rpc("list_mint_units", rest, options).answer().data
    units = first.data["units"] + second["units"]
    assert [unit["unit_no"] for unit in units] == list(range(UNITS - 1, -1, -1))
    assert second["next_cursor"] is None


@pytest.mark.parametrize("options", READING, ids=["post", "get"])
def test_null_is_an_argument_that_is_left_out(
    js_owner: Chain, mintage: Served, options: dict[str, object]
) -> None:
    absent = dict.fromkeys(("_commercial_status", "_limit", "_cursor"))
    asked = {"_brand_id": mintage.brand_id} | absent
    shown = js_owner.rpc("list_products", asked, options).answer().data
    assert mintage.product_id in {product["id"] for product in shown["products"]}


def test_head_tells_the_status_alone(js_owner: Chain, mintage: Served) -> None:
    asked = {"_brand_id": mintage.brand_id}
    answer = js_owner.rpc("list_products", asked, {"head": True}).answer()
    assert (answer.shown["status"], answer.shown["data"]) == (200, None)
    assert answer.shown["error"] is None
    refused = js_owner.rpc("list_products", {"_brand_id": str(uuid4())}, {"head": True}).answer()
    assert refused.shown["status"] == 403


def test_single_gives_the_answer_as_it_is(js_owner: Chain, mintage: Served) -> None:
    asked = {"_brand_id": mintage.brand_id, "_mint_batch_id": mintage.mint_batch_id}
    call = js_owner.rpc("get_mint_batch_by_id", asked)
    shown = call.single().answer().data
    assert shown["batch"]["id"] == mintage.mint_batch_id
    assert call.maybeSingle().answer().data == call.answer().data == shown


def test_a_member_submits_and_the_same_key_answers_the_same(
    js_owner: Chain, mintage: Served
) -> None:
    asked = mintage.arguments(idempotency_key=uuid4().hex)
    first = js_owner.rpc("submit_mint_request", asked).answer().data
    assert (first["ok"], first["is_duplicate"]) == (True, False)
    again = js_owner.rpc("submit_mint_request", asked).answer().data
    assert again["is_duplicate"] is True
    assert again["mint_job_id"] == first["mint_job_id"]


def test_the_service_calls_with_its_key(js_service: Chain, mintage: Served) -> None:
    asked = {"_brand_id": mintage.brand_id, "_unit_id": str(uuid4())}
    assert js_service.rpc("record_scan_event", asked).answer().data["outcome"] == "unknown"


def test_a_program_calls_with_the_token_of_its_key(mintage: Served, node: Node) -> None:
    program = node.client(mintage.anon_key, token=mintage.exchanged())
    asked = {"_brand_id": mintage.brand_id}
    assert program.rpc("list_mint_batches", asked, {"get": True}).answer().data["ok"] is True
    assert program.rpc("submit_mint_request", mintage.arguments()).answer().data["ok"] is True
    # It has no exports:write.
    packs = asked | {"_mint_batch_id": mintage.mint_batch_id}
    assert _error(program.rpc("request_payload_packs", packs).answer()) == FORBIDDEN


def test_who_has_not_signed_in_is_told_to(js: Chain, mintage: Served) -> None:
    answer = js.rpc("list_products", {"_brand_id": mintage.brand_id}).answer()
    assert (answer.shown["status"], _error(answer)) == (401, NOT_AUTHENTICATED)


@pytest.mark.parametrize("options", READING, ids=["post", "get"])
def test_a_token_that_is_over_is_refused(
    mintage: Served, node: Node, options: dict[str, object]
) -> None:
    client = node.client(mintage.anon_key, token=mintage.token("owner", lifetime_s=-3600))
    answer = client.rpc("list_products", {"_brand_id": mintage.brand_id}, options).answer()
    assert (answer.shown["status"], _error(answer)) == (401, NOT_AUTHENTICATED)


def test_a_foreign_brand_and_one_that_is_not_are_told_alike(
    js_owner: Chain, mintage: Served
) -> None:
    for brand_id in (mintage.foreign_brand_id, str(uuid4())):
        answer = js_owner.rpc("list_products", {"_brand_id": brand_id}).answer()
        assert (answer.shown["status"], _error(answer)) == (403, FORBIDDEN)


def test_a_role_that_may_not_is_refused(js: Chain, mintage: Served) -> None:
    viewer = mintage.people["viewer"]
    js.auth.signInWithPassword({"email": viewer.email, "password": viewer.password}).answer()
    answer = js.rpc("submit_mint_request", mintage.arguments()).answer()
    assert (answer.shown["status"], _error(answer)) == (403, FORBIDDEN)


def test_every_bad_argument_is_named_at_once(js_owner: Chain, mintage: Served) -> None:
    asked = mintage.arguments(requested_quantity=0, identity_mode="both") | {"_colour": "red"}
    answer = js_owner.rpc("submit_mint_request", asked).answer()
    assert answer.shown["status"] == 400
    error = answer.error
    assert error["code"] == "22023"
    assert error["message"].startswith("Invalid input: ")
    named = {problem["argument"]: problem for problem in error["errors"]}
    assert set(named) == {"_requested_quantity", "_identity_mode", "_colour"}
    assert named["_requested_quantity"]["hint"] == "must be an integer from 1 to 1,000,000"
    for name in named:
        assert name in error["message"]
        assert name in error["details"]
    assert isinstance(error["hint"], str)


def test_a_query_with_a_bad_argument_is_refused(js_owner: Chain, mintage: Served) -> None:
    asked = {"_brand_id": mintage.brand_id, "_limit": 201}
    answer = js_owner.rpc("list_products", asked, {"get": True}).answer()
    assert answer.shown["status"] == 400
    assert [problem["argument"] for problem in answer.error["errors"]] == ["_limit"]


def test_an_id_that_is_unknown_is_named(js_owner: Chain, mintage: Served) -> None:
    asked = {"_brand_id": mintage.brand_id, "_mint_batch_id": str(uuid4())}
    answer = js_owner.rpc("get_mint_batch_by_id", asked).answer()
    assert (answer.shown["status"], answer.error["code"]) == (400, "P0002")
    assert answer.error["message"] == "Invalid input: mint batch not found"


def test_what_the_rules_refuse_is_data_and_no_error(js_owner: Chain, mintage: Served) -> None:
    asked = mintage.arguments(product_id=mintage.draft_product_id, product_batch_id=None)
    answer = js_owner.rpc("submit_mint_request", asked).answer()
    assert answer.shown["status"] == 200
    assert answer.data["ok"] is False
    assert [reason["code"] for reason in answer.data["blocking_reasons"]] == [
        "COMMERCIAL_STATUS_NOT_ACTIVE",
        "MINT_READINESS_NOT_READY",
    ]


def test_a_key_used_with_other_arguments_is_a_conflict(js_owner: Chain, mintage: Served) -> None:
    key = uuid4().hex
    js_owner.rpc("submit_mint_request", mintage.arguments(idempotency_key=key)).answer()
    other = mintage.arguments(idempotency_key=key, requested_quantity=4)
    answer = js_owner.rpc("submit_mint_request", other).answer()
    assert (answer.shown["status"], answer.error["code"]) == (409, "23505")
    assert "_requested_quantity" in answer.error["message"]


def test_a_function_that_is_not_there_is_told(js_owner: Chain) -> None:
    answer = js_owner.rpc("mint_everything", {}).answer()
    assert (answer.shown["status"], answer.error["code"]) == (404, "PGRST202")
    assert answer.error["hint"]


def test_what_writes_cannot_be_called_by_get(js_owner: Chain, mintage: Served) -> None:
    answer = js_owner.rpc("create_product", {"_sku": "X"}, {"get": True}).answer()
    assert (answer.shown["status"], answer.error["code"]) == (405, "PGRST101")
    assert answer.error["message"] == "Method not allowed: POST"


def test_a_table_is_not_there_and_the_hint_says_what_is(js_owner: Chain) -> None:
    answer = js_owner.from_("mint_unit").select("*").answer()
    assert (answer.shown["status"], answer.error["code"]) == (404, "PGRST125")
    assert "/rest/v1/rpc" in answer.error["hint"]


def test_after_too_many_calls_a_program_is_told_to_wait(strict_mintage: Served, node: Node) -> None:
    hasty = strict_mintage.with_new_key()
    token = hasty.exchanged()
    client = replace(node, url=hasty.url).client(hasty.anon_key, token=token)
    call = client.rpc("get_mint_kpis", {"_brand_id": hasty.brand_id})
    answers = [call.answer() for _ in range(2 * STRICT_CALLS_A_MINUTE)]
    assert answers[0].data["ok"] is True
    refused = next(answer for answer in answers if answer.shown["error"])
    assert (refused.shown["status"], _error(refused)["code"]) == (429, TOO_MANY_CALLS)


def test_without_the_database_a_call_says_so(
    js_service: Chain, mintage: Served, away: None
) -> None:
    asked = {"_brand_id": mintage.brand_id}
    for call in (
        js_service.rpc("list_products", asked),
        js_service.rpc("list_products", asked, {"get": True}).retry(False),
        js_service.rpc("create_product", asked | {"_sku": "NEW", "_name": "New"}),
    ):
        answer = call.answer()
        assert (answer.shown["status"], _error(answer)) == (503, UNAVAILABLE)


def test_a_get_call_waits_for_the_database_by_itself(js_service: Chain, mintage: Served) -> None:
    # The client repeats a reading call that was answered 503, after the seconds of Retry-After.
    call = js_service.rpc("list_products", {"_brand_id": mintage.brand_id}, {"get": True})
    with ThreadPoolExecutor(1) as beside:
        with mintage.away() as since:
            answer = beside.submit(call.answer)
            mintage.wait_for_failure("list_products", since)
        assert answer.result(timeout=60).data["ok"] is True
