"""Tokens of callers: made and verified. Each kind has its own key, algorithm and audience.

Sessions are ES256 with a `kid` of ours; the anon and service keys are HS256, and so, with another
key, are the tokens that API keys are exchanged for. Of the keys of a kind the first signs and all
verify. The algorithm belongs to the configured key and is never taken from the token (SECURITY). Not
here: refresh tokens (opaque, rows of `user_session`), signed URLs of packs, tokens of a foreign issuer
(`api.foreign`), and what a caller may do.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final, Literal
from uuid import UUID

import jwt
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from mintage.rules.roles import SCOPES, Scope
from mintage.secrets import Secrets
from mintage.signed_tokens import signed, verified

ANON: Final = "anon"
SERVICE_ROLE: Final = "service_role"
SESSION_AUDIENCE: Final = "authenticated"
API_AUDIENCE: Final = "mintage-api"
API_ISSUER: Final = "mintage"
CLIENT_AUDIENCE: Final = "mintage-client"
CLIENT_KID: Final = "client"
API_KEY_LIFETIME_S: Final = 10 * 365 * 86400

TOKEN_CHARACTERS_MAX: Final = 8192
_HEADER_NAMES: Final = frozenset({"alg", "typ", "kid"})


class TokenRefused(Exception):
    """The token is none of ours, is over, or is of another kind. It never says which."""


@dataclass(frozen=True, slots=True)
class Session:
    """A user's session, as a verified token states it."""

    user_id: UUID
    session_id: UUID


@dataclass(frozen=True, slots=True)
class KeyToken:
    """The anon or the service key."""

    role: Literal["anon", "service_role"]


@dataclass(frozen=True, slots=True)
class ClientToken:
    """What an API key was exchanged for. The key's row decides on each call whether it still holds."""

    api_key_id: UUID
    brand_id: UUID
    scopes: frozenset[Scope]


@dataclass(frozen=True, slots=True)
class Tokens:
    """Makes and verifies tokens for the platform at `issuer` (the base URL of /auth/v1)."""

    secrets: Secrets
    issuer: str
    leeway_s: int

    def make_session_token(
        self, *, user_id: UUID, session_id: UUID, email: str, issued_at: int, expires_at: int
    ) -> str:
        """An access token; times in seconds since 1970. ES256 by the first session key."""
        key = self.secrets.session_keys[0]
        claims = {
            "iss": self.issuer,
            "aud": SESSION_AUDIENCE,
            "sub": str(user_id),
            "iat": issued_at,
            "exp": expires_at,
            "role": "authenticated",
            "session_id": str(session_id),
            "email": email,
        }
        return jwt.encode(claims, key.private, algorithm="ES256", headers={"kid": key.kid})

    def make_client_token(self, client: ClientToken, *, issued_at: int, expires_at: int) -> str:
        """A token of an API key; times in seconds since 1970. HS256 by a key of its own."""
        claims = {
            "iss": self.issuer,
            "aud": CLIENT_AUDIENCE,
            "sub": str(client.api_key_id),
            "iat": issued_at,
            "exp": expires_at,
            "brand_id": str(client.brand_id),
            "api_key_id": str(client.api_key_id),
            "scopes": sorted(client.scopes),
        }
        return signed(claims, _client_keys(self.secrets), family=CLIENT_KID)

    def verify(self, token: str) -> Session | KeyToken | ClientToken:
        """Whose token it is. Raises `TokenRefused` for anything that is not exactly right."""
        if len(token) > TOKEN_CHARACTERS_MAX:
            raise TokenRefused
        try:
            header = jwt.get_unverified_header(token)
            if not _HEADER_NAMES.issuperset(header):
                raise TokenRefused
            if header.get("alg") == "HS256":
                if str(header.get("kid")).partition(".")[0] == CLIENT_KID:
                    return self._verify_client_token(token)
                return self._verify_key_token(token)
            return self._verify_session(token, header.get("kid"))
        except (
            jwt.PyJWTError,
            ArithmeticError,
            LookupError,
            TypeError,
            ValueError,
            RecursionError,
        ):
            raise TokenRefused from None

    def _verify_session(self, token: str, kid: object) -> Session:
        key = next((key for key in self.secrets.session_keys if key.kid == kid), None)
        if key is None:
            raise TokenRefused
        claims = jwt.decode(
            token,
            key.public,
            algorithms=["ES256"],
            audience=SESSION_AUDIENCE,
            issuer=self.issuer,
            leeway=self.leeway_s,
            options={"require": ["iss", "aud", "exp", "iat", "sub"], "strict_aud": True},
        )
        if claims.get("role") != "authenticated":
            raise TokenRefused
        return Session(UUID(claims["sub"]), UUID(claims["session_id"]))

    def _verify_key_token(self, token: str) -> KeyToken:
        claims = verified(
            token,
            self.secrets.api_secrets,
            audience=API_AUDIENCE,
            issuer=API_ISSUER,
            leeway_s=self.leeway_s,
            require=["iss", "aud", "exp", "iat"],
        )
        match claims.get("role"):
            case "anon":
                return KeyToken("anon")
            case "service_role":
                return KeyToken("service_role")
        raise TokenRefused

    def _verify_client_token(self, token: str) -> ClientToken:
        claims = verified(
            token,
            _client_keys(self.secrets),
            family=CLIENT_KID,
            audience=CLIENT_AUDIENCE,
            issuer=self.issuer,
            leeway_s=self.leeway_s,
            require=["iss", "aud", "exp", "iat", "sub"],
        )
        scopes = frozenset(scope for scope in SCOPES if scope in claims["scopes"])
        return ClientToken(UUID(claims["api_key_id"]), UUID(claims["brand_id"]), scopes)

    def jwks(self) -> dict[str, list[dict[str, object]]]:
        """The public keys that verify sessions (RFC 7517)."""
        return {"keys": [key.public_jwk() for key in self.secrets.session_keys]}


def anon_key(secrets: Secrets) -> str:
    """The key that clients carry before anyone has signed in. It grants nothing."""
    return _key_token(secrets, ANON)


def service_key(secrets: Secrets) -> str:
    """The key of the service role: for servers only."""
    return _key_token(secrets, SERVICE_ROLE)


def _client_keys(secrets: Secrets) -> list[bytes]:
    """The keys of clients' tokens, drawn from the secrets of the anon and service keys (RFC 5869)."""
    info = b"mintage client tokens"
    return [HKDF(SHA256(), 32, salt=None, info=info).derive(each) for each in secrets.api_secrets]


def now_s() -> int:
    """Seconds since 1970."""
    return int(time.time())


def _key_token(secrets: Secrets, role: str) -> str:
    # Counted from the secrets' making, so that each start gives out the same key.
    claims = {
        "iss": API_ISSUER,
        "aud": API_AUDIENCE,
        "role": role,
        "iat": secrets.created_at,
        "exp": secrets.created_at + API_KEY_LIFETIME_S,
    }
    return signed(claims, secrets.api_secrets)
