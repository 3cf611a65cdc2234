"""supabase-js invokes mint-api-v1: what it answers, and the errors whose body an integration reads."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from tests.clients.javascript import Answer, Chain, Node
from tests.clients.server import Served

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("supabase_js")]

NAME = "mint-api-v1"


def _invoked(client: Chain, body: dict[str, Any], **options: object) -> Answer:
    return client.functions.invoke(NAME, {"body": body} | options).answer()


def _refusal(answer: Answer) -> tuple[int, str]:
    """Status and code of a `FunctionsHttpError`, from the response that it carries."""
    error = answer.error
    assert error["class"] == error["name"] == "FunctionsHttpError"
    assert error["message"] == "Edge Function returned a non-2xx status code"
    body = error["context"]["json"]
    assert body["ok"] is False
    return error["context"]["status"], body["error"]["code"]


def test_a_request_is_submitted_and_its_first_cycle_run(js_owner: Chain, mintage: Served) -> None:
    shown = _invoked(js_owner, mintage.submission()).data
    assert (shown["ok"], shown["status"]) == (True, "COMPLETED")
    assert (shown["is_duplicate"], shown["kicked"], shown["processed_count"]) == (False, True, 3)
    asked = {"_brand_id": mintage.brand_id, "_mint_batch_id": shown["mint_batch_id"]}
    units = js_owner.rpc("list_mint_units", asked).answer().data["units"]
    assert len(units) == 3


def test_the_key_may_be_a_header(js_owner: Chain, mintage: Served) -> None:
    headers = {"Idempotency-Key": uuid4().hex}
    first = _invoked(js_owner, mintage.submission(), headers=headers).data
    again = _invoked(js_owner, mintage.submission(), headers=headers).data
    assert again["mint_job_id"] == first["mint_job_id"]
    assert (again["is_duplicate"], again["kicked"], again["processed_count"]) == (True, False, 0)


def test_the_service_and_a_program_may_invoke_it(
    js_service: Chain, mintage: Served, node: Node
) -> None:
    program = node.client(mintage.anon_key, token=mintage.exchanged())
    for client in (js_service, program):
        assert _invoked(client, mintage.submission()).data["ok"] is True


def test_what_the_rules_refuse_has_its_reasons_in_the_body(
    js_owner: Chain, mintage: Served
) -> None:
    body = mintage.submission(product_id=mintage.draft_product_id, product_batch_id=None)
    answer = _invoked(js_owner, body)
    assert _refusal(answer) == (422, "PREFLIGHT_BLOCKED")
    reasons = answer.error["context"]["json"]["blocking_reasons"]
    assert [reason["code"] for reason in reasons] == [
        "COMMERCIAL_STATUS_NOT_ACTIVE",
        "MINT_READINESS_NOT_READY",
    ]


def test_bad_arguments_are_named_as_the_function_names_them(
    js_owner: Chain, mintage: Served
) -> None:
    answer = _invoked(js_owner, mintage.submission(requested_quantity="3", identity_mode=None))
    assert _refusal(answer) == (400, "INVALID_INPUT")
    message = answer.error["context"]["json"]["error"]["message"]
    assert "requested_quantity" in message
    assert "identity_mode" in message
    assert "_requested" not in message.replace(" _", " ")


def test_two_different_keys_are_refused(js_owner: Chain, mintage: Served) -> None:
    body = mintage.submission(idempotency_key="one")
    answer = _invoked(js_owner, body, headers={"Idempotency-Key": "two"})
    assert _refusal(answer) == (400, "INVALID_INPUT")


def test_a_key_used_with_other_arguments_is_a_conflict(js_owner: Chain, mintage: Served) -> None:
    key = uuid4().hex
    _invoked(js_owner, mintage.submission(idempotency_key=key))
    answer = _invoked(js_owner, mintage.submission(idempotency_key=key, requested_quantity=4))
    assert _refusal(answer) == (409, "IDEMPOTENCY_CONFLICT")


def test_who_has_not_signed_in_is_told_to(js: Chain, mintage: Served) -> None:
    assert _refusal(_invoked(js, mintage.submission())) == (401, "UNAUTHENTICATED")


def test_a_token_that_is_over_is_refused(mintage: Served, node: Node) -> None:
    client = node.client(mintage.anon_key, token=mintage.token("owner", lifetime_s=-3600))
    assert _refusal(_invoked(client, mintage.submission())) == (401, "UNAUTHENTICATED")


def test_a_foreign_brand_is_refused(js_owner: Chain, mintage: Served) -> None:
    body = mintage.submission(brand_id=mintage.foreign_brand_id)
    assert _refusal(_invoked(js_owner, body)) == (403, "FORBIDDEN")


def test_other_methods_are_refused(js_owner: Chain) -> None:
    answer = js_owner.functions.invoke(NAME, {"method": "GET"}).answer()
    assert _refusal(answer) == (405, "METHOD_NOT_ALLOWED")


def test_a_text_for_a_body_is_refused(js_owner: Chain) -> None:
    # The client calls it text/plain.
    assert _refusal(_invoked(js_owner, "{}")) == (415, "UNSUPPORTED_MEDIA_TYPE")  # type: ignore[arg-type]


def test_another_function_is_not_there_and_the_message_says_what_is(js_owner: Chain) -> None:
    answer = js_owner.functions.invoke("mint-api-v2", {"body": {}}).answer()
    assert _refusal(answer) == (404, "NOT_FOUND")
    assert NAME in answer.error["context"]["json"]["error"]["message"]


def test_without_the_database_it_says_when_to_try_again(
    js_service: Chain, mintage: Served, away: None
) -> None:
    answer = _invoked(js_service, mintage.submission())
    assert _refusal(answer) == (503, "UNAVAILABLE")
    assert answer.error["context"]["headers"]["retry-after"] == "1"
