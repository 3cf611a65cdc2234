"""The grant `client_credentials` of `/auth/v1/token`: an API key for a token of 15 minutes (RFC 6749 §4.4).

The key is shown in the body, as a form or as JSON, or by HTTP Basic. Errors have the names of RFC 6749 §5.2
beside GoTrue's. Not here: keys (`operations.api_keys`) and other grants (`auth`).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, unquote_plus

from starlette.requests import Request
from starlette.responses import Response

from mintage.api.door import Door, anonymous_call, client_address
from mintage.api.json_answer import json_response
from mintage.api.json_body import printable_name, text_problem
from mintage.errors import (
    INVALID_INPUT,
    RATE_LIMITED,
    ArgumentProblem,
    MintageError,
    invalid_input,
)
from mintage.operations.api_keys import (
    CLIENT_ID_CHARACTERS,
    SECRET_CHARACTERS,
    KeyInUse,
    use_api_key,
)
from mintage.rules.roles import SCOPES, Scope
from mintage.tokens import ClientToken, now_s

_FORM: Final = "application/x-www-form-urlencoded"
_FORM_PARTS_MAX: Final = 20
_CLIENT_ID: Final = re.compile(rf"[a-z0-9_]{{{CLIENT_ID_CHARACTERS}}}")
_SECRET: Final = re.compile(rf"[A-Za-z0-9_-]{{{SECRET_CHARACTERS}}}")
_KEY_CHARACTERS_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class GrantError:
    """A refusal of RFC 6749 §5.2, in a body that GoTrue's clients read too."""

    status: int
    error: str
    description: str
    challenges: bool = False

    def response(self) -> Response:
        body = {
            "error": self.error,
            "error_description": self.description,
            "code": self.status,
            "error_code": self.error,
            "msg": self.description,
        }
        headers = {"cache-control": "no-store"}
        if self.challenges:
            headers["www-authenticate"] = 'Basic realm="mintage"'
        return json_response(body, self.status, headers)


INVALID_CLIENT: Final = GrantError(
    401, "invalid_client", "The client id or the secret is wrong, or the key is over", True
)
INVALID_REQUEST: Final = GrantError(
    400,
    "invalid_request",
    "Send client_id and client_secret as text, once: in the body or by HTTP Basic",
)
INVALID_SCOPE: Final = GrantError(
    400, "invalid_scope", "scope must name scopes of the key, with a space between"
)


def has_form(request: Request) -> bool:
    """True if the body is a form in UTF-8, as it is (no Content-Encoding)."""
    types = request.headers.getlist("content-type")
    encodings = request.headers.getlist("content-encoding")
    if len(types) != 1 or any(each.strip().lower() not in {"", "identity"} for each in encodings):
        return False
    media_type, *parameters = (part.strip().lower() for part in types[0].split(";"))
    return media_type == _FORM and set(parameters) <= {"charset=utf-8", 'charset="utf-8"', ""}


def read_form(body: bytearray) -> dict[str, object]:
    """The parts of a form, each once. Raises `MintageError` 400."""
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_FORM_PARTS_MAX,
        )
    except ValueError:
        hint = "send parts as name=value, percent-encoded UTF-8"
        raise MintageError(
            INVALID_INPUT, message=f"{INVALID_INPUT.sentence}: no form", hint=hint
        ) from None
    given: dict[str, object] = {}
    for name, value in pairs:
        problem = text_problem(name) or text_problem(value)
        if name in given:
            problem = ("is there twice", "give it once")
        if problem is not None:
            raise invalid_input([ArgumentProblem(printable_name(name), *problem)])
        given[name] = value
    return given


async def client_credentials_grant(
    door: Door, request: Request, given: Mapping[str, object]
) -> Response:
    """Exchange a key for a token; tries that fail are counted by client id and address."""
    shown = _credentials(request, given)
    if isinstance(shown, GrantError):
        return shown.response()
    client_id, secret = shown
    account = f"client {client_id[:_KEY_CHARACTERS_MAX]}"
    address = client_address(door, request)
    wait_s = door.sign_in_tries.wait_s(account, address)
    if wait_s is not None:
        message = "Request rate limit reached"
        raise MintageError(RATE_LIMITED, message=message, retry_after_s=wait_s)
    key: KeyInUse | None = None
    # What has not even the form is not looked for; the database takes no NUL.
    if _CLIENT_ID.fullmatch(client_id) and _SECRET.fullmatch(secret):
        async with anonymous_call(door, request) as call:
            key = await use_api_key(call, client_id, secret)
    if key is None:
        door.sign_in_tries.take(account, address)
        return INVALID_CLIENT.response()
    door.sign_in_tries.give_back(account, address)
    scopes = _scopes(key, given.get("scope"))
    return _token_response(door, key, scopes) if scopes is not None else INVALID_SCOPE.response()


def _credentials(request: Request, given: Mapping[str, object]) -> tuple[str, str] | GrantError:
    """Client id and secret, from the one place that they are in."""
    client_id, secret = given.get("client_id"), given.get("client_secret")
    basic = _basic(request)
    if basic is not None:
        # RFC 6749 §2.3: one method a request. The id alone may be in the body as well.
        if secret is not None or (client_id is not None and client_id != basic[0]):
            return INVALID_REQUEST
        return basic
    if not isinstance(client_id, str) or not isinstance(secret, str):
        return INVALID_REQUEST
    return client_id, secret


def _basic(request: Request) -> tuple[str, str] | None:
    """What HTTP Basic shows (RFC 6749 §2.3.1); a bearer token, which clients send anyway, is none."""
    values = request.headers.getlist("authorization")
    scheme, _, text = values[0].strip().partition(" ") if len(values) == 1 else ("", "", "")
    if scheme.lower() != "basic":
        return None
    try:
        shown = base64.b64decode(text.strip(), validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        return "", ""
    client_id, _, secret = shown.partition(":")
    return unquote_plus(client_id), unquote_plus(secret)


def _scopes(key: KeyInUse, asked: object) -> frozenset[Scope] | None:
    """The key's scopes, or those of them that are asked for; None for others (RFC 6749 §3.3)."""
    if asked is None or asked == "":
        return key.scopes
    names = asked.split(" ") if isinstance(asked, str) else []
    wanted = frozenset(scope for scope in SCOPES if scope in names)
    return wanted if wanted and set(names) <= key.scopes else None


def _token_response(door: Door, key: KeyInUse, scopes: frozenset[Scope]) -> Response:
    lifetime_s = door.platform.limits.client_token_lifetime_s
    if key.expires_at is not None:
        # A token says of itself no more than its key holds.
        left_s = int((key.expires_at - key.now).total_seconds())
        lifetime_s = max(1, min(lifetime_s, left_s))
    issued_at = now_s()
    access_token = door.tokens.make_client_token(
        ClientToken(key.id, key.brand_id, scopes),
        issued_at=issued_at,
        expires_at=issued_at + lifetime_s,
    )
    answer = {
        "access_token": access_token,
        "token_type": "bearer",
        "expires_in": lifetime_s,
        "scope": " ".join(scope for scope in SCOPES if scope in scopes),
    }
    return json_response(answer, headers={"cache-control": "no-store"})
