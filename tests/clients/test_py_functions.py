"""supabase-py invokes mint-api-v1: what it answers, and the errors that an integration reads."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from supabase_functions.errors import FunctionsHttpError

from tests.clients.python import OWN_WARNINGS, Client, PythonClients, failure, settled
from tests.clients.server import Served

pytestmark = pytest.mark.filterwarnings(OWN_WARNINGS)

NAME = "mint-api-v1"


async def _invoked(client: Client, body: dict[str, Any], **options: object) -> dict[str, Any]:
    asked = {"body": body, "responseType": "json"} | options
    answer: dict[str, Any] = await settled(client.functions.invoke(NAME, asked))
    return answer


async def _refusal(client: Client, body: object, **options: object) -> tuple[int, str]:
    """Status and code; the client shows as `message` what the body has under `error`."""
    error = await failure(
        lambda: client.functions.invoke(NAME, {"body": body} | options), FunctionsHttpError
    )
    assert set(error.message) == {"code", "message"}
    return error.status, error.message["code"]


async def test_a_request_is_submitted_and_its_first_cycle_run(
    py_owner: Client, mintage: Served
) -> None:
    shown = await _invoked(py_owner, mintage.submission())
    assert (shown["ok"], shown["status"]) == (True, "COMPLETED")
    assert (shown["is_duplicate"], shown["kicked"], shown["processed_count"]) == (False, True, 3)


async def test_the_key_may_be_a_header(py_owner: Client, mintage: Served) -> None:
    headers = {"Idempotency-Key": uuid4().hex}
    first = await _invoked(py_owner, mintage.submission(), headers=headers)
    again = await _invoked(py_owner, mintage.submission(), headers=headers)
    assert again["mint_job_id"] == first["mint_job_id"]
    assert (again["is_duplicate"], again["kicked"], again["processed_count"]) == (True, False, 0)


async def test_the_service_and_a_program_may_invoke_it(
    py_service: Client, py_program: Client, mintage: Served
) -> None:
    for client in (py_service, py_program):
        assert (await _invoked(client, mintage.submission()))["ok"] is True


async def test_refusals_have_their_code_and_status(
    py: Client, py_service: Client, clients: PythonClients, mintage: Served
) -> None:
    assert await _refusal(py, mintage.submission()) == (401, "UNAUTHENTICATED")
    over = mintage.token("owner", lifetime_s=-3600)
    late = await clients.make(mintage.anon_key, token=over)
    assert await _refusal(late, mintage.submission()) == (401, "UNAUTHENTICATED")
    wrong = mintage.submission(requested_quantity=0)
    assert await _refusal(py_service, wrong) == (400, "INVALID_INPUT")
    blocked = mintage.submission(product_id=mintage.draft_product_id)
    assert await _refusal(py_service, blocked) == (422, "PREFLIGHT_BLOCKED")
    assert await _refusal(py_service, "{}") == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert await _refusal(py_service, None, method="GET") == (405, "METHOD_NOT_ALLOWED")


async def test_a_foreign_brand_is_refused(py_owner: Client, mintage: Served) -> None:
    body = mintage.submission(brand_id=mintage.foreign_brand_id)
    assert await _refusal(py_owner, body) == (403, "FORBIDDEN")


async def test_a_key_used_with_other_arguments_is_a_conflict(
    py_owner: Client, mintage: Served
) -> None:
    key = uuid4().hex
    await _invoked(py_owner, mintage.submission(idempotency_key=key))
    other = mintage.submission(idempotency_key=key, requested_quantity=4)
    assert await _refusal(py_owner, other) == (409, "IDEMPOTENCY_CONFLICT")


async def test_without_the_database_it_is_unavailable(
    py_service: Client, mintage: Served, away: None
) -> None:
    assert await _refusal(py_service, mintage.submission()) == (503, "UNAVAILABLE")
