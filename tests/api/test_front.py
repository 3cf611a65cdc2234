"""What goes with every answer: request ids, CORS; and paths that do not exist."""

from __future__ import annotations

import re
from uuid import UUID

import pytest

from tests.api.conftest import Api

PATHS = [
    ("POST", "/rest/v1/rpc/list_my_brands"),
    ("GET", "/rest/v1/rpc/list_my_brands"),
    ("POST", "/rest/v1/rpc/nothing"),
    ("POST", "/functions/v1/mint-api-v1"),
    ("POST", "/storage/v1/object/sign/payload-packs/a"),
    ("GET", "/storage/v1/object/payload-packs/a"),
    ("POST", "/auth/v1/token"),
    ("GET", "/auth/v1/user"),
    ("POST", "/auth/v1/logout"),
    ("GET", "/auth/v1/settings"),
    ("GET", "/auth/v1/.well-known/jwks.json"),
    ("GET", "/.well-known/mintage-keys.json"),
    ("GET", "/nothing"),
]


@pytest.mark.parametrize(("method", "path"), PATHS)
async def test_every_answer_has_a_request_id_and_cors(api: Api, method: str, path: str) -> None:
    for caller in ("nobody at all", "owner"):
        headers = api.headers(caller) | {"origin": "https://app.example.com"}
        response = await api.client.request(method, path, headers=headers)
        assert re.fullmatch(r"[0-9a-f]{32}", response.headers["x-request-id"])
        assert response.headers["access-control-allow-origin"] == "*"
        assert "x-request-id" in response.headers["access-control-expose-headers"]
        assert "access-control-allow-credentials" not in response.headers


async def test_two_answers_have_two_request_ids(api: Api) -> None:
    ids = {(await api.client.get("/nothing")).headers["x-request-id"] for _ in range(2)}
    assert len(ids) == 2


@pytest.mark.parametrize(
    "theirs", ["a", "A-b_c.9", "x" * 64, "7d0f3c9e-0d5b-4f3e-8f0a-3a0c7d3f1b2a"]
)
async def test_a_request_id_of_theirs_is_kept(api: Api, theirs: str) -> None:
    response = await api.client.get("/nothing", headers={"x-request-id": theirs})
    assert response.headers["x-request-id"] == theirs


@pytest.mark.parametrize("theirs", ["", "x" * 65, "a b", "a\nb", "a/b", "é", "a,b"])
async def test_a_request_id_of_another_form_is_replaced(api: Api, theirs: str) -> None:
    response = await api.client.get("/nothing", headers={b"x-request-id": theirs.encode()})
    assert UUID(response.headers["x-request-id"]).version == 4


@pytest.mark.parametrize(("method", "path"), PATHS)
async def test_a_preflight_is_allowed_what_it_asks_for(api: Api, method: str, path: str) -> None:
    response = await api.client.options(
        path,
        headers={
            "origin": "https://app.example.com",
            "access-control-request-method": method,
            "access-control-request-headers": "authorization, apikey, x-client-info, x-own",
        },
    )
    assert response.status_code == 204
    assert response.headers["access-control-allow-origin"] == "*"
    assert method in response.headers["access-control-allow-methods"]
    assert (
        response.headers["access-control-allow-headers"]
        == "authorization, apikey, x-client-info, x-own"
    )
    assert response.headers["x-request-id"]


async def test_a_preflight_that_asks_for_no_header_is_told_the_ordinary_ones(api: Api) -> None:
    for asked_for in ("", "a\x7fb"):
        headers = {"access-control-request-headers": asked_for} if asked_for else {}
        response = await api.client.options("/functions/v1/mint-api-v1", headers=headers)
        allowed = response.headers["access-control-allow-headers"]
        assert {"authorization", "apikey", "idempotency-key"} <= set(allowed.split(", "))


@pytest.mark.parametrize(
    ("method", "path", "hint"),
    [
        ("GET", "/rest/v1/products", "rpc"),
        ("POST", "/rest/v1/mint_units", "rpc"),
        ("PATCH", "/rest/v1/", "rpc"),
        ("GET", "/rest/v1/rpc/", "rpc"),
        ("GET", "/realtime/v1/websocket", "realtime"),
        ("POST", "/graphql/v1", "GraphQL"),
        ("GET", "/", "control plane"),
        ("GET", "/../etc/passwd", "control plane"),
    ],
)
async def test_paths_of_supabase_that_do_not_exist_are_404_with_a_hint(
    api: Api, method: str, path: str, hint: str
) -> None:
    response = await api.client.request(method, path, headers=api.headers("owner"))
    assert response.status_code == 404
    content = response.json()
    assert list(content) == ["code", "message", "details", "hint", "errors"]
    assert content["message"].startswith("Not found")
    assert hint in content["hint"]


async def test_a_404_has_the_shape_that_the_client_of_the_path_reads(api: Api) -> None:
    signup = (await api.client.post("/auth/v1/signup", json={})).json()
    assert (signup["code"], signup["error_code"]) == (404, "not_found")
    assert "set_brand_member" in signup["hint"]
    other = (await api.client.post("/functions/v1/hello", json={})).json()
    assert other["ok"] is False
    assert other["error"]["code"] == "NOT_FOUND"
    assert "mint-api-v1" in other["error"]["message"]
    upload = await api.client.post("/storage/v1/object/payload-packs/a.csv", content=b"x")
    listed = await api.client.post("/storage/v1/bucket", json={})
    for response in (upload, listed):
        assert response.status_code == 404
        assert {"statusCode", "error", "message"} <= set(response.json())


async def test_a_trailing_slash_is_no_redirect(api: Api) -> None:
    response = await api.client.get("/auth/v1/settings/")
    assert response.status_code == 404
