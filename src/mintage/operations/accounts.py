"""Accounts and sessions: found, opened, refreshed, ended (SPEC §2, SECURITY).

A refresh token is the session's id and a secret, of which only the hash is kept; each use replaces
it, and one that was replaced before ends its session. Not here: passwords (`passwords`), how often
they are tried and access tokens (`api.auth`), and whose member an account is (`members`).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal
from uuid import UUID

import asyncpg

from mintage.db.queries import query
from mintage.operations.call import Call, Transactions
from mintage.operations.members import email_key

SignOutScope = Literal["global", "local", "others"]
RefreshProblem = Literal["not_found", "expired"]

_SECRET_BYTES: Final = 32
_TOKEN_CHARACTERS: Final = 64
_BY_EMAIL: Final = query("account", "by_email")
_OF_SESSION: Final = query("account", "of_session")
_INSERT_SESSION: Final = query("account", "insert_session")
_ROTATE: Final = query("account", "rotate_session")
_SESSION: Final = query("account", "session")
_END_SESSION: Final = query("account", "end_session")
_END_ALL: Final = query("account", "end_all_sessions")
_END_OTHERS: Final = query("account", "end_other_sessions")
_REMOVE_OLD: Final = query("account", "remove_old_sessions")
_REMOVED_AT_ONCE: Final = 10_000


@dataclass(frozen=True, slots=True)
class SignInAccount:
    """An account as its owner sees it. `password_hash` is for verifying and never answered."""

    id: UUID
    email: str
    password_hash: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A session that goes on, and the refresh token that replaces all earlier ones."""

    id: UUID
    account: SignInAccount
    started_at: datetime
    refresh_token: str


@dataclass(frozen=True, slots=True)
class ReusedToken:
    """A refresh token that was replaced before; `has_ended_session` the first time that one comes back."""

    session_id: UUID
    user_id: UUID
    has_ended_session: bool


async def account_by_email(call: Call, email: str) -> SignInAccount | None:
    """The account of an e-mail address, compared as `members.email_key` does."""
    row = await call.connection.fetchrow(_BY_EMAIL, email_key(email))
    return _account(row) if row is not None else None


async def account_of_session(
    call: Call, session_id: UUID, user_id: UUID
) -> tuple[SignInAccount, datetime] | None:
    """The account of a session that has neither ended nor expired, and when that began; or None."""
    row = await call.connection.fetchrow(_OF_SESSION, session_id, user_id, call.now)
    return (_account(row), row["started_at"]) if row is not None else None


async def open_session(call: Call, account: SignInAccount) -> OpenSession:
    """Begin a session of `account`, whose password has been verified."""
    session_id = call.new_id()
    token = _new_token(session_id)
    await call.connection.execute(
        _INSERT_SESSION, session_id, account.id, _hash(token), call.now, _expiry(call)
    )
    return OpenSession(session_id, account, call.now, token)


async def refresh_session(
    call: Call, refresh_token: str
) -> OpenSession | ReusedToken | RefreshProblem:
    """Replace the refresh token of a session, once.

    A token that was replaced before ends the session: it was copied, and nobody can tell by whom.
    The transaction must be committed for a problem too.
    """
    session_id = _session_of(refresh_token)
    if session_id is None:
        return "not_found"
    token = _new_token(session_id)
    row = await call.connection.fetchrow(
        _ROTATE, session_id, _hash(refresh_token), _hash(token), call.now, _expiry(call)
    )
    if row is not None:
        return OpenSession(session_id, _account(row), row["started_at"], token)
    session = await call.connection.fetchrow(_SESSION, session_id)
    if session is None:
        return "not_found"
    if session["refresh_hash"] == _hash(refresh_token):
        return "not_found" if session["ended_at"] is not None else "expired"
    ended = await call.connection.execute(
        _END_SESSION, session_id, "refresh_token_reused", call.now
    )
    return ReusedToken(session_id, session["user_id"], ended == "UPDATE 1")


async def end_sessions(call: Call, user_id: UUID, session_id: UUID, scope: SignOutScope) -> None:
    """Sign out: of all of a user's sessions, of this one, or of all but this one."""
    match scope:
        case "global":
            await call.connection.execute(_END_ALL, user_id, call.now)
        case "local":
            await call.connection.execute(_END_SESSION, session_id, "signed_out", call.now)
        case "others":
            await call.connection.execute(_END_OTHERS, user_id, session_id, call.now)


async def remove_old_sessions(transactions: Transactions) -> int:
    """A duty: remove sessions that expired long ago; how many. Until then a refresh is told why."""
    removed = 0
    while True:
        async with transactions.database.transaction(
            transactions.caller.identity(None)
        ) as connection:
            tag = await connection.execute(
                _REMOVE_OLD, transactions.limits.session_kept_days, _REMOVED_AT_ONCE
            )
        count = int(tag.rpartition(" ")[2])
        removed += count
        if count < _REMOVED_AT_ONCE:
            return removed


def _account(row: asyncpg.Record) -> SignInAccount:
    return SignInAccount(
        row["id"], row["email"], row["password_hash"], row["created_at"], row["updated_at"]
    )


def _expiry(call: Call) -> datetime:
    return call.now + timedelta(seconds=call.limits.refresh_token_lifetime_s)


def _new_token(session_id: UUID) -> str:
    return base64.urlsafe_b64encode(session_id.bytes + secrets.token_bytes(_SECRET_BYTES)).decode()


def _session_of(refresh_token: str) -> UUID | None:
    if len(refresh_token) != _TOKEN_CHARACTERS:
        return None
    try:
        return UUID(bytes=base64.b64decode(refresh_token, altchars=b"-_", validate=True)[:16])
    except (binascii.Error, ValueError):
        return None


def _hash(refresh_token: str) -> bytes:
    return hashlib.sha256(refresh_token.encode("ascii")).digest()
