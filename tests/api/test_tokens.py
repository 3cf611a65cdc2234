"""Token attacks: whatever is not exactly right is refused, and nobody is told which part it was."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mintage.secrets import Secrets, SessionKey, new_secrets_text, parse_secrets
from mintage.tokens import (
    API_AUDIENCE,
    API_ISSUER,
    KeyToken,
    Session,
    TokenRefused,
    Tokens,
    anon_key,
    now_s,
    service_key,
)

ISSUER = "https://mint.example.com/auth/v1"
USER = UUID("81a2744a-7336-4c23-af09-1dbcb08f3825")
SESSION = UUID("6a991a32-b017-4f24-98a4-ce0c176e9434")


@pytest.fixture
def tokens(secrets: Secrets) -> Tokens:
    return Tokens(secrets, ISSUER, 60)


def session_claims(**changes: object) -> dict[str, Any]:
    claims: dict[str, Any] = {
        "iss": ISSUER,
        "aud": "authenticated",
        "sub": str(USER),
        "iat": now_s(),
        "exp": now_s() + 3600,
        "role": "authenticated",
        "session_id": str(SESSION),
        "email": "owner@example.com",
    }
    claims |= changes
    return {name: value for name, value in claims.items() if value is not ...}


def key_claims(**changes: object) -> dict[str, Any]:
    claims: dict[str, Any] = {
        "iss": API_ISSUER,
        "aud": API_AUDIENCE,
        "role": "service_role",
        "iat": now_s(),
        "exp": now_s() + 3600,
    }
    claims |= changes
    return {name: value for name, value in claims.items() if value is not ...}


def signed_session(tokens: Tokens, claims: Mapping[str, Any], **headers: Any) -> str:
    key = tokens.secrets.session_keys[0]
    return jwt.encode(
        dict(claims), key.private, algorithm="ES256", headers={"kid": key.kid} | headers
    )


def signed_key(tokens: Tokens, claims: Mapping[str, Any], **headers: Any) -> str:
    return jwt.encode(dict(claims), tokens.secrets.api_secret, algorithm="HS256", headers=headers)


def assert_refused(tokens: Tokens, token: str) -> None:
    with pytest.raises(TokenRefused) as raised:
        tokens.verify(token)
    assert str(raised.value) == ""
    assert raised.value.__cause__ is None


def unsigned(
    header: Mapping[str, object], claims: Mapping[str, object], signature: str = ""
) -> str:
    parts = (
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
        for part in (header, claims)
    )
    return ".".join((*parts, signature))


def test_tokens_that_are_right_are_taken(tokens: Tokens) -> None:
    made = tokens.make_session_token(
        user_id=USER,
        session_id=SESSION,
        email="owner@example.com",
        issued_at=now_s(),
        expires_at=now_s() + 3600,
    )
    assert tokens.verify(made) == Session(USER, SESSION)
    assert tokens.verify(signed_session(tokens, session_claims())) == Session(USER, SESSION)
    assert tokens.verify(anon_key(tokens.secrets)) == KeyToken("anon")
    assert tokens.verify(service_key(tokens.secrets)) == KeyToken("service_role")


def test_a_session_token_has_the_documented_claims_and_a_kid_of_the_jwks(tokens: Tokens) -> None:
    made = tokens.make_session_token(
        user_id=USER, session_id=SESSION, email="a@example.com", issued_at=1, expires_at=2
    )
    header = jwt.get_unverified_header(made)
    assert header == {"alg": "ES256", "typ": "JWT", "kid": tokens.jwks()["keys"][0]["kid"]}
    assert jwt.decode(made, options={"verify_signature": False}) == {
        "iss": ISSUER,
        "aud": "authenticated",
        "sub": str(USER),
        "iat": 1,
        "exp": 2,
        "role": "authenticated",
        "session_id": str(SESSION),
        "email": "a@example.com",
    }


def test_the_jwks_verifies_sessions_and_holds_nothing_private(tokens: Tokens) -> None:
    keys = tokens.jwks()["keys"]
    assert len(keys) == len(tokens.secrets.session_keys)
    assert not {"d", "k", "p", "q"} & {name for key in keys for name in key}
    public = jwt.PyJWK(keys[0]).key
    token = signed_session(tokens, session_claims())
    assert jwt.decode(token, public, algorithms=["ES256"], audience="authenticated", issuer=ISSUER)


def test_an_older_session_key_goes_on_verifying_and_the_first_signs(tokens: Tokens) -> None:
    old = signed_session(tokens, session_claims())
    fresh = SessionKey("new", ec.generate_private_key(ec.SECP256R1()))
    rotated = replace(
        tokens, secrets=replace(tokens.secrets, session_keys=(fresh, *tokens.secrets.session_keys))
    )
    assert rotated.verify(old) == Session(USER, SESSION)
    made = rotated.make_session_token(
        user_id=USER, session_id=SESSION, email="", issued_at=now_s(), expires_at=now_s() + 9
    )
    assert jwt.get_unverified_header(made)["kid"] == "new"
    assert_refused(tokens, made)


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": 1},
        {"exp": ...},
        {"exp": None},
        {"exp": "soon"},
        {"exp": float("inf")},
        {"sub": ...},
        {"sub": None},
        {"sub": 7},
        {"sub": "owner"},
        {"iss": ...},
        {"iss": "https://other.example.com/auth/v1"},
        {"iss": API_ISSUER},
        {"aud": ...},
        {"aud": "storage"},
        {"aud": API_AUDIENCE},
        {"aud": ["authenticated"]},
        {"aud": ["authenticated", "storage"]},
        {"role": ...},
        {"role": "service_role"},
        {"role": "anon"},
        {"role": "postgres"},
        {"session_id": ...},
        {"session_id": "1"},
        {"iat": ...},
    ],
    ids=str,
)
def test_a_session_with_a_wrong_claim_is_refused(
    tokens: Tokens, changes: dict[str, object]
) -> None:
    assert_refused(tokens, signed_session(tokens, session_claims(**changes)))


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": 1},
        {"exp": ...},
        {"iss": "supabase"},
        {"iss": ISSUER},
        {"aud": ...},
        {"aud": "authenticated"},
        {"aud": "storage"},
        {"role": ...},
        {"role": "authenticated", "sub": str(USER), "session_id": str(SESSION)},
        {"role": "supabase_admin"},
    ],
    ids=str,
)
def test_a_key_with_a_wrong_claim_is_refused(tokens: Tokens, changes: dict[str, object]) -> None:
    assert_refused(tokens, signed_key(tokens, key_claims(**changes)))


def test_clocks_may_differ_by_a_minute_and_no_more(tokens: Tokens) -> None:
    for taken in ({"exp": now_s() - 30}, {"nbf": now_s() + 30}, {"iat": now_s() + 30}):
        assert tokens.verify(signed_session(tokens, session_claims(**taken)))
        assert tokens.verify(signed_key(tokens, key_claims(**taken)))
    for refused in ({"exp": now_s() - 90}, {"nbf": now_s() + 90}, {"iat": now_s() + 90}):
        assert_refused(tokens, signed_session(tokens, session_claims(**refused)))
        assert_refused(tokens, signed_key(tokens, key_claims(**refused)))


@pytest.mark.parametrize(
    "algorithm", ["none", "None", "NONE", "nOnE", "", "HS384", "RS256", "ES384"]
)
def test_an_unsigned_token_or_another_algorithm_is_refused(tokens: Tokens, algorithm: str) -> None:
    kid = tokens.secrets.session_keys[0].kid
    header = {"alg": algorithm, "typ": "JWT", "kid": kid}
    assert_refused(tokens, unsigned(header, session_claims()))
    assert_refused(tokens, unsigned(header, session_claims(), "AAAA"))
    assert_refused(tokens, unsigned(header, key_claims()))


def test_the_public_key_never_verifies_hs256(tokens: Tokens) -> None:
    # The attack: the public key, which everybody has, as the secret of HMAC (CVE-2015-9235).
    key = tokens.secrets.session_keys[0]
    pem = key.public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    x = str(key.public_jwk()["x"])
    for secret in (pem, pem.strip(), x.encode(), base64.urlsafe_b64decode(x + "=")):
        for claims in (session_claims(), key_claims()):
            for headers in ({"kid": key.kid}, {}):
                assert_refused(tokens, _hmac_signed(claims, secret, headers))


def _hmac_signed(claims: Mapping[str, Any], secret: bytes, headers: Mapping[str, str]) -> str:
    signing_input = unsigned({"alg": "HS256", "typ": "JWT"} | dict(headers), claims).rpartition(
        "."
    )[0]
    digest = hmac.new(secret, signing_input.encode(), hashlib.sha256).digest()
    return signing_input + "." + base64.urlsafe_b64encode(digest).decode().rstrip("=")


def test_the_api_secret_never_makes_a_session(tokens: Tokens) -> None:
    kid = tokens.secrets.session_keys[0].kid
    assert_refused(tokens, signed_key(tokens, session_claims(), kid=kid))
    assert_refused(tokens, signed_key(tokens, session_claims()))


def test_a_session_key_never_makes_the_service(tokens: Tokens) -> None:
    assert_refused(tokens, signed_session(tokens, key_claims()))
    claims = key_claims(aud="authenticated", iss=ISSUER, sub=str(USER), session_id=str(SESSION))
    assert_refused(tokens, signed_session(tokens, claims))


@pytest.mark.parametrize("name", ["jku", "x5u", "jwk", "x5c", "crit"])
def test_headers_that_bring_a_key_or_a_rule_are_refused(tokens: Tokens, name: str) -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    value: object = {"jwk": SessionKey("k", other).public_jwk(), "crit": ["exp"]}.get(
        name, "https://attacker.example.com/keys"
    )
    assert_refused(tokens, signed_session(tokens, session_claims(), **{name: value}))
    forged = jwt.encode(session_claims(), other, algorithm="ES256", headers={name: value})
    assert_refused(tokens, forged)
    assert_refused(tokens, signed_key(tokens, key_claims(), **{name: value}))


@pytest.mark.parametrize("kid", [..., None, "", "unknown", "../../etc/passwd", "' or 1=1", 7])
def test_an_unknown_kid_is_refused(tokens: Tokens, kid: object) -> None:
    key = tokens.secrets.session_keys[0]
    if kid is ... or not isinstance(kid, str):
        header = {"alg": "ES256", "typ": "JWT"} | ({} if kid is ... else {"kid": kid})
        right = signed_session(tokens, session_claims())
        assert_refused(tokens, unsigned(header, session_claims(), right.rpartition(".")[2]))
    else:
        forged = jwt.encode(session_claims(), key.private, algorithm="ES256", headers={"kid": kid})
        assert_refused(tokens, forged)


def test_a_token_of_another_key_is_refused(tokens: Tokens) -> None:
    other = Tokens(parse_secrets(new_secrets_text()), ISSUER, 60)
    kid = tokens.secrets.session_keys[0].kid
    assert_refused(tokens, signed_session(other, session_claims()))
    assert_refused(tokens, signed_session(other, session_claims(), kid=kid))
    assert_refused(tokens, service_key(other.secrets))


def test_tokens_of_another_kind_are_refused(tokens: Tokens) -> None:
    for key in (tokens.secrets.storage_key, tokens.secrets.product_page_key):
        for claims in (session_claims(), key_claims(), key_claims(aud="storage")):
            assert_refused(tokens, jwt.encode(claims, key, algorithm="HS256"))


def test_a_token_with_one_character_changed_is_refused(tokens: Tokens) -> None:
    for right in (signed_session(tokens, session_claims()), service_key(tokens.secrets)):
        for place in range(0, len(right) - 2, 7):
            if right[place] != ".":
                other = "A" if right[place] != "A" else "B"
                assert_refused(tokens, right[:place] + other + right[place + 1 :])


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "0",
        "a.b",
        "a.b.c",
        "é.é.é",
        "\ud800",
        "x" * 9000,
        "eyJhbGciOiJIUzI1NiJ9.e30.",
        base64.urlsafe_b64encode(b"[" * 3000).decode() + ".e30.AA",
    ],
)
def test_what_is_no_token_is_refused(tokens: Tokens, token: str) -> None:
    assert_refused(tokens, token)


def test_the_issuer_is_the_platforms(tokens: Tokens) -> None:
    token = signed_session(tokens, session_claims())
    assert_refused(replace(tokens, issuer="https://other.example.com/auth/v1"), token)
    assert isinstance(tokens.verify(token), Session)
