"""`/rest/v1/rpc/<name>`: errors as they are documented, answers as JSON, GET and HEAD."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID, uuid4

import httpx2
import pytest

from mintage.api.app import build_api
from mintage.db.connection import open_database
from mintage.perform import Platform
from mintage.rpcs import RPCS
from tests.api.conftest import Api, problems
from tests.support.webhooks import webhook_of

KEYS = ["code", "message", "details", "hint", "errors"]
READING = sorted(name for name, rpc in RPCS.items() if rpc.is_read_only)
WRITING = sorted(name for name, rpc in RPCS.items() if not rpc.is_read_only)


async def test_an_answer_is_json_with_ids_and_times_as_text(api: Api) -> None:
    response = await api.call(
        "create_product", brand_id=api.world.brand_id, sku="OAK-1", name="Tisch “Eiche” 桌"
    )
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    product = response.json()["product"]
    assert UUID(product["id"])
    assert product["name"] == "Tisch “Eiche” 桌"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", product["created_at"])


@pytest.mark.parametrize("caller", ["nobody at all", "anonymous"])
@pytest.mark.parametrize("name", sorted(RPCS))
async def test_no_rpc_is_answered_to_the_anonymous(api: Api, name: str, caller: str) -> None:
    response = await api.post(f"/rest/v1/rpc/{name}", caller, {})
    assert response.status_code == 401
    content = response.json()
    assert list(content) == KEYS
    assert content["code"] == "PGRST301"
    assert content["message"].startswith("Not authenticated")
    assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer "},
        {"authorization": "Basic b3duZXI6cGFzc3dvcmQ="},
        {"authorization": "Bearer not.a.token"},
        {"apikey": "SERVICE"},
        {"apikey": "OWNER"},
        {"cookie": "sb-access-token=OWNER"},
        {"authorization": "OWNER"},
    ],
    ids=str,
)
async def test_only_a_bearer_token_says_who_calls(api: Api, headers: dict[str, str]) -> None:
    words = {"OWNER": api.token("owner") or "", "SERVICE": api.token("service") or ""}
    sent = {name: words.get(value, value) for name, value in headers.items()}
    response = await api.post("/rest/v1/rpc/list_my_brands", "nobody at all", {}, headers=sent)
    assert response.status_code == 401
    assert response.json()["code"] == "PGRST301"


async def test_every_bad_token_is_answered_with_the_same_bytes(api: Api) -> None:
    right = api.token("owner") or ""
    bodies = set()
    for token in ("a.b.c", right + "x", right[:-9], api.token("service") or ""):
        shown = token if token != api.token("service") else token[:-3] + "AAA"
        response = await api.post(
            "/rest/v1/rpc/list_my_brands",
            "nobody at all",
            {},
            headers={"authorization": f"Bearer {shown}"},
        )
        bodies.add((response.status_code, response.content))
    assert len(bodies) == 1


async def test_two_authorization_headers_are_refused(api: Api) -> None:
    token = f"Bearer {api.token('owner')}"
    response = await api.client.post(
        "/rest/v1/rpc/list_my_brands",
        content=b"{}",
        headers=[
            ("content-type", "application/json"),
            ("authorization", token),
            ("authorization", token),
        ],
    )
    assert response.status_code == 401


async def test_the_scheme_is_read_in_any_case(api: Api) -> None:
    headers = {"authorization": f"bearer {api.token('owner')}", "apikey": api.token("anonymous")}
    response = await api.post(
        "/rest/v1/rpc/list_my_brands",
        "nobody at all",
        {},
        headers={k: str(v) for k, v in headers.items()},
    )
    assert response.status_code == 200
    assert [brand["slug"] for brand in response.json()["brands"]] == ["acme"]


async def test_an_unknown_brand_and_anothers_are_refused_with_the_same_bytes(api: Api) -> None:
    answers = set()
    for brand_id in (uuid4(), api.world.other_brand_id):
        for caller in ("owner", "nobody"):
            response = await api.call("list_mint_batches", caller, brand_id=brand_id)
            answers.add((response.status_code, response.content))
    assert len(answers) == 1
    status, content = answers.pop()
    assert status == 403
    assert b'"42501"' in content


async def test_a_role_that_may_not_is_refused(api: Api) -> None:
    response = await api.call(
        "create_product", "viewer", brand_id=api.world.brand_id, sku="A", name="A"
    )
    assert (response.status_code, response.json()["code"]) == (403, "42501")
    assert response.json()["message"].startswith("Forbidden")
    response = await api.call("process_mint_job_batch", "owner")
    assert response.status_code == 403


async def test_the_service_names_a_brand_that_exists(api: Api) -> None:
    known = await api.call("list_mint_batches", "service", brand_id=api.world.brand_id)
    assert known.status_code == 200
    unknown = await api.call("list_mint_batches", "service", brand_id=uuid4())
    assert unknown.status_code == 403
    missing = await api.call("list_mint_batches", "service")
    assert problems(missing) == {"_brand_id": "is missing; must be the UUID of a brand"}


async def test_every_bad_argument_is_named_at_once(api: Api) -> None:
    response = await api.call(
        "submit_mint_request",
        brand_id=api.world.brand_id,
        product_id="7",
        requested_quantity="100",
        identity_mode="both",
        serials=["A", 1],
        colour="red",
    )
    assert response.status_code == 400
    content = response.json()
    assert content["code"] == "22023"
    assert content["message"].startswith("Invalid input: ")
    assert {
        "_product_id",
        "_requested_quantity",
        "_identity_mode",
        "_activation_mode",
        "_serials[1]",
        "_colour",
    } == set(problems(response))
    assert all(each["hint"] for each in content["errors"])


async def test_a_thousand_bad_arguments_make_no_endless_answer(api: Api) -> None:
    unknown = {f"x{number}": number for number in range(5000)}
    response = await api.call("submit_mint_request", brand_id=api.world.brand_id, **unknown)
    assert response.status_code == 400
    assert len(response.json()["errors"]) == 100
    assert len(response.content) < 32_000


@pytest.mark.parametrize("quantity", ["100", True, 100.0, None, [100], {"value": 100}])
async def test_an_integer_is_a_json_integer(api: Api, quantity: object) -> None:
    response = await api.call(
        "submit_mint_request",
        brand_id=api.world.brand_id,
        product_id=uuid4(),
        requested_quantity=quantity,
        identity_mode="serial",
        activation_mode="first_scan",
    )
    assert response.status_code == 400
    assert list(problems(response)) == ["_requested_quantity"]


async def test_an_unknown_id_and_anothers_are_not_found_with_the_same_bytes(api: Api) -> None:
    theirs = await api.world.rpc("create_product", "stranger", sku="S", name="S")
    answers = set()
    for product_id in (uuid4(), theirs["product"]["id"]):
        response = await api.call(
            "update_product",
            brand_id=api.world.brand_id,
            product_id=product_id,
            patch={"name": "Mine"},
        )
        answers.add((response.status_code, response.content))
    assert len(answers) == 1
    status, content = answers.pop()
    assert status == 400
    assert b'"P0002"' in content
    assert b"Invalid input: product not found" in content


async def test_a_refusal_by_the_domain_is_200(api: Api) -> None:
    response = await api.call(
        "submit_mint_request",
        brand_id=api.world.brand_id,
        product_id=uuid4(),
        requested_quantity=1,
        identity_mode="serial",
        activation_mode="first_scan",
    )
    assert response.status_code == 200
    assert response.json()["ok"] is False
    assert [each["code"] for each in response.json()["blocking_reasons"]] == ["PRODUCT_NOT_FOUND"]


async def test_another_request_with_the_same_key_is_a_conflict(api: Api) -> None:
    product_id = await api.world.product()
    given: dict[str, object] = {
        "brand_id": api.world.brand_id,
        "product_id": product_id,
        "identity_mode": "serial",
        "activation_mode": "first_scan",
        "idempotency_key": "order-1",
    }
    first = await api.call("submit_mint_request", requested_quantity=5, **given)
    again = await api.call("submit_mint_request", requested_quantity=5, **given)
    other = await api.call("submit_mint_request", requested_quantity=6, **given)
    assert again.json() == first.json() | {"is_duplicate": True}
    assert (other.status_code, other.json()["code"]) == (409, "23505")
    assert "requested_quantity" in other.json()["message"]


@pytest.mark.parametrize(
    "name", ["nothing", "Submit_Mint_Request", "submit_mint_request ", "a%2Fb"]
)
async def test_an_unknown_name_is_404_with_a_hint(api: Api, name: str) -> None:
    response = await api.post(f"/rest/v1/rpc/{name}", "owner", {})
    assert response.status_code == 404
    assert response.json()["hint"]


@pytest.mark.parametrize("name", WRITING)
async def test_a_writing_rpc_answers_405_to_get_and_head(api: Api, name: str) -> None:
    for method in ("GET", "HEAD"):
        response = await api.client.request(
            method, f"/rest/v1/rpc/{name}", headers=api.headers("owner")
        )
        assert response.status_code == 405
        assert response.headers["allow"] == "POST"


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
async def test_other_methods_are_405_with_the_allowed_ones(api: Api, method: str) -> None:
    for announced in ({"content-type": "application/json"}, {}):
        response = await api.client.request(
            method,
            "/rest/v1/rpc/list_mint_batches",
            headers=api.headers("owner") | announced,
        )
        assert response.status_code == 405
        assert response.headers["allow"] == "GET, HEAD, POST"
        assert response.json()["code"] == "PGRST101"


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 200),
        ("application/json; charset=utf-8", 200),
        ('Application/JSON;charset="UTF-8"', 200),
        ("application/json; charset=latin-1", 415),
        ("application/json, text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("text/json", 415),
        ("", 415),
    ],
)
async def test_the_media_type_is_json(api: Api, content_type: str, status: int) -> None:
    response = await api.post(
        "/rest/v1/rpc/list_my_brands", "owner", {}, headers={"content-type": content_type}
    )
    assert response.status_code == status


async def test_a_body_without_a_media_type_is_refused(api: Api) -> None:
    response = await api.client.post(
        "/rest/v1/rpc/list_my_brands", content=b"{}", headers=api.headers("owner")
    )
    assert response.status_code == 415


async def test_supabase_headers_are_tolerated(api: Api) -> None:
    headers = {
        "accept": "application/vnd.pgrst.object+json",
        "prefer": "return=representation",
        "content-profile": "public",
        "accept-profile": "public",
        "x-client-info": "supabase-js/2.0.0",
        "apikey": str(api.token("anonymous")),
    }
    response = await api.post("/rest/v1/rpc/list_my_brands", "owner", {}, headers=headers)
    assert response.status_code == 200
    assert isinstance(response.json(), dict)


@pytest.mark.parametrize("name", READING)
async def test_a_reading_rpc_is_called_by_get_as_by_post(api: Api, name: str) -> None:
    submitted = await api.world.minted(3)
    given: dict[str, object] = {}
    fields = {field.alias for field in RPCS[name].arguments.model_fields.values()}
    if "_brand_id" in fields:
        given["brand_id"] = api.world.brand_id
    if name == "get_mint_batch_by_id":
        given["mint_batch_id"] = submitted["mint_batch_id"]
    if "_product_id" in fields and name.startswith(("get_product", "list_product_")):
        listed = await api.world.rpc("list_products", limit=1)
        given["product_id"] = listed["products"][0]["id"]
    if name == "list_webhook_deliveries":
        made = await webhook_of(api.world, "https://example.com/")
        given["webhook_id"] = made["webhook"]["id"]
    if name == "search_brand_objects_v1":
        given["query"] = "SKU-"
    if "_limit" in fields:
        given["limit"] = 2
    if "_cursor" in fields:
        given["cursor"] = "null"
    by_get = await api.get(f"/rest/v1/rpc/{name}", **given)
    given.pop("cursor", None)
    by_post = await api.call(name, **given)
    assert by_get.status_code == by_post.status_code == 200
    assert by_get.json() == by_post.json()


@pytest.mark.parametrize("absent", ["null", ""])
async def test_what_a_query_leaves_empty_is_absent_where_no_free_text_is_due(
    api: Api, absent: str
) -> None:
    read = "/rest/v1/rpc/list_mint_batches"
    more = {"status": absent, "product_id": absent, "from": absent, "limit": absent}
    answer = await api.get(read, brand_id=api.world.brand_id, **more)
    assert answer.status_code == 200
    refused = await api.get(read, brand_id=absent)
    assert problems(refused)["_brand_id"].startswith("is missing")
    # A search for nothing finds nothing; one for "null" looks for it.
    found = await api.get(
        "/rest/v1/rpc/search_brand_objects_v1", brand_id=api.world.brand_id, query=absent
    )
    assert found.json()["results"] == []


async def test_head_answers_the_headers_of_get_and_no_body(api: Api) -> None:
    path = f"/rest/v1/rpc/list_mint_batches?_brand_id={api.world.brand_id}"
    by_get = await api.client.get(path, headers=api.headers("owner"))
    by_head = await api.client.head(path, headers=api.headers("owner"))
    assert by_head.status_code == by_get.status_code == 200
    assert by_head.content == b""
    assert by_head.headers["content-length"] == str(len(by_get.content))
    refused = await api.client.head(path, headers=api.headers("stranger"))
    assert (refused.status_code, refused.content) == (403, b"")


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("_limit=2.0", "_limit"),
        ("_limit=true", "_limit"),
        ("_limit=%D9%A2", "_limit"),
        ("_limit=201", "_limit"),
        ("_limit=1&_limit=2", "_limit"),
        ("_status=%00", "_status"),
        ("_from=2026-01-31T12:00:00", "_from"),
        ("_colour=red", "_colour"),
        ("limit=1", "limit"),
    ],
)
async def test_a_bad_query_names_the_argument(api: Api, query: str, named: str) -> None:
    path = f"/rest/v1/rpc/list_mint_batches?_brand_id={api.world.brand_id}&{query}"
    response = await api.client.get(path, headers=api.headers("owner"))
    assert response.status_code == 400
    assert list(problems(response)) == [named]


async def test_a_query_that_is_none_is_refused(api: Api) -> None:
    path = f"/rest/v1/rpc/list_mint_batches?_brand_id={api.world.brand_id}"
    for query in ("&_cursor=%FF", "&a=1" * 60):
        response = await api.client.get(path + query, headers=api.headers("owner"))
        assert response.status_code == 400
    response = await api.client.request("GET", path, headers=api.headers("owner"), content=b"{}")
    assert response.status_code == 400
    # Who is anonymous is not told even that.
    response = await api.client.get(path + "&_cursor=%FF")
    assert response.status_code == 401


async def test_times_are_answered_in_utc_with_microseconds(api: Api) -> None:
    moment = datetime(2026, 1, 31, 12, tzinfo=UTC)
    platform = replace(api.door.platform, pinned_now=moment)
    transport = httpx2.ASGITransport(build_api(replace(api.door, platform=platform)))
    async with httpx2.AsyncClient(transport=transport, base_url="http://mint") as client:
        pinned = replace(api, client=client)
        response = await pinned.call(
            "create_product", brand_id=api.world.brand_id, sku="A", name="A"
        )
    assert response.json()["product"]["created_at"] == "2026-01-31T12:00:00.000000Z"


async def test_a_database_that_is_away_is_503_with_retry_after(
    api: Api, dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = await open_database(dsn, connections=1, statement_timeout_s=5, application="gone")
    await gone.close()
    platform = Platform(gone, api.door.platform.limits)
    transport = httpx2.ASGITransport(build_api(replace(api.door, platform=platform)))
    async with httpx2.AsyncClient(transport=transport, base_url="http://mint") as client:
        away = replace(api, client=client)
        rpc = await away.call("list_mint_batches", brand_id=api.world.brand_id)
        grant = await away.post(
            "/auth/v1/token?grant_type=password",
            "anonymous",
            {"email": "owner@example.com", "password": "x"},
        )
    assert (rpc.status_code, rpc.json()["code"]) == (503, "PGRST002")
    assert int(rpc.headers["retry-after"]) >= 1
    assert (grant.status_code, grant.json()["error_code"]) == (503, "unavailable")
    assert "owner@example.com" not in capsys.readouterr().out


async def test_what_nobody_foresaw_is_500_without_a_word_of_it(
    api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    async with api.door.platform.database.pool.acquire() as connection:
        await connection.execute("alter table product rename column name to title")
    response = await api.call(
        "create_product", brand_id=api.world.brand_id, sku="SECRET-SKU", name="Oak"
    )
    assert response.status_code == 500
    content = response.json()
    assert content["code"] == "XX000"
    assert content["message"] == "Internal error: it has been logged"
    shown = response.text.lower()
    assert not any(word in shown for word in ("product", "title", "column", "traceback", "select"))
    logged = capsys.readouterr().out
    assert response.headers["x-request-id"] in logged
    assert logged.count("UndefinedColumnError") == 1
    assert "SECRET-SKU" not in logged
