"""The public keys of a foreign issuer: fetched, kept for a while, fetched again for a new `kid` (RFC 7517).

The URL is the operator's. No redirect is followed, no proxy of the environment used, no answer longer than
1 MiB read. Not here: what a token of the issuer must say (`foreign`).
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

import httpx2
import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from mintage.telemetry import logger

FETCH_TIMEOUT_S: Final = 5.0
BODY_BYTES_MAX: Final = 1024 * 1024
KEYS_MAX: Final = 100
FRESH_S: Final = 600.0
KEPT_S_MAX: Final = 3600.0
REFETCH_INTERVAL_S: Final = 30.0
RETRY_INTERVAL_S: Final = 5.0
RSA_BITS_MIN: Final = 2048
_KID_CHARACTERS_MAX: Final = 256
_HTTP_OK: Final = 200
_HEADERS: Final = {"accept": "application/json", "accept-encoding": "identity"}
_log = logger("api")


class KeysAway(Exception):
    """There are no keys now: they could not be read, or not for an hour."""


class JwksRefused(ValueError):
    """What the URL answered is no set of keys."""


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A public key and the one algorithm that it verifies."""

    algorithm: Literal["RS256", "ES256"]
    public: RSAPublicKey | EllipticCurvePublicKey


@dataclass(slots=True)
class ForeignKeys:
    """The keys at `url`. `clock` gives monotonic seconds."""

    url: str
    clock: Callable[[], float] = time.monotonic
    _keys: Mapping[str, ForeignKey] = field(default_factory=dict, init=False)
    _read_at: float | None = field(default=None, init=False)
    _next_read_at: float = field(default=float("-inf"), init=False)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    async def key_of(self, kid: str) -> ForeignKey | None:
        """The key that `kid` names; None if the issuer has no such key. Raises `KeysAway`."""
        if not self._is_current(kid):
            async with self._lock:
                # Whoever waited here has what the first one read.
                if not self._is_current(kid) and self.clock() >= self._next_read_at:
                    await self._read()
        if self._read_at is None or self.clock() - self._read_at > KEPT_S_MAX:
            raise KeysAway
        return self._keys.get(kid)

    def _is_current(self, kid: str) -> bool:
        is_fresh = self._read_at is not None and self.clock() - self._read_at < FRESH_S
        return is_fresh and kid in self._keys

    async def _read(self) -> None:
        try:
            async with asyncio.timeout(FETCH_TIMEOUT_S):
                self._keys = parse_jwks(await self._fetch())
        except (httpx2.HTTPError, httpx2.InvalidURL, JwksRefused, OSError, TimeoutError) as error:
            # The text of an error may name addresses; its kind is enough to look further.
            _log.warning("a foreign issuer's keys cannot be read", error=type(error).__name__)
            self._next_read_at = self.clock() + RETRY_INTERVAL_S
            return
        self._read_at = self.clock()
        self._next_read_at = self._read_at + REFETCH_INTERVAL_S

    async def _fetch(self) -> bytes:
        body = bytearray()
        async with (
            httpx2.AsyncClient(
                follow_redirects=False, trust_env=False, timeout=FETCH_TIMEOUT_S
            ) as client,
            client.stream("GET", self.url, headers=_HEADERS) as response,
        ):
            if response.status_code != _HTTP_OK or "content-encoding" in response.headers:
                raise JwksRefused
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > BODY_BYTES_MAX:
                    raise JwksRefused
        return bytes(body)


def parse_jwks(body: bytes) -> dict[str, ForeignKey]:
    """The keys of a JWK set that verify RS256 or ES256, by `kid`; others are left out.

    Raises `JwksRefused` for what is no set.
    """
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        raise JwksRefused from None
    entries = content.get("keys") if isinstance(content, dict) else None
    if not isinstance(entries, list):
        raise JwksRefused
    keys: dict[str, ForeignKey] = {}
    for entry in entries[:KEYS_MAX]:
        kid = entry.get("kid") if isinstance(entry, dict) else None
        if not isinstance(kid, str) or not 1 <= len(kid) <= _KID_CHARACTERS_MAX:
            continue
        key = _parse_key(entry)
        if key is not None:
            keys.setdefault(kid, key)
    return keys


def _parse_key(entry: Mapping[str, object]) -> ForeignKey | None:
    """A public key for signatures. Secrets, private keys, short and unknown ones are none."""
    operations = entry.get("key_ops", ["verify"])
    is_for_signatures = (
        entry.get("use", "sig") == "sig" and isinstance(operations, list) and "verify" in operations
    )
    if "d" in entry or not is_for_signatures:
        return None
    try:
        match entry.get("kty"), entry.get("alg"):
            case "RSA", None | "RS256":
                rsa = RSAAlgorithm.from_jwk(dict(entry))
                if isinstance(rsa, RSAPublicKey) and rsa.key_size >= RSA_BITS_MIN:
                    return ForeignKey("RS256", rsa)
            case "EC", None | "ES256":
                ec = ECAlgorithm.from_jwk(dict(entry))
                if isinstance(ec, EllipticCurvePublicKey) and isinstance(ec.curve, SECP256R1):
                    return ForeignKey("ES256", ec)
    except (jwt.PyJWTError, ValueError, TypeError, AttributeError, LookupError, OverflowError):
        return None
    return None
