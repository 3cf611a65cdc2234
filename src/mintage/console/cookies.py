"""The console's cookie: a token that names a session, and the form token that goes with it.

The cookie is HttpOnly, SameSite=Strict, of path /console, and the API never reads it; the token in it has a
key and an audience of its own (SECURITY). Each page asks the database whether the session still holds, so
signing out ends it everywhere. Not here: the sessions' rows (`operations.accounts`).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from uuid import UUID

import jwt
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from starlette.responses import Response

from mintage.secrets import Secrets
from mintage.signed_tokens import signed, verified
from mintage.tokens import Session, TokenRefused, now_s

COOKIE: Final = "mintage_console"
THEME_COOKIE: Final = "mintage_theme"
PATH: Final = "/console"
AUDIENCE: Final = "mintage-console"
LIFETIME_S: Final = 12 * 3600
_TOKEN_CHARACTERS_MAX: Final = 1000
_YEAR_S: Final = 365 * 86400


@dataclass(frozen=True, slots=True)
class Cookies:
    """Makes and reads the cookie's token. `is_https`: the cookie is `Secure`."""

    secrets: Secrets
    is_https: bool

    def session_token(self, session: Session) -> str:
        """A token of 12 hours for `session`."""
        issued_at = now_s()
        claims = {
            "aud": AUDIENCE,
            "sub": str(session.user_id),
            "sid": str(session.session_id),
            "iat": issued_at,
            "exp": issued_at + LIFETIME_S,
        }
        return signed(claims, _keys(self.secrets, b"session"))

    def read_session(self, token: str) -> Session:
        """The session that the cookie names. Raises `TokenRefused` for anything else."""
        if len(token) > _TOKEN_CHARACTERS_MAX:
            raise TokenRefused
        try:
            session, expires_at = _verified(token, _keys(self.secrets, b"session"))
        except (jwt.PyJWTError, LookupError, TypeError, ValueError, AttributeError):
            raise TokenRefused from None
        if expires_at <= now_s():
            raise TokenRefused
        return session

    def set_session(self, response: Response, session: Session) -> None:
        """Sign the browser in."""
        response.set_cookie(
            COOKIE,
            self.session_token(session),
            max_age=LIFETIME_S,
            path=PATH,
            secure=self.is_https,
            httponly=True,
            samesite="strict",
        )

    def clear_session(self, response: Response) -> None:
        """Sign the browser out."""
        response.delete_cookie(
            COOKIE, path=PATH, secure=self.is_https, httponly=True, samesite="strict"
        )

    def set_theme(self, response: Response, theme: str) -> None:
        """Remember light, dark, or what the browser prefers."""
        response.set_cookie(
            THEME_COOKIE,
            theme,
            max_age=_YEAR_S,
            path=PATH,
            secure=self.is_https,
            httponly=True,
            samesite="strict",
        )

    def form_token(self, session: Session) -> str:
        """What every form of this session carries, and no other site can know."""
        return _form_token(_keys(self.secrets, b"forms")[0], session)

    def is_form_token(self, session: Session, given: str) -> bool:
        """True if a form that carries `given` is one of this session's pages."""
        return any(
            hmac.compare_digest(_form_token(key, session).encode(), given.encode())
            for key in _keys(self.secrets, b"forms")
        )


@lru_cache(maxsize=4096)
def _verified(token: str, keys: tuple[bytes, ...]) -> tuple[Session, int]:
    """The session that a token names, and when it expires. What these keys have signed stays signed."""
    claims = verified(token, keys, audience=AUDIENCE, require=["aud", "exp", "iat", "sub"])
    return Session(UUID(claims["sub"]), UUID(claims["sid"])), int(claims["exp"])


def _form_token(key: bytes, session: Session) -> str:
    digest = hmac.digest(key, session.session_id.bytes, hashlib.sha256)
    return base64.urlsafe_b64encode(digest).decode("ascii").rstrip("=")


def _keys(secrets: Secrets, use: bytes) -> tuple[bytes, ...]:
    """Keys for `use`, drawn from the platform's secrets (RFC 5869); of several the first signs."""
    return tuple(_drawn(each, use) for each in secrets.api_secrets)


@lru_cache(maxsize=8)
def _drawn(secret: bytes, use: bytes) -> bytes:
    info = b"mintage console " + use
    return HKDF(SHA256(), 32, salt=None, info=info).derive(secret)
