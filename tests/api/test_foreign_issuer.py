"""Tokens of a foreign issuer: who they are of, and every way in which they must not be believed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import httpx2
import jwt
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mintage.api.app import build_api
from mintage.api.door import Door
from mintage.api.foreign import KNOWN_USERS_MAX, ForeignUsers, foreign_users
from mintage.secrets import Secrets, SecretsError
from mintage.settings import ForeignIssuer, Limits, Settings
from mintage.tokens import API_AUDIENCE, API_ISSUER, SESSION_AUDIENCE, now_s
from tests.api.conftest import Api
from tests.api.jwks_server import JwksServer, ec_jwk, jwks_server, rsa_jwk
from tests.support.minting import value
from tests.support.world import World

ISSUER = "https://login.example.com/realms/acme"
AUDIENCE = "mintage"
SECRET = "lGv7cXJxq0mYy2yqZ3wQ5R8tB1nK4uHs"
SUBJECT = "auth0|5f7c8ec7c33c6c004bbafe82"
OWN_ISSUER = "https://mint.example.com/auth/v1"
RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())


@pytest.fixture
def limits(limits: Limits) -> Limits:
    return replace(limits, foreign_issuer=ISSUER)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, foreign_issuer=ForeignIssuer(ISSUER, AUDIENCE, jwt_secret=SECRET))


@pytest.fixture
def door(door: Door, settings: Settings, secrets: Secrets, world: World) -> Door:
    users = foreign_users(settings, secrets, world.platform.database, 60)
    return replace(door, foreign_users=users)


@pytest_asyncio.fixture
async def server() -> AsyncIterator[JwksServer]:
    async with jwks_server() as found:
        found.serve(rsa_jwk(RSA, "a"), ec_jwk(EC, "b"))
        yield found


@pytest_asyncio.fixture
async def keyed(api: Api, secrets: Secrets, server: JwksServer) -> AsyncIterator[Api]:
    """The API whose foreign issuer signs by keys."""
    given = ForeignIssuer(ISSUER, AUDIENCE, jwks_url=server.url)
    settings = replace(api.door.settings, foreign_issuer=given)
    users = foreign_users(settings, secrets, api.world.platform.database, 60)
    door = replace(api.door, settings=settings, foreign_users=users)
    transport = httpx2.ASGITransport(build_api(door))
    async with httpx2.AsyncClient(
        transport=transport, base_url="https://mint.example.com"
    ) as client:
        yield Api(client, door, api.world)


def claims(**changes: object) -> dict[str, Any]:
    found: dict[str, Any] = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": SUBJECT,
        "iat": now_s(),
        "exp": now_s() + 600,
    } | changes
    return {name: each for name, each in found.items() if each is not ...}


def signed(
    _secret: str | bytes = SECRET, _headers: dict[str, Any] | None = None, **changes: object
) -> str:
    return jwt.encode(claims(**changes), _secret, "HS256", _headers)


def by_rsa(_headers: dict[str, Any] | None = None, **changes: object) -> str:
    return jwt.encode(claims(**changes), RSA, "RS256", {"kid": "a"} | (_headers or {}))


def by_ec(_headers: dict[str, Any] | None = None, **changes: object) -> str:
    return jwt.encode(claims(**changes), EC, "ES256", {"kid": "b"} | (_headers or {}))


def hand_made(header: dict[str, object], content: dict[str, object], key: bytes | None) -> str:
    """A token that no library would make; signed by HMAC, or not at all."""
    text = ".".join(
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
        for part in (header, content)
    )
    mac = hmac.digest(key, text.encode(), hashlib.sha256) if key is not None else b""
    return f"{text}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"


async def asked(
    api: Api, token: str, rpc: str = "list_my_brands", **given: object
) -> httpx2.Response:
    body = {f"_{name}": each for name, each in given.items()}
    headers = {"authorization": f"Bearer {token}"}
    return await api.post(f"/rest/v1/rpc/{rpc}", "nobody at all", body, headers=headers)


async def status(api: Api, token: str) -> int:
    return (await asked(api, token)).status_code


async def made_member(api: Api, role: str = "editor", subject: str = SUBJECT) -> UUID:
    made = await api.world.rpc(
        "set_brand_member", email="anna@acme.example", role=role, subject=subject
    )
    user_id: UUID = made["user_id"]
    return user_id


async def test_a_user_who_is_no_member_is_let_in_and_may_do_nothing(api: Api) -> None:
    answer = await asked(api, signed())
    assert (answer.status_code, answer.json()["brands"]) == (200, [])
    brand = str(api.world.brand_id)
    assert (await asked(api, signed(), "list_products", brand_id=brand)).status_code == 403
    unknown = await asked(api, signed(), "list_products", brand_id=str(uuid4()))
    mine = await asked(api, signed(), "list_products", brand_id=brand)
    assert unknown.content == mine.content
    assert await value(api.world, "select count(*) from app_user where issuer is not null") == 0


async def test_a_member_has_the_role_that_he_was_given_from_his_next_call_on(api: Api) -> None:
    brand = str(api.world.brand_id)
    assert (await asked(api, signed(), "list_products", brand_id=brand)).status_code == 403
    user_id = await made_member(api, "editor")
    created = await asked(api, signed(), "create_product", brand_id=brand, sku="A", name="a")
    assert created.status_code == 200
    gates = await asked(
        api,
        signed(),
        "update_product",
        brand_id=brand,
        product_id=created.json()["product"]["id"],
        patch={"mint_readiness_status": "READY"},
    )
    assert gates.status_code == 403
    events = await api.world.rpc("list_mint_events", event_type="settings_changed")
    assert (events["events"][0]["actor_type"], events["events"][0]["actor_id"]) == ("user", user_id)
    await made_member(api, "viewer")
    refused = await asked(api, signed(), "create_product", brand_id=brand, sku="B", name="b")
    assert refused.status_code == 403
    await api.world.rpc("remove_brand_member", user_id=user_id)
    assert (await asked(api, signed(), "list_products", brand_id=brand)).status_code == 403


async def test_claims_of_an_address_make_nobody_somebody(api: Api) -> None:
    brand = str(api.world.brand_id)
    for changes in (
        {"email": "owner@example.com", "email_verified": True},
        {"sub": "owner@example.com"},
        {"sub": str(api.world.user_ids["owner"])},
        {"user_id": str(api.world.user_ids["owner"])},
        {"session_id": str(uuid4()), "role": "authenticated"},
        {"app_metadata": {"role": "owner"}, "scopes": ["mint:write"], "brand_id": brand},
    ):
        answer = await asked(api, signed(**changes), "list_products", brand_id=brand)
        assert answer.status_code == 403, changes
        assert (await asked(api, signed(**changes))).json()["brands"] == []


async def test_a_member_by_address_is_not_the_foreign_user_of_that_address(api: Api) -> None:
    await api.world.rpc("set_brand_member", email="anna@acme.example", role="owner")
    token = signed(email="anna@acme.example", email_verified=True)
    assert (await asked(api, token)).json()["brands"] == []


async def test_another_subject_is_another_user(api: Api) -> None:
    await made_member(api)
    for subject in (SUBJECT.upper(), SUBJECT + " ", SUBJECT[:-1], SUBJECT + "0"):
        assert (await asked(api, signed(sub=subject))).json()["brands"] == []
    assert len((await asked(api, signed())).json()["brands"]) == 1


@pytest.mark.parametrize("role", ["service_role", "anon"])
async def test_no_foreign_token_is_the_service_or_anonymous(api: Api, role: str) -> None:
    await made_member(api, "owner")
    assert await status(api, signed(role=role)) == 401


async def test_a_foreign_secret_signs_none_of_our_own_tokens(api: Api) -> None:
    common = {"iat": now_s(), "exp": now_s() + 600}
    service = {"iss": API_ISSUER, "aud": API_AUDIENCE, "role": "service_role"} | common
    session = {
        "iss": OWN_ISSUER,
        "aud": SESSION_AUDIENCE,
        "sub": str(api.world.user_ids["owner"]),
        "session_id": str(uuid4()),
        "role": "authenticated",
    } | common
    kid = api.door.secrets.session_keys[0].kid
    for content in (service, session, service | {"sub": SUBJECT}, service | {"iss": ISSUER}):
        for headers in (None, {"kid": kid}, {"kid": "client"}):
            assert await status(api, jwt.encode(content, SECRET, "HS256", headers)) == 401


async def test_our_own_secrets_sign_no_foreign_token(api: Api) -> None:
    secrets = api.door.secrets
    for key in (secrets.api_secret, secrets.storage_key, secrets.product_page_key):
        assert await status(api, signed(key)) == 401
    session_key = secrets.session_keys[0]
    token = jwt.encode(claims(), session_key.private, "ES256", {"kid": session_key.kid})
    assert await status(api, token) == 401


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": ISSUER + "/"},
        {"iss": ISSUER.upper()},
        {"iss": [ISSUER]},
        {"iss": ...},
        {"aud": "other"},
        {"aud": "Mintage"},
        {"aud": []},
        {"aud": ["other", "another"]},
        {"aud": {"mintage": 1}},
        {"aud": ...},
        {"exp": ...},
        {"exp": "soon"},
        {"exp": None},
        {"sub": ...},
        {"sub": ""},
        {"sub": 7},
        {"sub": None},
        {"sub": ["x"]},
        {"sub": "x" * 256},
        {"sub": "a\0b"},
        {"sub": "a\nb"},
        {"sub": "\ud800"},
    ],
    ids=str,
)
async def test_a_claim_that_is_not_right_is_refused(api: Api, changes: dict[str, Any]) -> None:
    header: dict[str, object] = {"alg": "HS256", "typ": "JWT"}
    token = hand_made(header, claims(**changes), SECRET.encode())
    assert await status(api, token) == 401


async def test_clocks_may_differ_by_a_minute_and_no_more(api: Api) -> None:
    for changes, expected in (
        ({"exp": now_s() - 50}, 200),
        ({"exp": now_s() - 61}, 401),
        ({"nbf": now_s() + 50}, 200),
        ({"nbf": now_s() + 70}, 401),
        ({"iat": now_s() + 50}, 200),
        ({"iat": now_s() + 70}, 401),
        ({"iat": ...}, 200),
    ):
        assert await status(api, signed(**changes)) == expected, changes


async def test_one_of_several_audiences_may_be_ours(api: Api) -> None:
    assert await status(api, signed(aud=["https://userinfo.example.com", AUDIENCE])) == 200


@pytest.mark.parametrize(
    "header",
    [
        {"jku": "https://evil.example/jwks.json"},
        {"x5u": "https://evil.example/cert.pem"},
        {"jwk": {"kty": "oct", "k": "AAAA"}},
        {"x5c": ["MIIB"]},
        {"crit": ["exp"], "exp": 1},
        {"b64": False, "crit": ["b64"]},
        {"cty": "JWT"},
        {"zip": "DEF"},
        {"typ": "logout+jwt"},
        {"typ": "dpop+jwt"},
        {"typ": "JWE"},
        {"kid": 7},
    ],
    ids=str,
)
async def test_a_header_with_more_in_it_is_refused(api: Api, header: dict[str, Any]) -> None:
    token = hand_made({"alg": "HS256", "typ": "JWT"} | header, claims(), SECRET.encode())
    assert await status(api, token) == 401


@pytest.mark.parametrize("header", [{"typ": "at+jwt"}, {"typ": "jwt"}, {"kid": "x", "x5t": "y"}])
async def test_a_header_as_issuers_have_it_is_taken(api: Api, header: dict[str, Any]) -> None:
    assert await status(api, signed(SECRET, header)) == 200


async def test_the_algorithm_is_the_configured_one(api: Api) -> None:
    for algorithm in ("HS384", "HS512"):
        assert await status(api, jwt.encode(claims(), SECRET * 2, algorithm)) == 401
    for name in ("none", "None", "NONE", "nOnE", "", "hs256", "RS256", None):
        for key in (None, SECRET.encode(), b""):
            assert await status(api, hand_made({"alg": name, "typ": "JWT"}, claims(), key)) == 401
    assert await status(api, by_rsa()) == 401
    assert await status(api, by_ec()) == 401


async def test_a_token_that_was_changed_is_refused(api: Api) -> None:
    header, content, mac = signed().split(".")
    other = signed(sub="other").split(".")[1]
    for token in (
        f"{header}.{other}.{mac}",
        f"{header}.{content}.",
        f"{header}.{content}",
        f"{header}.{content}.{mac}.{mac}",
        f"{header}.{content}.{mac[::-1]}",
        f"{header}..{mac}",
        f".{content}.{mac}",
        signed("another secret of 32 bytes, yes."),
        "x" * 9000,
        signed(padding="x" * 9000),
        "...",
    ):
        assert await status(api, token) == 401, token[:60]
    deep = "[" * 2000 + "]" * 2000
    text = base64.urlsafe_b64encode(deep.encode()).decode().rstrip("=")
    assert await status(api, f"{header}.{text}.{mac}") == 401


async def test_sessions_of_the_issuer_are_its_own(api: Api) -> None:
    await made_member(api)
    headers = {"authorization": f"Bearer {signed()}"}
    assert (await api.client.get("/auth/v1/user", headers=headers)).status_code == 401
    assert (await api.client.post("/auth/v1/logout", headers=headers)).status_code == 401


async def test_every_door_knows_a_foreign_member(api: Api) -> None:
    await made_member(api, "viewer")
    headers = {"authorization": f"Bearer {signed()}"}
    body = {"brand_id": str(api.world.brand_id)}
    minted = await api.post("/functions/v1/mint-api-v1", "nobody at all", body, headers=headers)
    assert minted.status_code == 403
    path = f"/storage/v1/object/payload-packs/{api.world.brand_id}/{uuid4()}/0001-1.csv"
    assert (await api.client.get(path, headers=headers)).json()["message"] == "Object not found"


async def test_without_a_foreign_issuer_its_tokens_are_nobodys(api: Api) -> None:
    door = replace(api.door, foreign_users=None)
    transport = httpx2.ASGITransport(build_api(door))
    async with httpx2.AsyncClient(transport=transport, base_url="https://x.example") as client:
        assert await status(replace(api, client=client), signed()) == 401
    assert await status(api, signed()) == 200


async def test_a_secret_that_others_know_or_ours_stops_the_start(
    settings: Settings, secrets: Secrets, world: World
) -> None:
    for secret in (
        "short",
        "a" * 40,
        "super-secret-jwt-token-with-at-least-32-characters-long",
        secrets.api_secret.decode(),
        secrets.storage_key.decode(),
    ):
        given = ForeignIssuer(ISSUER, AUDIENCE, jwt_secret=secret)
        with pytest.raises(SecretsError) as raised:
            foreign_users(
                replace(settings, foreign_issuer=given), secrets, world.platform.database, 60
            )
        assert secret not in str(raised.value)
        assert secret not in repr(given)
    assert (
        foreign_users(replace(settings, foreign_issuer=None), secrets, world.platform.database, 60)
        is None
    )


async def test_users_who_were_found_are_remembered_to_a_number(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = api.door.foreign_users
    assert isinstance(users, ForeignUsers)
    await made_member(api)
    assert await status(api, signed()) == 200
    assert list(users._known) == [SUBJECT]
    users._known.update({f"user-{number}": uuid4() for number in range(KNOWN_USERS_MAX - 1)})
    await made_member(api, subject="one more")
    assert len((await asked(api, signed(sub="one more"))).json()["brands"]) == 1
    assert len(users._known) == KNOWN_USERS_MAX
    assert SUBJECT not in users._known


async def test_keys_verify_what_they_sign(keyed: Api) -> None:
    await made_member(keyed)
    for token in (by_rsa(), by_ec()):
        assert len((await asked(keyed, token)).json()["brands"]) == 1


async def test_a_public_key_verifies_no_hmac(keyed: Api) -> None:
    for key in (RSA, EC):
        public = key.public_key()
        pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        for secret in (pem, pem.strip(), der, SECRET.encode()):
            for kid in ("a", "b"):
                header: dict[str, object] = {"alg": "HS256", "typ": "JWT", "kid": kid}
                assert await status(keyed, hand_made(header, claims(), secret)) == 401


async def test_a_key_verifies_its_own_algorithm_alone(keyed: Api) -> None:
    assert await status(keyed, jwt.encode(claims(), RSA, "RS256", {"kid": "b"})) == 401
    assert await status(keyed, jwt.encode(claims(), EC, "ES256", {"kid": "a"})) == 401
    for algorithm in ("RS384", "RS512", "PS256"):
        assert await status(keyed, jwt.encode(claims(), RSA, algorithm, {"kid": "a"})) == 401
    assert await status(keyed, jwt.encode(claims(), RSA, "RS256")) == 401
    for name in ("none", "None"):
        header: dict[str, object] = {"alg": name, "typ": "JWT", "kid": "a"}
        assert await status(keyed, hand_made(header, claims(), None)) == 401


async def test_another_key_of_the_same_name_is_refused(keyed: Api) -> None:
    other = rsa.generate_private_key(65537, 2048)
    assert await status(keyed, jwt.encode(claims(), other, "RS256", {"kid": "a"})) == 401


async def test_a_header_that_brings_its_own_keys_is_not_followed(
    keyed: Api, server: JwksServer
) -> None:
    other = rsa.generate_private_key(65537, 2048)
    own = {
        "jku": server.url + "?theirs",
        "x5u": server.url + "?theirs",
        "jwk": rsa_jwk(other, "a"),
    }
    for name, told in own.items():
        token = jwt.encode(claims(), other, "RS256", {"kid": "a", name: told})
        assert await status(keyed, token) == 401
    assert all("theirs" not in head for head in server.asked)


async def test_keys_are_fetched_for_tokens_of_the_issuer_alone(
    keyed: Api, server: JwksServer
) -> None:
    for token in (
        by_rsa(iss="https://evil.example"),
        by_rsa(iss=...),
        signed(),
        jwt.encode(claims(), RSA, "RS256"),
        hand_made({"alg": "RS256", "kid": "a", "jku": "x"}, claims(), b""),
        "x.y.z",
    ):
        assert await status(keyed, token) == 401
    assert server.asked == []
    assert await status(keyed, by_rsa()) == 200
    assert len(server.asked) == 1


async def test_a_new_key_of_the_issuer_is_found(keyed: Api, server: JwksServer) -> None:
    assert await status(keyed, by_rsa()) == 200
    new = ec.generate_private_key(ec.SECP256R1())
    server.serve(ec_jwk(new, "new"))
    token = jwt.encode(claims(), new, "ES256", {"kid": "new"})
    assert await status(keyed, token) == 401
    users = keyed.door.foreign_users
    assert users is not None
    assert users.keys is not None
    users.keys._next_read_at = 0.0
    assert await status(keyed, token) == 200
    assert await status(keyed, by_rsa()) == 401


async def test_while_there_are_no_keys_good_tokens_are_not_thrown_away(
    keyed: Api, server: JwksServer
) -> None:
    server.serve_body(b"", "500 Internal Server Error")
    answer = await asked(keyed, by_rsa())
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert answer.json()["code"] == "PGRST002"
    assert "database" not in answer.text
    # Our own callers do not notice.
    assert (
        await keyed.call("list_products", "owner", brand_id=str(keyed.world.brand_id))
    ).status_code == 200
    assert await status(keyed, "x.y.z") == 401
