"""Answers and errors of `/auth/v1` in GoTrue's shapes, as its clients read them.

Errors are `{code: <status>, error_code, msg}`: without an X-Supabase-Api-Version header in the
answer the clients take `error_code` for programs and `msg` for people.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from starlette.responses import Response

from mintage.api.door import error_headers
from mintage.api.json_answer import json_response
from mintage.errors import (
    INTERNAL,
    METHOD_NOT_ALLOWED,
    NOT_AUTHENTICATED,
    PAYLOAD_TOO_LARGE,
    RATE_LIMITED,
    REQUEST_TIMEOUT,
    ROUTE_NOT_FOUND,
    UNAVAILABLE,
    UNSUPPORTED_MEDIA_TYPE,
    MintageError,
)
from mintage.operations.accounts import SignInAccount

_AUDIENCE: Final = "authenticated"
ERROR_CODES: Final = {
    NOT_AUTHENTICATED: "bad_jwt",
    METHOD_NOT_ALLOWED: "method_not_allowed",
    REQUEST_TIMEOUT: "request_timeout",
    PAYLOAD_TOO_LARGE: "payload_too_large",
    UNSUPPORTED_MEDIA_TYPE: "unsupported_media_type",
    RATE_LIMITED: "over_request_rate_limit",
    ROUTE_NOT_FOUND: "not_found",
    UNAVAILABLE: "unavailable",
    INTERNAL: "unexpected_failure",
}


@dataclass(frozen=True, slots=True)
class AuthError:
    """A row of GoTrue's errors."""

    status: int
    error_code: str
    message: str

    def response(self) -> Response:
        body = {"code": self.status, "error_code": self.error_code, "msg": self.message}
        return json_response(body, self.status)


def auth_error(error: MintageError) -> Response:
    """`error` in GoTrue's shape."""
    status = error.kind.status
    body: dict[str, object] = {
        "code": status,
        "error_code": ERROR_CODES.get(error.kind, "bad_json"),
        "msg": error.message,
    }
    if error.hint is not None:
        body["hint"] = error.hint
    return json_response(body, status, error_headers(error))


def session_answer(
    account: SignInAccount,
    *,
    access_token: str,
    refresh_token: str,
    expires_in_s: int,
    expires_at_s: int,
    signed_in_at: datetime,
) -> Mapping[str, object]:
    """What a grant answers: the tokens and the user."""
    return {
        "access_token": access_token,
        "token_type": "bearer",
        "expires_in": expires_in_s,
        "expires_at": expires_at_s,
        "refresh_token": refresh_token,
        "user": user_answer(account, signed_in_at),
    }


def user_answer(account: SignInAccount, signed_in_at: datetime) -> Mapping[str, object]:
    """The user as GoTrue answers one: a confirmed e-mail address, one identity."""
    identity = {
        "identity_id": account.id,
        "id": account.id,
        "user_id": account.id,
        "identity_data": {"sub": account.id, "email": account.email, "email_verified": True},
        "provider": "email",
        "email": account.email,
        "last_sign_in_at": signed_in_at,
        "created_at": account.created_at,
        "updated_at": account.updated_at,
    }
    return {
        "id": account.id,
        "aud": _AUDIENCE,
        "role": _AUDIENCE,
        "email": account.email,
        "email_confirmed_at": account.created_at,
        "confirmed_at": account.created_at,
        "last_sign_in_at": signed_in_at,
        "phone": "",
        "app_metadata": {"provider": "email", "providers": ["email"]},
        "user_metadata": {},
        "identities": [identity],
        "is_anonymous": False,
        "created_at": account.created_at,
        "updated_at": account.updated_at,
    }
