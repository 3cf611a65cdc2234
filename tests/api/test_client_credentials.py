"""`grant_type=client_credentials`: a key for a token, what the token may, and when it ends (RFC 6749)."""

from __future__ import annotations

import asyncio
import base64
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

import httpx2
import jwt
import pytest

from mintage.rpcs import RPCS
from mintage.rules.roles import SCOPE_OF_ACTION, SCOPES, Scope
from mintage.storage import BUCKET
from mintage.tokens import CLIENT_AUDIENCE, CLIENT_KID, ClientToken, now_s, service_key
from tests.api.conftest import Api
from tests.packs.desk import Desk
from tests.support.catalogue import new_key
from tests.support.minting import execute, value

TOKEN = "/auth/v1/token"
FORM = {"content-type": "application/x-www-form-urlencoded"}
GRANT = {"grant_type": "client_credentials"}


async def form(api: Api, *pairs: dict[str, str], **headers: str) -> httpx2.Response:
    content = urlencode([pair for each in pairs for pair in each.items()]).encode()
    return await api.client.post(TOKEN, content=content, headers=FORM | headers)


def shown(key: dict[str, Any], **changes: str) -> dict[str, str]:
    names = ("client_id", "client_secret")
    return {name: key[name] for name in names} | changes


async def exchange(api: Api, key: dict[str, Any], **more: str) -> httpx2.Response:
    return await form(api, GRANT, shown(key), more)


async def token_of(api: Api, key: dict[str, Any], **more: str) -> dict[str, str]:
    """The headers of a caller with a key's token."""
    answer = await exchange(api, key, **more)
    assert answer.status_code == 200, answer.text
    return {"authorization": f"Bearer {answer.json()['access_token']}"}


async def called(api: Api, rpc: str, headers: dict[str, str], **given: object) -> int:
    body = {"_brand_id": str(api.world.brand_id)} | {
        f"_{name}": each for name, each in given.items()
    }
    response = await api.post(f"/rest/v1/rpc/{rpc}", "nobody at all", body, headers=headers)
    return response.status_code


def refusal(response: httpx2.Response) -> tuple[int, str]:
    content = response.json()
    assert content["code"] == response.status_code
    assert content["error"] == content["error_code"]
    assert content["error_description"] == content["msg"] != ""
    assert response.headers["cache-control"] == "no-store"
    return response.status_code, content["error"]


async def test_a_key_is_exchanged_for_a_token_of_fifteen_minutes(api: Api) -> None:
    key = await new_key(api.world, "mint:read", "exports:read")
    answer = await exchange(api, key)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    content = answer.json()
    assert {name: content[name] for name in content if name != "access_token"} == {
        "token_type": "bearer",
        "expires_in": 900,
        "scope": "mint:read exports:read",
    }
    header = jwt.get_unverified_header(content["access_token"])
    claims = jwt.decode(content["access_token"], options={"verify_signature": False})
    assert header.pop("kid").partition(".")[0] == CLIENT_KID
    assert header == {"alg": "HS256", "typ": "JWT"}
    assert claims.pop("exp") == claims.pop("iat") + 900
    assert claims == {
        "iss": "https://mint.example.com/auth/v1",
        "aud": CLIENT_AUDIENCE,
        "sub": str(key["id"]),
        "api_key_id": str(key["id"]),
        "brand_id": str(api.world.brand_id),
        "scopes": ["exports:read", "mint:read"],
    }


async def test_the_token_works_in_its_brand_and_in_no_other(api: Api) -> None:
    headers = await token_of(api, await new_key(api.world))
    assert await called(api, "list_products", headers) == 200
    for brand_id in (api.world.other_brand_id, uuid4()):
        assert await called(api, "list_products", headers, brand_id=str(brand_id)) == 403
    mine = await api.client.get("/rest/v1/rpc/list_my_brands", headers=headers)
    assert [(brand["slug"], brand["role"]) for brand in mine.json()["brands"]] == [("acme", None)]


@pytest.mark.parametrize("scope", SCOPES)
async def test_a_scope_opens_its_rpcs_and_no_other(api: Api, scope: Scope) -> None:
    headers = await token_of(api, await new_key(api.world, scope))
    for name, rpc in RPCS.items():
        if rpc.audience == "caller":
            continue
        # Other arguments are looked at only once the caller is let in.
        status = await called(api, name, headers, nonsense=1)
        is_open = rpc.audience == "brand" and SCOPE_OF_ACTION.get(rpc.action) == scope
        assert status == (400 if is_open else 403), name


@pytest.mark.parametrize("scope", SCOPES)
async def test_a_scope_opens_its_other_doors_and_no_other(api: Api, scope: Scope) -> None:
    headers = await token_of(api, await new_key(api.world, scope))
    body = {"brand_id": str(api.world.brand_id), "nonsense": 1}
    minted = await api.post("/functions/v1/mint-api-v1", "nobody at all", body, headers=headers)
    assert minted.status_code == (400 if scope == "mint:write" else 403)
    desk = Desk(api.world, api.door.store, api.door.settings.data_dir / BUCKET)
    (pack,) = await desk.exported(5)
    path = f"{BUCKET}/{pack['storage_path']}"
    signed = await api.post(
        f"/storage/v1/object/sign/{path}", "nobody at all", {"expiresIn": 60}, headers=headers
    )
    got = await api.client.get(f"/storage/v1/object/authenticated/{path}", headers=headers)
    is_open = scope == "exports:read"
    assert (signed.status_code == 200, got.status_code == 200) == (is_open, is_open)


async def test_a_key_mints_and_reads_what_it_minted(api: Api) -> None:
    product_id = await api.world.product()
    headers = await token_of(api, await new_key(api.world, "mint:write", "mint:read"))
    body = {
        "brand_id": str(api.world.brand_id),
        "product_id": str(product_id),
        "requested_quantity": 5,
        "identity_mode": "serial",
        "activation_mode": "first_scan",
    }
    minted = await api.post("/functions/v1/mint-api-v1", "nobody at all", body, headers=headers)
    assert (minted.status_code, minted.json()["processed_count"]) == (200, 5)
    events = await api.world.rpc("list_mint_events", event_type="mint_requested")
    (requested,) = events["events"]
    assert (requested["actor_type"], requested["actor_id"]) == (
        "api_key",
        UUID(jwt.decode(headers["authorization"][7:], options={"verify_signature": False})["sub"]),
    )


@pytest.mark.parametrize("how", ["form", "json", "basic", "query", "basic with id"])
async def test_a_key_is_shown_in_each_way_there_is(api: Api, how: str) -> None:
    key = await new_key(api.world)
    pair = f"{key['client_id']}:{key['client_secret']}".encode()
    basic = {"authorization": f"Basic {base64.b64encode(pair).decode()}"}
    match how:
        case "form":
            answer = await form(api, GRANT, shown(key))
        case "json":
            answer = await api.post(TOKEN, "anonymous", GRANT | shown(key))
        case "basic":
            answer = await form(api, GRANT, **basic)
        case "basic with id":
            answer = await form(api, GRANT, {"client_id": key["client_id"]}, **basic)
        case _:
            answer = await api.post(
                f"{TOKEN}?grant_type=client_credentials", "nobody at all", shown(key)
            )
    assert answer.status_code == 200, answer.text


async def test_whatever_is_not_exactly_right_is_one_answer(api: Api) -> None:
    key, other = await new_key(api.world), await new_key(api.world)
    revoked, expired, rotated = [await new_key(api.world) for _ in range(3)]
    await api.world.rpc("revoke_api_key", api_key_id=revoked["id"])
    await api.world.rpc("rotate_api_key", api_key_id=rotated["id"])
    past = datetime.now(UTC) - timedelta(seconds=1)
    await execute(
        api.world, "update api_key set expires_at = $2 where id = $1", expired["id"], past
    )
    # Five wrong tries of one key would close it.
    again, third = await new_key(api.world), await new_key(api.world)
    wrong = [
        shown(key, client_secret=other["client_secret"]),
        shown(key, client_secret=key["client_secret"][:-1]),
        shown(key, client_secret=key["client_secret"] + "x"),
        shown(key, client_secret=key["client_secret"].swapcase()),
        shown(again, client_secret=""),
        shown(again, client_secret="ä" * 51),
        shown(key, client_id="mk_live_" + "0" * 24),
        shown(key, client_id=third["client_id"].upper()),
        shown(key, client_id=str(key["id"])),
        shown(key, client_id=""),
        shown(key, client_id="' or 1 = 1 --"),
        shown(key, client_id="x" * 10_000),
        shown(revoked),
        shown(expired),
        shown(rotated),
    ]
    answers = [await form(api, GRANT, each) for each in wrong]
    assert {refusal(answer) for answer in answers} == {(401, "invalid_client")}
    assert len({answer.content for answer in answers}) == 1
    assert {answer.headers["www-authenticate"] for answer in answers} == {'Basic realm="mintage"'}
    assert (await exchange(api, other)).status_code == 200


@pytest.mark.parametrize(
    "header",
    ["Basic", "Basic !", "Basic " + base64.b64encode(b"nothing").decode(), "Basic w7w6w7w="],
)
async def test_a_basic_header_that_cannot_be_read_is_no_key(api: Api, header: str) -> None:
    assert refusal(await form(api, GRANT, authorization=header)) == (401, "invalid_client")


async def test_a_key_is_shown_once_and_whole(api: Api) -> None:
    key = await new_key(api.world)
    pair = f"{key['client_id']}:{key['client_secret']}".encode()
    basic = {"authorization": f"Basic {base64.b64encode(pair).decode()}"}
    bad = [
        await form(api, GRANT),
        await form(api, GRANT, {"client_id": key["client_id"]}),
        await form(api, GRANT, {"client_secret": key["client_secret"]}),
        await form(api, GRANT, shown(key), **basic),
        await form(api, GRANT, {"client_id": "mk_live_other"}, **basic),
        await api.post(TOKEN, "nobody at all", GRANT | {"client_id": 5, "client_secret": None}),
    ]
    assert {refusal(answer) for answer in bad} == {(400, "invalid_request")}


@pytest.mark.parametrize(
    "body",
    [
        b"grant_type=client_credentials&grant_type=client_credentials",
        b"grant_type=client_credentials&client_id=%00",
        b"grant_type=client_credentials&client_id=%ff",
        b"grant_type=client_credentials&client_id=\xff",
        "&".join(f"a{number}=1" for number in range(30)).encode(),
    ],
)
async def test_a_form_that_cannot_be_read_is_refused(api: Api, body: bytes) -> None:
    answer = await api.client.post(TOKEN, content=body, headers=FORM)
    assert answer.status_code == 400
    assert answer.json()["error_code"] == "bad_json"


async def test_a_form_is_taken_as_it_is_alone(api: Api) -> None:
    key = await new_key(api.world)
    content = urlencode(GRANT | shown(key)).encode()
    for headers, status in (
        (FORM | {"content-encoding": "gzip"}, 415),
        ({"content-type": FORM["content-type"] + "; charset=latin-1"}, 415),
        ({"content-type": "text/plain"}, 415),
        ({"content-type": FORM["content-type"] + "; charset=UTF-8"}, 200),
    ):
        answer = await api.client.post(TOKEN, content=content, headers=headers)
        assert answer.status_code == status, headers
    assert (await api.client.get(TOKEN, params=GRANT)).status_code == 405


async def test_other_grants_are_unknown(api: Api) -> None:
    for grant in ("", "authorization_code", "CLIENT_CREDENTIALS"):
        answer = await form(api, {"grant_type": grant})
        assert (answer.status_code, answer.json()["error_code"]) == (400, "unsupported_grant_type")


async def test_five_wrong_tries_close_a_key_for_an_address_for_a_while(api: Api) -> None:
    key, other = await new_key(api.world), await new_key(api.world)
    wrong = shown(key, client_secret="ms_live_" + "A" * 43)
    for _ in range(5):
        assert (await form(api, GRANT, wrong)).status_code == 401
    for credentials in (wrong, shown(key)):
        answer = await form(api, GRANT, credentials)
        assert (answer.status_code, answer.json()["error_code"]) == (429, "over_request_rate_limit")
        assert 1 <= int(answer.headers["retry-after"]) <= 12
    assert (await exchange(api, other)).status_code == 200


async def test_unknown_client_ids_are_counted_like_known_ones(api: Api) -> None:
    unknown = {"client_id": "mk_live_" + "0" * 24, "client_secret": "ms_live_" + "A" * 43}
    statuses = [(await form(api, GRANT, unknown)).status_code for _ in range(6)]
    assert statuses == [401] * 5 + [429]


async def test_the_right_secret_forgives_the_wrong_ones_before(api: Api) -> None:
    key = await new_key(api.world)
    wrong = shown(key, client_secret="x")
    for _ in range(3):
        for _ in range(4):
            assert (await form(api, GRANT, wrong)).status_code == 401
        assert (await exchange(api, key)).status_code == 200


async def test_many_programs_start_with_one_key_at_once(api: Api) -> None:
    key = await new_key(api.world)
    answers = await asyncio.gather(*(exchange(api, key) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}


async def test_an_exchange_stamps_the_key_and_a_wrong_one_does_not(api: Api) -> None:
    key = await new_key(api.world)
    await form(api, GRANT, shown(key, client_secret="ms_live_" + "A" * 43))
    assert await value(api.world, "select last_used_at from api_key") is None
    await exchange(api, key)
    (listed,) = (await api.world.rpc("list_api_keys"))["api_keys"]
    assert listed["last_used_at"] > listed["created_at"]


async def test_a_revoked_key_takes_its_tokens_with_it(api: Api) -> None:
    key = await new_key(api.world)
    headers = await token_of(api, key)
    assert await called(api, "list_products", headers) == 200
    await api.world.rpc("revoke_api_key", api_key_id=key["id"])
    assert await called(api, "list_products", headers) == 403


async def test_an_expired_key_takes_its_tokens_with_it(api: Api) -> None:
    key = await new_key(api.world, expires_at="2099-01-31T12:00:00Z")
    headers = await token_of(api, key)
    await execute(api.world, "update api_key set expires_at = now() - interval '1 second'")
    assert await called(api, "list_products", headers) == 403


async def test_a_key_that_loses_a_scope_takes_it_from_its_tokens(api: Api) -> None:
    headers = await token_of(api, await new_key(api.world, "mint:read", "products:write"))
    await execute(api.world, "update api_key set scopes = '{mint:read}'")
    assert await called(api, "list_products", headers) == 200
    assert await called(api, "create_product", headers, sku="A", name="a") == 403
    await execute(api.world, "update api_key set scopes = '{mint:read,products:write,mint:write}'")
    assert await called(api, "submit_mint_request", headers) == 403


async def test_a_rotated_key_has_one_secret_and_its_tokens_last(api: Api) -> None:
    key = await new_key(api.world)
    headers = await token_of(api, key)
    rotated = await api.world.rpc("rotate_api_key", api_key_id=key["id"])
    assert (await exchange(api, key)).status_code == 401
    assert (await exchange(api, rotated)).status_code == 200
    assert await called(api, "list_products", headers) == 200


async def test_a_token_says_no_more_than_its_key_holds(api: Api) -> None:
    end = datetime.now(UTC) + timedelta(seconds=100)
    key = await new_key(api.world, expires_at=end.isoformat())
    assert 90 <= (await exchange(api, key)).json()["expires_in"] <= 100


async def test_fewer_scopes_may_be_asked_for_and_no_others(api: Api) -> None:
    key = await new_key(api.world, "mint:read", "products:write")
    answer = await exchange(api, key, scope="mint:read")
    assert answer.json()["scope"] == "mint:read"
    headers = {"authorization": f"Bearer {answer.json()['access_token']}"}
    assert await called(api, "list_products", headers) == 200
    assert await called(api, "create_product", headers, sku="A", name="a") == 403
    for asked in ("mint:write", "mint:read mint:write", "admin", " ", "mint:read  products:write"):
        assert refusal(await exchange(api, key, scope=asked)) == (400, "invalid_scope")
    json_scope = await api.post(TOKEN, "nobody at all", GRANT | shown(key) | {"scope": 5})
    assert refusal(json_scope) == (400, "invalid_scope")
    assert (await exchange(api, key, scope="")).json()["scope"] == "mint:read products:write"


async def test_the_token_of_a_key_is_no_session(api: Api) -> None:
    headers = await token_of(api, await new_key(api.world, *SCOPES))
    assert (await api.client.get("/auth/v1/user", headers=headers)).status_code == 401
    assert (await api.client.post("/auth/v1/logout", headers=headers)).status_code == 401


def client_claims(api: Api, key_id: UUID, **changes: object) -> dict[str, Any]:
    return {
        "iss": "https://mint.example.com/auth/v1",
        "aud": CLIENT_AUDIENCE,
        "sub": str(key_id),
        "iat": now_s(),
        "exp": now_s() + 900,
        "api_key_id": str(key_id),
        "brand_id": str(api.world.brand_id),
        "scopes": list(SCOPES),
    } | changes


async def test_tokens_of_one_kind_are_not_taken_as_another(api: Api) -> None:
    key_id = (await new_key(api.world, *SCOPES))["id"]
    secrets, claims = api.door.secrets, client_claims(api, key_id)
    made = api.door.tokens.make_client_token(
        ClientToken(key_id, api.world.brand_id, frozenset(SCOPES)),
        issued_at=now_s(),
        expires_at=now_s() + 900,
    )
    session_key = secrets.session_keys[0]
    forged = [
        # The keys of other kinds, with the header of each.
        jwt.encode(claims, secrets.api_secret, "HS256", {"kid": CLIENT_KID}),
        jwt.encode(claims, secrets.api_secret, "HS256"),
        jwt.encode(claims, secrets.storage_key, "HS256", {"kid": CLIENT_KID}),
        jwt.encode(claims, secrets.product_page_key, "HS256", {"kid": CLIENT_KID}),
        jwt.encode(claims, session_key.private, "ES256", {"kid": session_key.kid}),
        jwt.encode(claims, session_key.private, "ES256", {"kid": CLIENT_KID}),
        # The right signature under a header that is not.
        made.replace(made.split(".")[0], jwt.encode({}, "x" * 32, "HS256").split(".")[0]),
        # A service key that names the other key.
        jwt.encode(
            jwt.decode(service_key(secrets), options={"verify_signature": False}),
            secrets.api_secret,
            "HS256",
            {"kid": CLIENT_KID},
        ),
    ]
    assert await called(api, "list_products", {"authorization": f"Bearer {made}"}) == 200
    for token in forged:
        assert await called(api, "list_products", {"authorization": f"Bearer {token}"}) == 401


async def test_a_client_token_that_is_not_exactly_right_is_refused(api: Api) -> None:
    from mintage.tokens import _client_keys

    key_id = (await new_key(api.world))["id"]
    (key,) = _client_keys(api.door.secrets)
    right = jwt.encode(client_claims(api, key_id), key, "HS256", {"kid": CLIENT_KID})
    assert await called(api, "list_products", {"authorization": f"Bearer {right}"}) == 200
    for changes in (
        {"aud": "authenticated"},
        {"aud": [CLIENT_AUDIENCE]},
        {"iss": "https://mint.example.com"},
        {"exp": now_s() - 61},
        {"iat": now_s() + 120},
        {"nbf": now_s() + 120},
        {"api_key_id": "x"},
        {"brand_id": None},
        {"scopes": None},
    ):
        claims = client_claims(api, key_id, **changes)
        token = jwt.encode(claims, key, "HS256", {"kid": CLIENT_KID})
        assert await called(api, "list_products", {"authorization": f"Bearer {token}"}) == 401


async def test_a_password_is_taken_from_a_form_too(api: Api) -> None:
    body = {"email": "owner@example.com", "password": "wrong"}
    answer = await form(api, {"grant_type": "password"}, body)
    assert answer.json()["error_code"] == "invalid_credentials"
