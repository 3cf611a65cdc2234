"""What door 1 is made of, who is calling, and how an error is answered there.

The storage, auth and function endpoints answer errors in shapes of their own (`api.shapes`); this
is PostgREST's. Not here: which routes there are (`api.routes`), and what a caller may do
(`perform`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

from starlette.requests import Request
from starlette.responses import Response

from mintage.api.afterwards import Afterwards
from mintage.api.foreign import ForeignUsers
from mintage.api.json_answer import json_response
from mintage.api.request_body import BigBodies
from mintage.api.tries import Tries
from mintage.db.queries import query
from mintage.errors import METHOD_NOT_ALLOWED, NOT_AUTHENTICATED, MintageError
from mintage.forwarded import address_of, client_behind, networks_of
from mintage.operations.call import ANONYMOUS, SERVICE, Call, Caller
from mintage.perform import Platform
from mintage.secrets import Secrets, SecretsSource
from mintage.settings import Settings
from mintage.tokens import ClientToken, KeyToken, Session, TokenRefused, Tokens

if TYPE_CHECKING:
    from mintage.storage import PackStore

_NOW: Final = query("access", "now")
_ERRORS_MAX: Final = 100
_MESSAGE_CHARACTERS_MAX: Final = 4000
_PASSWORD_CHECKS_AT_ONCE: Final = 2


@dataclass(frozen=True, slots=True)
class Door:
    """What the endpoints of the control plane are given. `store` holds the packs' bytes."""

    platform: Platform
    settings: Settings
    keys: SecretsSource
    store: PackStore
    big_bodies: BigBodies = field(default_factory=BigBodies)
    sign_in_tries: Tries = field(default_factory=Tries)
    # Argon2id takes a core for some 30 ms: more at once would only wait for each other, in threads
    # that the rest of the process needs.
    password_checks: asyncio.Semaphore = field(
        default_factory=lambda: asyncio.Semaphore(_PASSWORD_CHECKS_AT_ONCE)
    )
    foreign_users: ForeignUsers | None = None
    afterwards: Afterwards = field(default_factory=Afterwards)

    @property
    def secrets(self) -> Secrets:
        """The secrets of now."""
        return self.keys.current

    @property
    def tokens(self) -> Tokens:
        limits = self.platform.limits
        return Tokens(self.secrets, f"{self.settings.platform_url}/auth/v1", limits.clock_leeway_s)


async def caller_or_anonymous(door: Door, request: Request) -> Caller:
    """Who calls: `Authorization: Bearer` decides, `apikey` grants nothing.

    Anonymous without that header, with the anon key, and for a token that is not exactly right: who
    is anonymous is refused later (401 comes after 413, 415, 404 and 405) and always alike. Raises 503
    while the foreign issuer's keys, or its users, cannot be read.
    """
    try:
        token = bearer_token(request)
    except MintageError:
        return ANONYMOUS
    if token is None:
        return ANONYMOUS
    try:
        return _caller_of(door.tokens.verify(token))
    except TokenRefused:
        pass
    try:
        return await door.foreign_users.caller(token) if door.foreign_users else ANONYMOUS
    except TokenRefused:
        return ANONYMOUS


def _caller_of(verified: Session | KeyToken | ClientToken) -> Caller:
    match verified:
        case Session():
            return Caller("user", verified.user_id, counted_as=f"user {verified.user_id}")
        case ClientToken():
            return Caller(
                "api_key",
                verified.api_key_id,
                verified.brand_id,
                verified.scopes,
                counted_as=f"api_key {verified.api_key_id}",
            )
        case KeyToken(role="service_role"):
            return replace(SERVICE, counted_as="service")
    return ANONYMOUS


def bearer_token(request: Request) -> str | None:
    """The token of the one `Authorization: Bearer` header; None without the header."""
    values = request.headers.getlist("authorization")
    if not values:
        return None
    scheme, _, token = values[0].strip().partition(" ")
    if len(values) > 1 or scheme.lower() != "bearer" or not token.strip():
        raise MintageError(NOT_AUTHENTICATED)
    return token.strip()


def verified_token(door: Door, token: str) -> Session | KeyToken | ClientToken:
    """What `token` states, verified; 401 for anything that is not exactly right."""
    try:
        return door.tokens.verify(token)
    except TokenRefused:
        raise MintageError(NOT_AUTHENTICATED) from None


def client_address(door: Door, request: Request) -> str:
    """The address of who calls; X-Forwarded-For is believed of configured proxies only."""
    named = request.client.host if request.client is not None else "unknown"
    peer = address_of(named)
    if peer is None:
        return named[:64]
    forwarded = ",".join(request.headers.getlist("x-forwarded-for")).split(",")
    hops = [part.strip() for part in forwarded if part.strip()]
    return str(client_behind(peer, hops, networks_of(door.settings.trusted_proxies)))


@asynccontextmanager
async def anonymous_call(door: Door, request: Request) -> AsyncIterator[Call]:
    """A transaction in no brand, for what precedes every brand."""
    platform = door.platform
    async with platform.database.transaction(ANONYMOUS.identity(None)) as connection:
        now: datetime = platform.pinned_now or await connection.fetchval(_NOW)
        yield Call(connection, ANONYMOUS, None, None, now, platform.limits, request_id_of(request))


def request_id_of(request: Request) -> str:
    """The id that this request is answered and logged under."""
    request_id: str = request.state.request_id
    return request_id


def error_response(error: MintageError, headers: Mapping[str, str] | None = None) -> Response:
    """`error` in PostgREST's shape, with `errors` naming each bad argument."""
    body = {
        "code": error.kind.code,
        "message": _short(error.message),
        "details": _short(error.details),
        "hint": error.hint,
        "errors": [
            {"argument": problem.argument, "problem": problem.problem, "hint": problem.hint}
            for problem in error.problems[:_ERRORS_MAX]
        ],
    }
    return json_response(body, error.kind.status, error_headers(error) | dict(headers or {}))


def _short(text: str | None) -> str | None:
    """A message names every bad argument, and a body of 32 MiB can hold a million of them."""
    if text is None or len(text) <= _MESSAGE_CHARACTERS_MAX:
        return text
    return text[:_MESSAGE_CHARACTERS_MAX] + "…"


def error_headers(error: MintageError) -> dict[str, str]:
    """The headers that go with `error` in every shape."""
    headers = {}
    if error.retry_after_s is not None:
        headers["retry-after"] = str(error.retry_after_s)
    if error.kind is NOT_AUTHENTICATED:
        headers["www-authenticate"] = "Bearer"
    if error.kind is METHOD_NOT_ALLOWED and error.details:
        headers["allow"] = error.details
    return headers
