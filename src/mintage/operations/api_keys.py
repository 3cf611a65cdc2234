"""API keys: made, listed, given another secret, revoked; and the exchange of a key for a token.

Of a secret only the SHA-256 is kept: it is 32 random bytes, which no list of passwords helps to guess. A
key's row is read on each call (`perform`), so what is revoked here ends at once. Not here: the grant over
HTTP (`api.client_credentials`) and the tokens (`tokens`).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg

from mintage.db.paging import ListKey
from mintage.db.queries import query
from mintage.errors import ArgumentProblem, invalid_input, not_found
from mintage.operations.arguments_catalogue import (
    CreateApiKey,
    ListApiKeys,
    RevokeApiKey,
    RotateApiKey,
)
from mintage.operations.call import Answer, BlockingReason, Call, Refused
from mintage.operations.events import record_event
from mintage.operations.listing import page_answer, start_position
from mintage.rules.roles import SCOPES, Scope

CLIENT_ID_PREFIX: Final = "mk_live_"
SECRET_PREFIX: Final = "ms_live_"  # noqa: S105 - what every secret begins with
CLIENT_ID_CHARACTERS: Final = len(CLIENT_ID_PREFIX) + 24
SECRET_CHARACTERS: Final = len(SECRET_PREFIX) + 43

_CLIENT_ID_BYTES: Final = 12
_SECRET_BYTES: Final = 32
_NOBODYS_HASH: Final = bytes(hashlib.sha256().digest_size)
_INSERT: Final = query("api_key", "insert")
_LOCK: Final = query("api_key", "lock")
_SET_SECRET: Final = query("api_key", "set_secret")
_REVOKE: Final = query("api_key", "revoke")
_NEWEST: Final = query("api_key", "list_newest")
_BY_CLIENT_ID: Final = query("api_key", "by_client_id")
_USE: Final = query("api_key", "use")


@dataclass(frozen=True, slots=True)
class KeyInUse:
    """A key that has shown its secret: whose it is, what it may, until when (None: for ever)."""

    id: UUID
    brand_id: UUID
    scopes: frozenset[Scope]
    expires_at: datetime | None
    now: datetime


async def create_api_key(call: Call, arguments: CreateApiKey) -> Answer:
    """Make a key of the brand; its secret is answered this once (CATALOGUE).

    Owners and admins may do all that a scope allows, so nobody grants above himself. Raises 400 for a
    time that is not in the future.
    """
    if arguments.expires_at is not None and arguments.expires_at <= call.now:
        hint = "must be a time in the future such as 2030-01-31T12:00:00Z, or left out"
        raise invalid_input([ArgumentProblem("_expires_at", "is not in the future", hint)])
    key_id = call.new_id()
    client_id = CLIENT_ID_PREFIX + secrets.token_hex(_CLIENT_ID_BYTES)
    secret = _new_secret()
    await call.connection.execute(
        _INSERT,
        call.brand_id,
        key_id,
        client_id,
        _hash(secret),
        arguments.name,
        arguments.scopes,
        call.caller.id,
        call.now,
        arguments.expires_at,
    )
    expires_at = arguments.expires_at.isoformat() if arguments.expires_at is not None else None
    await _record(
        call,
        key_id,
        "created",
        name=arguments.name,
        scopes=arguments.scopes,
        expires_at=expires_at,
    )
    return {"ok": True, "id": key_id, "client_id": client_id, "client_secret": secret}


async def list_api_keys(call: Call, arguments: ListApiKeys) -> Answer:
    """One page of the brand's keys, newest first, those that are over too; never a secret (CATALOGUE)."""
    key = ListKey("list_api_keys", call.brand_id, {})
    start = start_position(key, arguments.cursor, None)
    rows = await call.connection.fetch(
        _NEWEST, call.brand_id, start.created_at, start.id, arguments.limit + 1
    )
    return page_answer(key, "api_keys", [dict(row) for row in rows], arguments.limit)


async def rotate_api_key(call: Call, arguments: RotateApiKey) -> Answer:
    """Give a key another secret, which is answered this once; the old one is dead at once (CATALOGUE).

    Raises 400 `P0002` for an unknown key; refuses `API_KEY_NOT_ACTIVE` for one that is over.
    """
    row = await _locked(call, arguments.api_key_id)
    if row["revoked_at"] is not None:
        raise _not_active("was revoked")
    if row["expires_at"] is not None and row["expires_at"] <= call.now:
        raise _not_active("has expired")
    secret = _new_secret()
    status = await call.connection.execute(
        _SET_SECRET, call.brand_id, arguments.api_key_id, _hash(secret)
    )
    if status != "UPDATE 1":
        raise RuntimeError("a locked API key changed")
    await _record(call, arguments.api_key_id, "rotated", name=row["name"])
    return {
        "ok": True,
        "id": arguments.api_key_id,
        "client_id": row["client_id"],
        "client_secret": secret,
    }


async def revoke_api_key(call: Call, arguments: RevokeApiKey) -> Answer:
    """End a key at once, tokens that it was exchanged for included; again changes nothing (CATALOGUE).

    Raises 400 `P0002` for an unknown key.
    """
    row = await _locked(call, arguments.api_key_id)
    if row["revoked_at"] is None:
        status = await call.connection.execute(
            _REVOKE, call.brand_id, arguments.api_key_id, call.now
        )
        if status != "UPDATE 1":
            raise RuntimeError("a locked API key changed")
        await _record(
            call,
            arguments.api_key_id,
            "revoked",
            name=row["name"],
            reason=arguments.reason,
        )
    return {"ok": True, "revoked": True}


async def use_api_key(call: Call, client_id: str, client_secret: str) -> KeyInUse | None:
    """The key that these are of, stamped as used now; None for any that is not exactly right.

    An unknown client id takes the same work as a wrong secret (SECURITY, enumeration).
    """
    row = await call.connection.fetchrow(_BY_CLIENT_ID, client_id)
    given = _hash(client_secret)
    kept: bytes = row["secret_hash"] if row is not None else _NOBODYS_HASH
    if not hmac.compare_digest(given, kept) or row is None:
        return None
    used = await call.connection.fetchrow(_USE, row["brand_id"], row["id"], given, call.now)
    if used is None:
        return None
    scopes = frozenset(scope for scope in SCOPES if scope in used["scopes"])
    return KeyInUse(row["id"], row["brand_id"], scopes, used["expires_at"], call.now)


async def _locked(call: Call, key_id: UUID) -> asyncpg.Record:
    row = await call.connection.fetchrow(_LOCK, call.brand_id, key_id)
    if row is None:
        raise not_found("API key")
    return row


def _not_active(problem: str) -> Refused:
    reason = BlockingReason("API_KEY_NOT_ACTIVE", f"The API key {problem}; make another one.")
    return Refused({"ok": False, "blocking_reasons": [reason.as_answer()]})


async def _record(call: Call, key_id: UUID, change: str, **facts: object) -> None:
    payload = {"api_key_id": str(key_id), "change": change} | facts
    await record_event(call, "api_key_changed", payload=payload)


def _new_secret() -> str:
    return SECRET_PREFIX + secrets.token_urlsafe(_SECRET_BYTES)


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
