"""Keys of a foreign issuer: which are taken, how often they are read, how long they hold."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from mintage.api import foreign_keys
from mintage.api.foreign_keys import (
    BODY_BYTES_MAX,
    FRESH_S,
    KEPT_S_MAX,
    KEYS_MAX,
    REFETCH_INTERVAL_S,
    RETRY_INTERVAL_S,
    ForeignKeys,
    JwksRefused,
    KeysAway,
    parse_jwks,
)
from tests.api.jwks_server import JwksServer, ec_jwk, jwks_server, rsa_jwk

RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest_asyncio.fixture
async def server() -> AsyncIterator[JwksServer]:
    async with jwks_server() as found:
        found.serve(rsa_jwk(RSA, "a"), ec_jwk(EC, "b"))
        yield found


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(server: JwksServer, clock: Clock) -> ForeignKeys:
    return ForeignKeys(server.url, clock)


def parsed(*entries: object) -> dict[str, str]:
    """The algorithms of the keys that are taken, by `kid`."""
    found = parse_jwks(json.dumps({"keys": entries}).encode())
    return {kid: key.algorithm for kid, key in found.items()}


def private_jwk(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> dict[str, Any]:
    if isinstance(key, rsa.RSAPrivateKey):
        return RSAAlgorithm.to_jwk(key, as_dict=True)
    return ECAlgorithm.to_jwk(key, as_dict=True)


def test_a_key_has_the_algorithm_of_its_kind() -> None:
    assert parsed(rsa_jwk(RSA, "a"), ec_jwk(EC, "b")) == {"a": "RS256", "b": "ES256"}
    assert parsed(rsa_jwk(RSA, "a", alg="RS256"), ec_jwk(EC, "b", alg="ES256")) == {
        "a": "RS256",
        "b": "ES256",
    }
    bare = rsa_jwk(RSA, "c")
    del bare["use"]
    bare.pop("key_ops", None)
    assert parsed(bare) == {"c": "RS256"}


def test_keys_that_must_not_verify_are_left_out() -> None:
    short = rsa.generate_private_key(65537, 1024)  # noqa: S505 - to be refused
    other_curve = ec.generate_private_key(ec.SECP384R1())
    edwards = OKPAlgorithm.to_jwk(ed25519.Ed25519PrivateKey.generate().public_key(), as_dict=True)
    secret = base64.urlsafe_b64encode(b"s" * 32).decode()
    assert parsed(
        {"kty": "oct", "kid": "secret", "k": secret, "alg": "HS256"},
        private_jwk(RSA) | {"kid": "private"},
        private_jwk(EC) | {"kid": "private too"},
        rsa_jwk(short, "short"),
        ec_jwk(other_curve, "other curve"),
        dict(edwards) | {"kid": "edwards"},
        rsa_jwk(RSA, "encrypts", use="enc"),
        rsa_jwk(RSA, "signs", key_ops=["sign"]),
        rsa_jwk(RSA, "operates", key_ops="verify"),
        rsa_jwk(RSA, "pss", alg="PS256"),
        rsa_jwk(RSA, "mac", alg="HS256"),
        rsa_jwk(RSA, "none", alg="none"),
        ec_jwk(EC, "confused", alg="RS256"),
        rsa_jwk(RSA, "broken", n="!"),
        rsa_jwk(RSA, "empty", n="", e=""),
        ec_jwk(EC, "off the curve", x=secret),
        rsa_jwk(RSA, ""),
        rsa_jwk(RSA, "x" * 300),
        rsa_jwk(RSA, "no text") | {"kid": 7},
        {"kty": "RSA", "kid": "nothing"},
        "nonsense",
        None,
        rsa_jwk(RSA, "right"),
    ) == {"right": "RS256"}


def test_of_two_keys_of_one_name_the_first_is_taken() -> None:
    assert parsed(ec_jwk(EC, "a"), rsa_jwk(RSA, "a")) == {"a": "ES256"}


def test_a_set_is_read_to_a_number_of_keys() -> None:
    many = [ec_jwk(EC, f"key-{number}") for number in range(KEYS_MAX + 1)]
    assert len(parsed(*many)) == KEYS_MAX


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b"{}", b'{"keys": {}}', b"\xff", b"[" * 100_000, b"<html>"]
)
def test_what_is_no_set_of_keys_is_refused(body: bytes) -> None:
    with pytest.raises(JwksRefused):
        parse_jwks(body)


async def test_keys_are_read_once_while_they_are_fresh(
    keys: ForeignKeys, server: JwksServer, clock: Clock
) -> None:
    for _ in range(3):
        assert await keys.key_of("a") is not None
        assert await keys.key_of("b") is not None
    clock.now_s += FRESH_S - 1
    await keys.key_of("a")
    assert len(server.asked) == 1
    clock.now_s += 1
    await keys.key_of("a")
    assert len(server.asked) == 2


async def test_many_callers_at_once_ask_once(keys: ForeignKeys, server: JwksServer) -> None:
    found = await asyncio.gather(*(keys.key_of("a") for _ in range(20)))
    assert None not in found
    assert len(server.asked) == 1


async def test_an_unknown_name_is_asked_for_now_and_then(
    keys: ForeignKeys, server: JwksServer, clock: Clock
) -> None:
    await keys.key_of("a")
    for number in range(50):
        assert await keys.key_of(f"unknown-{number}") is None
    assert len(server.asked) == 1
    clock.now_s += REFETCH_INTERVAL_S
    server.serve(ec_jwk(EC, "new"))
    assert await keys.key_of("new") is not None
    assert await keys.key_of("a") is None
    for number in range(50):
        assert await keys.key_of(f"unknown-{number}") is None
    assert len(server.asked) == 2


async def test_a_key_that_was_taken_back_is_refused_when_the_set_is_read_again(
    keys: ForeignKeys, server: JwksServer, clock: Clock
) -> None:
    await keys.key_of("a")
    server.serve(ec_jwk(EC, "b"))
    clock.now_s += FRESH_S
    assert await keys.key_of("a") is None


async def test_old_keys_hold_for_a_while_when_the_issuer_is_away(
    keys: ForeignKeys, server: JwksServer, clock: Clock
) -> None:
    await keys.key_of("a")
    server.serve_body(b"away", "503 Service Unavailable")
    clock.now_s += KEPT_S_MAX
    for _ in range(5):
        assert await keys.key_of("a") is not None
    assert len(server.asked) == 2
    clock.now_s += RETRY_INTERVAL_S
    with pytest.raises(KeysAway):
        await keys.key_of("a")
    assert len(server.asked) == 3
    clock.now_s += RETRY_INTERVAL_S
    server.serve(rsa_jwk(RSA, "a"))
    assert await keys.key_of("a") is not None


@pytest.mark.parametrize(
    "case",
    [
        "redirect",
        "not found",
        "no set",
        "too large",
        "compressed",
        "created",
        "gibberish",
        "closed",
    ],
)
async def test_what_is_no_plain_answer_is_no_keys(
    keys: ForeignKeys, server: JwksServer, case: str
) -> None:
    right = json.dumps({"keys": [rsa_jwk(RSA, "a")]}).encode()
    match case:
        case "redirect":
            server.serve_body(right, "302 Found", f"location: {server.url}?again")
        case "not found":
            server.serve_body(right, "404 Not Found")
        case "created":
            server.serve_body(right, "201 Created")
        case "no set":
            server.serve_body(b"[]")
        case "too large":
            server.serve_body(right + b" " * BODY_BYTES_MAX)
        case "compressed":
            server.serve_body(right, "200 OK", "content-encoding: gzip")
        case "gibberish":
            server.answer = b"\x00\x01\x02\r\n\r\n"
        case _:
            server.answer = b""
    with pytest.raises(KeysAway):
        await keys.key_of("a")
    assert len(server.asked) == 1
    with pytest.raises(KeysAway):
        await keys.key_of("a")
    assert len(server.asked) == 1, "a redirect is not followed, a failure not repeated at once"


async def test_a_set_of_the_largest_size_is_read(keys: ForeignKeys, server: JwksServer) -> None:
    right = json.dumps({"keys": [rsa_jwk(RSA, "a")]}).encode()
    server.serve_body(right + b" " * (BODY_BYTES_MAX - len(right)))
    assert await keys.key_of("a") is not None


async def test_an_issuer_that_does_not_answer_is_not_waited_for(
    keys: ForeignKeys, server: JwksServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foreign_keys, "FETCH_TIMEOUT_S", 0.1)
    server.answer = None
    with pytest.raises(KeysAway):
        await keys.key_of("a")


async def test_an_issuer_that_answers_byte_by_byte_is_not_waited_for(
    keys: ForeignKeys, server: JwksServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The whole of it has a time, not each byte.
    monkeypatch.setattr(foreign_keys, "FETCH_TIMEOUT_S", 0.1)
    server.answer = b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{"
    with pytest.raises(KeysAway):
        await keys.key_of("a")


async def test_nobody_at_the_address_is_no_keys() -> None:
    async with jwks_server() as gone:
        url = gone.url
    with pytest.raises(KeysAway):
        await ForeignKeys(url).key_of("a")


async def test_no_proxy_of_the_environment_is_asked(
    keys: ForeignKeys, server: JwksServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert await keys.key_of("a") is not None
    (head,) = server.asked
    assert head.startswith("GET /jwks.json HTTP/1.1\r\n")
    assert "authorization" not in head.lower()
