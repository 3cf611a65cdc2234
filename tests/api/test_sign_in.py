"""`/auth/v1`: sign-in, refresh, reuse, sign-out, the user, the public keys; errors in GoTrue's shape."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import httpx2
import jwt
import pytest
import pytest_asyncio
from argon2 import PasswordHasher
from starlette.requests import Request

from mintage.api.door import client_address
from mintage.operations.passwords import hash_password
from tests.api.conftest import Api

PASSWORD = "correct horse battery staple"
SESSION_KEYS = ["access_token", "token_type", "expires_in", "expires_at", "refresh_token", "user"]
USER_KEYS = {
    "id",
    "aud",
    "role",
    "email",
    "email_confirmed_at",
    "app_metadata",
    "user_metadata",
    "identities",
    "created_at",
    "updated_at",
}


@pytest_asyncio.fixture(autouse=True)
async def passwords(api: Api) -> None:
    """The owner and the admin have a password."""
    hashed = await hash_password(PASSWORD)
    await execute(
        api,
        "update app_user set password_hash = $1 where email_key = any ($2)",
        hashed,
        ["owner@example.com", "admin@example.com"],
    )


async def execute(api: Api, statement: str, *values: object) -> None:
    async with api.door.platform.database.pool.acquire() as connection:
        await connection.execute(statement, *values)


async def sign_in(
    api: Api,
    email: str = "owner@example.com",
    password: object = PASSWORD,
    address: str = "1.1.1.1",
) -> httpx2.Response:
    del address
    body = {"email": email, "password": password, "gotrue_meta_security": {}}
    return await api.post("/auth/v1/token?grant_type=password", "anonymous", body)


async def signed_in(api: Api) -> dict[str, Any]:
    response = await sign_in(api)
    assert response.status_code == 200
    content: dict[str, Any] = response.json()
    return content


async def refresh(api: Api, refresh_token: object) -> httpx2.Response:
    body = {"refresh_token": refresh_token}
    return await api.post("/auth/v1/token?grant_type=refresh_token", "anonymous", body)


async def whoami(api: Api, access_token: str) -> httpx2.Response:
    headers = {"authorization": f"Bearer {access_token}"}
    return await api.client.get("/auth/v1/user", headers=headers)


async def sign_out(api: Api, access_token: str, scope: str = "") -> httpx2.Response:
    headers = {"authorization": f"Bearer {access_token}"}
    return await api.client.post("/auth/v1/logout" + scope, headers=headers)


def refusal(response: httpx2.Response) -> tuple[int, str]:
    content = response.json()
    assert content["code"] == response.status_code
    assert content["msg"]
    return response.status_code, content["error_code"]


async def test_signing_in_answers_a_session_as_gotrue_does(api: Api) -> None:
    session = await signed_in(api)
    assert list(session) == SESSION_KEYS
    assert session["token_type"] == "bearer"
    assert session["expires_in"] == 3600
    claims = jwt.decode(session["access_token"], options={"verify_signature": False})
    assert claims["exp"] == session["expires_at"] == claims["iat"] + 3600
    user = session["user"]
    assert set(user) >= USER_KEYS
    assert user["id"] == claims["sub"] == str(api.world.user_ids["owner"])
    assert (user["aud"], user["role"]) == ("authenticated", "authenticated")
    assert user["email"] == claims["email"] == "owner@example.com"
    assert user["app_metadata"] == {"provider": "email", "providers": ["email"]}
    assert [identity["provider"] for identity in user["identities"]] == ["email"]
    assert datetime.fromisoformat(user["email_confirmed_at"]).utcoffset() == timedelta(0)


async def test_the_access_token_calls_rpcs(api: Api) -> None:
    session = await signed_in(api)
    headers = {"authorization": f"Bearer {session['access_token']}"}
    response = await api.post("/rest/v1/rpc/list_my_brands", "nobody at all", {}, headers=headers)
    assert [brand["role"] for brand in response.json()["brands"]] == ["owner"]


async def test_the_address_is_compared_without_case(api: Api) -> None:
    assert (await sign_in(api, "Owner@Example.COM")).status_code == 200


async def test_an_unknown_address_is_answered_as_a_wrong_password_is(api: Api) -> None:
    wrong = await sign_in(api, "owner@example.com", "wrong")
    unknown = await sign_in(api, "who@example.com", "wrong")
    none_set = await sign_in(api, "viewer@example.com", "none")
    assert wrong.content == unknown.content == none_set.content
    assert wrong.json() == {
        "code": 400,
        "error_code": "invalid_credentials",
        "msg": "Invalid login credentials",
    }


async def test_an_unknown_address_costs_the_same_hashing(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[str] = []
    verify = PasswordHasher.verify

    def counted(hasher: PasswordHasher, known: str | bytes, password: str | bytes) -> Any:
        hashed.append(str(known))
        return verify(hasher, known, password)

    monkeypatch.setattr(PasswordHasher, "verify", counted)
    for email in ("owner@example.com", "who@example.com"):
        await sign_in(api, email, "wrong")
    costs = [known.split("$")[1:4] for known in hashed]
    assert len(costs) == 2
    assert costs[0] == costs[1]


async def test_the_sixth_try_of_a_minute_is_too_many(api: Api) -> None:
    for _ in range(5):
        assert refusal(await sign_in(api, password="wrong")) == (400, "invalid_credentials")
    sixth = await sign_in(api)
    assert refusal(sixth) == (429, "over_request_rate_limit")
    assert 1 <= int(sixth.headers["retry-after"]) <= 12
    # Another account is not touched, and neither is an unknown one treated otherwise.
    assert (await sign_in(api, "admin@example.com")).status_code == 200
    for _ in range(5):
        await sign_in(api, "who@example.com", "wrong")
    assert refusal(await sign_in(api, "who@example.com")) == (429, "over_request_rate_limit")


async def test_the_right_password_pays_the_tries_back(api: Api) -> None:
    for _ in range(3):
        for _ in range(4):
            await sign_in(api, password="wrong")
        assert (await sign_in(api)).status_code == 200


async def test_tries_at_once_are_all_counted(api: Api) -> None:
    responses = await asyncio.gather(*(sign_in(api, password="wrong") for _ in range(12)))
    assert sorted(response.status_code for response in responses) == [400] * 5 + [429] * 7


async def test_only_a_configured_proxy_says_where_a_try_comes_from(api: Api) -> None:
    path, body = (
        "/auth/v1/token?grant_type=password",
        {"email": "owner@example.com", "password": "x"},
    )
    for number in range(5):
        headers = {"x-forwarded-for": f"198.51.100.{number}"}
        await api.post(path, "anonymous", body, headers=headers)
    assert (await sign_in(api)).status_code == 429
    proxied = replace(
        api.door, settings=replace(api.door.settings, trusted_proxies=frozenset({"127.0.0.1"}))
    )
    request = _request([("x-forwarded-for", "203.0.113.9, 198.51.100.7")])
    assert client_address(proxied, request) == "198.51.100.7"
    of_network = replace(
        api.door, settings=replace(api.door.settings, trusted_proxies=frozenset({"127.0.0.0/8"}))
    )
    for hop in ("198.51.100.7:40001", "198.51.100.7:40002", "192.0.2.1, 198.51.100.7, 127.0.0.9:1"):
        request = _request([("x-forwarded-for", hop)])
        assert client_address(of_network, request) == "198.51.100.7", (
            "one address, whatever its port"
        )
    assert client_address(api.door, request) == "127.0.0.1"


def _request(headers: list[tuple[str, str]]) -> Request:
    raw = [(name.encode(), value.encode()) for name, value in headers]
    return Request({"type": "http", "headers": raw, "client": ("127.0.0.1", 5000)})


@pytest.mark.parametrize(
    ("body", "error_code"),
    [
        ({}, "validation_failed"),
        ({"email": "owner@example.com"}, "validation_failed"),
        ({"email": 7, "password": "x"}, "validation_failed"),
        ({"email": "owner@example.com", "password": None}, "validation_failed"),
        ({"phone": "+491234", "password": "x"}, "validation_failed"),
        ({"email": "o" * 300, "password": "x"}, "invalid_credentials"),
        ({"email": "owner@example.com", "password": "x" * 257}, "invalid_credentials"),
        (b"no json", "bad_json"),
        (b'{"email":"\\u0000","password":"x"}', "bad_json"),
    ],
)
async def test_a_malformed_grant_is_refused(api: Api, body: object, error_code: str) -> None:
    response = await api.post("/auth/v1/token?grant_type=password", "anonymous", body)
    assert refusal(response) == (400, error_code)


@pytest.mark.parametrize("query", ["", "?grant_type=", "?grant_type=id_token", "?grant_type=pkce"])
async def test_an_unknown_grant_is_refused(api: Api, query: str) -> None:
    response = await api.post("/auth/v1/token" + query, "anonymous", {})
    assert refusal(response) == (400, "unsupported_grant_type")


async def test_errors_above_the_grant_are_gotrues_too(api: Api) -> None:
    path = "/auth/v1/token?grant_type=password"
    assert refusal(await api.client.get(path)) == (405, "method_not_allowed")
    plain = await api.client.post(path, content=b"email=a", headers={"content-type": "text/plain"})
    assert refusal(plain) == (415, "unsupported_media_type")
    large = await api.post(path, "anonymous", b" " * (1024 * 1024 + 1))
    assert refusal(large) == (413, "payload_too_large")


async def test_refreshing_replaces_the_token_and_keeps_the_session(api: Api) -> None:
    first = await signed_in(api)
    response = await refresh(api, first["refresh_token"])
    assert response.status_code == 200
    second = response.json()
    assert list(second) == SESSION_KEYS
    assert second["refresh_token"] != first["refresh_token"]
    assert second["user"]["id"] == first["user"]["id"]
    ids = {
        jwt.decode(each["access_token"], options={"verify_signature": False})["session_id"]
        for each in (first, second)
    }
    assert len(ids) == 1
    assert (await refresh(api, second["refresh_token"])).status_code == 200


async def test_reuse_of_an_old_refresh_token_ends_the_session(api: Api) -> None:
    first = await signed_in(api)
    second = (await refresh(api, first["refresh_token"])).json()
    assert refusal(await refresh(api, first["refresh_token"])) == (
        400,
        "refresh_token_already_used",
    )
    # Whoever has the newer one, thief or owner, is out as well.
    assert refusal(await refresh(api, second["refresh_token"])) == (400, "refresh_token_not_found")
    assert refusal(await whoami(api, second["access_token"])) == (403, "session_not_found")
    # Another session of the same account goes on.
    assert (await sign_in(api)).status_code == 200


async def test_of_two_refreshes_at_once_one_wins_and_the_session_ends(api: Api) -> None:
    session = await signed_in(api)
    responses = await asyncio.gather(*(refresh(api, session["refresh_token"]) for _ in range(2)))
    assert sorted(response.status_code for response in responses) == [200, 400]
    winner = next(response for response in responses if response.status_code == 200)
    assert refusal(await refresh(api, winner.json()["refresh_token"]))[0] == 400


async def test_only_the_hash_of_a_refresh_token_is_kept(api: Api) -> None:
    session = await signed_in(api)
    token = session["refresh_token"]
    async with api.door.platform.database.pool.acquire() as connection:
        row = await connection.fetchrow("select id, refresh_hash from user_session")
    assert row is not None
    assert row["refresh_hash"] == hashlib.sha256(token.encode()).digest()
    assert base64.urlsafe_b64decode(token)[:16] == row["id"].bytes


@pytest.mark.parametrize("token", ["", "x", "a" * 64, "=" * 64, "é" * 64, "A" * 5000])
async def test_a_refresh_token_that_is_none_is_not_found(api: Api, token: str) -> None:
    assert refusal(await refresh(api, token)) == (400, "refresh_token_not_found")


async def test_tokens_of_another_kind_refresh_nothing(api: Api) -> None:
    session = await signed_in(api)
    for token in (session["access_token"], api.token("service"), api.token("anonymous")):
        assert refusal(await refresh(api, token)) == (400, "refresh_token_not_found")
    assert refusal(await refresh(api, None)) == (400, "validation_failed")
    response = await whoami(api, session["refresh_token"])
    assert refusal(response) == (401, "bad_jwt")


async def test_an_expired_session_is_not_refreshed(api: Api) -> None:
    session = await signed_in(api)
    await execute(api, "update user_session set expires_at = clock_timestamp()")
    assert refusal(await refresh(api, session["refresh_token"])) == (400, "session_expired")
    assert refusal(await whoami(api, session["access_token"])) == (403, "session_not_found")


async def test_the_user_is_the_accounts_own(api: Api) -> None:
    session = await signed_in(api)
    response = await whoami(api, session["access_token"])
    assert response.status_code == 200
    assert response.json() == session["user"]


@pytest.mark.parametrize("caller", ["nobody at all", "anonymous", "service"])
@pytest.mark.parametrize(("method", "path"), [("GET", "user"), ("POST", "logout")])
async def test_only_a_session_has_a_user(api: Api, caller: str, method: str, path: str) -> None:
    response = await api.client.request(method, f"/auth/v1/{path}", headers=api.headers(caller))
    assert response.status_code == 401
    assert refusal(response)[0] == 401


async def test_signing_out_ends_all_sessions_unless_told_otherwise(api: Api) -> None:
    here, there = await signed_in(api), await signed_in(api)
    response = await sign_out(api, here["access_token"])
    assert (response.status_code, response.content) == (204, b"")
    for session in (here, there):
        assert (await refresh(api, session["refresh_token"])).status_code == 400
        assert refusal(await whoami(api, session["access_token"])) == (403, "session_not_found")


async def test_signing_out_here_leaves_the_others(api: Api) -> None:
    here, there = await signed_in(api), await signed_in(api)
    assert (await sign_out(api, here["access_token"], "?scope=local")).status_code == 204
    assert (await refresh(api, here["refresh_token"])).status_code == 400
    assert (await refresh(api, there["refresh_token"])).status_code == 200


async def test_signing_out_the_others_leaves_this_one(api: Api) -> None:
    here, there = await signed_in(api), await signed_in(api)
    admin = (await sign_in(api, "admin@example.com")).json()
    assert (await sign_out(api, here["access_token"], "?scope=others")).status_code == 204
    assert (await refresh(api, there["refresh_token"])).status_code == 400
    assert (await refresh(api, here["refresh_token"])).status_code == 200
    assert (await refresh(api, admin["refresh_token"])).status_code == 200


async def test_an_unknown_scope_signs_nobody_out(api: Api) -> None:
    session = await signed_in(api)
    response = await sign_out(api, session["access_token"], "?scope=everybody")
    assert refusal(response) == (400, "validation_failed")
    assert (await refresh(api, session["refresh_token"])).status_code == 200


async def test_signing_out_twice_is_no_error(api: Api) -> None:
    session = await signed_in(api)
    for _ in range(2):
        assert (await sign_out(api, session["access_token"])).status_code == 204


async def test_the_jwks_verifies_what_was_signed(api: Api) -> None:
    session = await signed_in(api)
    response = await api.client.get("/auth/v1/.well-known/jwks.json")
    key = next(
        key
        for key in response.json()["keys"]
        if key["kid"] == jwt.get_unverified_header(session["access_token"])["kid"]
    )
    claims = jwt.decode(
        session["access_token"],
        jwt.PyJWK(key).key,
        algorithms=["ES256"],
        audience="authenticated",
        issuer="https://mint.example.com/auth/v1",
    )
    assert claims["email"] == "owner@example.com"


async def test_settings_say_that_nobody_signs_up(api: Api) -> None:
    settings = (await api.client.get("/auth/v1/settings")).json()
    assert settings["disable_signup"] is True
    assert settings["external"]["email"] is True
