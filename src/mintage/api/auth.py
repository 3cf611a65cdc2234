"""`/auth/v1`: signing in, refreshing, who am I, signing out, the public keys; in GoTrue's shapes.

A handler here decides nothing about brands. Not here: sessions' rows (`operations.accounts`) and
tokens (`tokens`).
"""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from typing import Final, get_args

from starlette.requests import Request
from starlette.responses import Response

from mintage import meters
from mintage.api.auth_answers import AuthError, session_answer, user_answer
from mintage.api.client_credentials import client_credentials_grant, has_form, read_form
from mintage.api.door import (
    Door,
    anonymous_call,
    bearer_token,
    client_address,
    request_id_of,
    verified_token,
)
from mintage.api.endpoint import method_refusal
from mintage.api.json_answer import json_response
from mintage.api.json_body import read_arguments
from mintage.api.request_body import media_refusal, received_body
from mintage.errors import NOT_AUTHENTICATED, RATE_LIMITED, MintageError
from mintage.operations import accounts
from mintage.operations.call import SYSTEM
from mintage.operations.members import email_key
from mintage.operations.passwords import verify_nothing, verify_password
from mintage.operations.sign_in_events import (
    SignInDoor,
    address_prefix,
    record_sign_in,
    record_token_reuse,
)
from mintage.telemetry import logger
from mintage.tokens import Session, now_s

_log: Final = logger("api")
_EMAIL_CHARACTERS_MAX: Final = 254
_SCOPES: Final = get_args(accounts.SignOutScope)
_INVALID_CREDENTIALS: Final = AuthError(400, "invalid_credentials", "Invalid login credentials")
_SESSION_NOT_FOUND: Final = AuthError(
    403, "session_not_found", "Session from session_id claim in JWT does not exist"
)
_ALREADY_USED: Final = AuthError(
    400, "refresh_token_already_used", "Invalid Refresh Token: Already Used"
)
_REFRESH_PROBLEMS: Final[dict[accounts.RefreshProblem, AuthError]] = {
    "not_found": AuthError(
        400, "refresh_token_not_found", "Invalid Refresh Token: Refresh Token Not Found"
    ),
    "expired": AuthError(400, "session_expired", "Invalid Refresh Token: Session Expired"),
}


async def token(door: Door, request: Request) -> Response:
    """`POST /token`: the grants `password`, `refresh_token` and `client_credentials`."""
    limits = door.platform.limits
    is_form = has_form(request)
    refusal = None if is_form else media_refusal(request)
    refusal = refusal or method_refusal(request, ("POST",))
    async with received_body(
        request, door.big_bodies, limits, bytes_max=limits.body_bytes_max, is_kept=refusal is None
    ) as body:
        if refusal is not None:
            raise refusal
        given = (
            read_form(body)
            if is_form
            else await read_arguments(body, depth_max=limits.json_depth_max)
        )
    match request.query_params.get("grant_type") or given.get("grant_type"):
        case "password":
            return await _password_grant(door, request, given)
        case "refresh_token":
            return await _refresh_grant(door, request, given)
        case "client_credentials":
            return await client_credentials_grant(door, request, given)
    grants = "grant_type must be password, refresh_token or client_credentials"
    return AuthError(400, "unsupported_grant_type", grants).response()


async def user(door: Door, request: Request) -> Response:
    """`GET /user`: the account of the session that the token is of."""
    _check_method(request, ("GET", "HEAD"))
    session = _session(door, request)
    async with anonymous_call(door, request) as call:
        found = await accounts.account_of_session(call, session.session_id, session.user_id)
    if found is None:
        return _SESSION_NOT_FOUND.response()
    return json_response(user_answer(*found))


async def logout(door: Door, request: Request) -> Response:
    """`POST /logout?scope=global|local|others`."""
    _check_method(request, ("POST",))
    session = _session(door, request)
    wanted = request.query_params.get("scope", "global")
    scope = next((known for known in _SCOPES if known == wanted), None)
    if scope is None:
        return AuthError(
            400, "validation_failed", "scope must be global, local or others"
        ).response()
    async with anonymous_call(door, request) as call:
        await accounts.end_sessions(call, session.user_id, session.session_id, scope)
    return Response(status_code=204)


async def jwks(door: Door, request: Request) -> Response:
    """`GET /.well-known/jwks.json`: the public keys that verify sessions."""
    _check_method(request, ("GET", "HEAD"))
    return json_response(door.tokens.jwks(), headers={"cache-control": "public, max-age=600"})


async def settings(_door: Door, request: Request) -> Response:
    """`GET /settings`: what kinds of signing in there are."""
    _check_method(request, ("GET", "HEAD"))
    return json_response(
        {
            "external": {"email": True, "phone": False, "anonymous_users": False},
            "disable_signup": True,
            "mailer_autoconfirm": True,
            "phone_autoconfirm": False,
            "sms_provider": "",
            "saml_enabled": False,
            "mfa_enabled": False,
        }
    )


async def _password_grant(door: Door, request: Request, given: Mapping[str, object]) -> Response:
    email, password = given.get("email"), given.get("password")
    if not isinstance(email, str) or not isinstance(password, str):
        return AuthError(400, "validation_failed", "email and password must be text").response()
    limits = door.platform.limits
    if len(email) > _EMAIL_CHARACTERS_MAX or len(password) > limits.password_characters_max:
        return _INVALID_CREDENTIALS.response()
    opened = await sign_in(door, request, email, password)
    return (
        _session_response(door, opened) if opened is not None else _INVALID_CREDENTIALS.response()
    )


async def sign_in(
    door: Door, request: Request, email: str, password: str
) -> accounts.OpenSession | None:
    """Open a session of the account that both fit, or None; 429 after too many tries."""
    key, address = email_key(email), client_address(door, request)
    wait_s = door.sign_in_tries.take(key, address)
    if wait_s is not None:
        meters.RATE_LIMITED.labels("sign_in").inc()
        _tell(request, "too many tries to sign in", address)
        message = "Request rate limit reached"
        raise MintageError(RATE_LIMITED, message=message, retry_after_s=wait_s)
    async with anonymous_call(door, request) as call:
        account = await accounts.account_by_email(call, email)
    known = account
    # Between two transactions: a connection is not held for the time of a hash.
    async with door.password_checks:
        if account is None:
            await verify_nothing(password)
        elif not await verify_password(password, account.password_hash):
            account = None
    meters.SIGN_INS.labels("refused" if account is None else "signed_in").inc()
    if account is None:
        _tell(request, "a sign-in failed", address, known)
        if known is not None:
            # Not awaited: an account that exists would be answered later than none.
            door.afterwards.start(_record(door, request, known, address, has_succeeded=False))
        return None
    door.sign_in_tries.give_back(key, address)
    async with anonymous_call(door, request) as call:
        opened = await accounts.open_session(call, account)
    _tell(request, "signed in", address, account)
    door.afterwards.start(_record(door, request, account, address, has_succeeded=True))
    return opened


def _record(
    door: Door,
    request: Request,
    account: accounts.SignInAccount,
    address: str,
    *,
    has_succeeded: bool,
) -> Coroutine[None, None, None]:
    transactions = door.platform.transactions(SYSTEM, request_id_of(request))
    return record_sign_in(
        transactions, account.id, address, _door_of(request), has_succeeded=has_succeeded
    )


def _tell(
    request: Request, event: str, address: str, account: accounts.SignInAccount | None = None
) -> None:
    """A line of the log for each try: the account by its id, the address by its prefix."""
    _log.info(
        event,
        request_id=request_id_of(request),
        user_id=str(account.id) if account is not None else None,
        address_prefix=address_prefix(address),
        door=_door_of(request),
    )


def _door_of(request: Request) -> SignInDoor:
    return "console" if request.scope["path"].startswith("/console") else "api"


async def _refresh_grant(door: Door, request: Request, given: Mapping[str, object]) -> Response:
    refresh_token = given.get("refresh_token")
    if not isinstance(refresh_token, str):
        return AuthError(400, "validation_failed", "refresh_token must be text").response()
    async with anonymous_call(door, request) as call:
        refreshed = await accounts.refresh_session(call, refresh_token)
    if isinstance(refreshed, accounts.OpenSession):
        return _session_response(door, refreshed)
    if isinstance(refreshed, accounts.ReusedToken):
        if refreshed.has_ended_session:
            _tell_of_reuse(door, request, refreshed)
        return _ALREADY_USED.response()
    return _REFRESH_PROBLEMS[refreshed].response()


def _tell_of_reuse(door: Door, request: Request, reused: accounts.ReusedToken) -> None:
    """A line of the log, and an event in the user's brands: a token was copied, and its session is over."""
    address = client_address(door, request)
    _log.warning(
        "a refresh token came back after it was replaced, its session is ended",
        request_id=request_id_of(request),
        user_id=str(reused.user_id),
        session_id=str(reused.session_id),
        address_prefix=address_prefix(address),
    )
    transactions = door.platform.transactions(SYSTEM, request_id_of(request))
    door.afterwards.start(record_token_reuse(transactions, reused.user_id, address))


def _session_response(door: Door, opened: accounts.OpenSession) -> Response:
    lifetime_s = door.platform.limits.access_token_lifetime_s
    issued_at = now_s()
    expires_at = issued_at + lifetime_s
    access_token = door.tokens.make_session_token(
        user_id=opened.account.id,
        session_id=opened.id,
        email=opened.account.email,
        issued_at=issued_at,
        expires_at=expires_at,
    )
    answer = session_answer(
        opened.account,
        access_token=access_token,
        refresh_token=opened.refresh_token,
        expires_in_s=lifetime_s,
        expires_at_s=expires_at,
        signed_in_at=opened.started_at,
    )
    return json_response(answer, headers={"cache-control": "no-store"})


def _check_method(request: Request, allowed: tuple[str, ...]) -> None:
    if (refusal := method_refusal(request, allowed)) is not None:
        raise refusal


def _session(door: Door, request: Request) -> Session:
    """The session of a user's token; the keys of anon and service are no session."""
    token = bearer_token(request)
    verified = verified_token(door, token) if token is not None else None
    if not isinstance(verified, Session):
        raise MintageError(NOT_AUTHENTICATED)
    return verified
