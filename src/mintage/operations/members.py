"""Members of a brand: who has which role, and the accounts that are made for new ones.

An account is one of ours, found by its e-mail address, or a user of the foreign issuer, found by issuer
and subject and by nothing else: no claim of an e-mail address makes anybody anybody else. Not here:
signing in (`accounts`) and what a role may do (`rules.roles`).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from mintage.db.connection import Connection
from mintage.db.paging import ListKey
from mintage.db.queries import query
from mintage.errors import FORBIDDEN, ArgumentProblem, MintageError, invalid_input, not_found
from mintage.operations.arguments_catalogue import (
    ListBrandMembers,
    RemoveBrandMember,
    SetBrandMember,
)
from mintage.operations.call import Answer, BlockingReason, Call, Refused, TryAgain
from mintage.operations.events import record_event
from mintage.operations.listing import page_answer, start_position
from mintage.operations.passwords import hash_password, new_password
from mintage.rules.roles import BrandRole, Role, keeps_an_owner, may_change_member

_USER_OF_EMAIL: Final = query("member", "user_of_email")
_INSERT_USER: Final = query("member", "insert_user")
_USER_OF_SUBJECT: Final = query("member", "user_of_subject")
_INSERT_USER_OF_SUBJECT: Final = query("member", "insert_user_of_subject")
_LOCK: Final = query("member", "lock")
_INSERT: Final = query("member", "insert")
_UPDATE: Final = query("member", "update")
_REMOVE: Final = query("member", "remove")
_NEWEST: Final = query("member", "list_newest")


@dataclass(frozen=True, slots=True)
class Account:
    """An account; `password` only of one that was made just now, the one time it can be seen."""

    user_id: UUID
    password: str | None


@dataclass(frozen=True, slots=True)
class Membership:
    """What a member's row says. `email` is what the brand calls a user of the foreign issuer."""

    role: BrandRole
    email: str | None


async def set_brand_member(call: Call, arguments: SetBrandMember) -> Answer:
    """Make somebody a member, or give a member another role; an account is made for a new e-mail.

    With `_subject` it is that user of the foreign issuer, and `_email` only how lists show him. Nobody
    grants above himself: owners are made and changed by owners (403). The last owner stays: a change
    that would leave none is refused with `LAST_OWNER`. The same again changes nothing.
    """
    user_id = await _known_user(call, arguments)
    members = await _locked_members(call, user_id)
    before = members.get(user_id) if user_id is not None else None
    _require_change(call, members, before, arguments.role)
    account = await _account(call, arguments)
    email = arguments.email if arguments.subject is not None else None
    await _set_membership(call, account.user_id, before, Membership(arguments.role, email))
    return {
        "ok": True,
        "user_id": account.user_id,
        "role": arguments.role,
        "password": account.password,
    }


async def remove_brand_member(call: Call, arguments: RemoveBrandMember) -> Answer:
    """Take a member out of the brand, at once; one may take out himself (CATALOGUE).

    Owners are removed by owners (403), the last one by nobody (`LAST_OWNER`). Raises 400 `P0002` for
    whoever is no member. His account, and what he made, stay.
    """
    members = await _locked_members(call, arguments.user_id)
    before = members.get(arguments.user_id)
    _require_change(call, members, before, None)
    if before is None:
        raise not_found("member")
    # Before the row goes: row-level security lets nobody write an event of a brand he has left.
    await _record(call, arguments.user_id, before.role, None)
    status = await call.connection.execute(_REMOVE, call.brand_id, arguments.user_id, before.role)
    if status != "DELETE 1":
        raise RuntimeError("a locked member changed")
    return {"ok": True, "removed": True}


async def list_brand_members(call: Call, arguments: ListBrandMembers) -> Answer:
    """One page of the brand's members, newest first (CATALOGUE)."""
    key = ListKey("list_brand_members", call.brand_id, {})
    start = start_position(key, arguments.cursor, None)
    rows = await call.connection.fetch(
        _NEWEST, call.brand_id, start.created_at, start.id, arguments.limit + 1
    )
    page = page_answer(key, "members", [dict(row) for row in rows], arguments.limit)
    members = [
        {
            "user_id": row["id"],
            "email": row["email"],
            "role": row["role"],
            "created_at": row["created_at"],
        }
        for row in rows[: arguments.limit]
    ]
    return {**page, "members": members}


async def account_of(call: Call, email: str) -> Account:
    """The account of an e-mail address; one is made, with a random password, if there is none."""
    user_id = await _user_of_email(call, email)
    if user_id is not None:
        return Account(user_id, None)
    password = new_password()
    made: UUID | None = await call.connection.fetchval(
        _INSERT_USER,
        call.new_id(),
        email,
        email_key(email),
        await hash_password(password),
        call.now,
    )
    if made is None:
        raise TryAgain
    return Account(made, password)


async def add_first_owner(call: Call, user_id: UUID) -> None:
    """Make an account the first owner of the call's brand, which has no members."""
    await _set_membership(call, user_id, None, Membership("owner", None))


def email_key(email: str) -> str:
    """What an e-mail address is compared by: lower(NFC)."""
    return unicodedata.normalize("NFC", email).lower()


async def _user_of_email(call: Call, email: str) -> UUID | None:
    user_id: UUID | None = await call.connection.fetchval(_USER_OF_EMAIL, email_key(email))
    return user_id


async def _known_user(call: Call, arguments: SetBrandMember) -> UUID | None:
    if arguments.subject is None:
        return await _user_of_email(call, arguments.email)
    issuer = call.limits.foreign_issuer
    if not issuer:
        hint = "leave it out: only where MINTAGE_FOREIGN_ISSUER is set are there foreign users"
        raise invalid_input([ArgumentProblem("_subject", "is of no issuer", hint)])
    return await user_id_of_subject(call.connection, issuer, arguments.subject)


async def user_id_of_subject(connection: Connection, issuer: str, subject: str) -> UUID | None:
    """The account of a foreign issuer's user, if he was ever made a member of a brand."""
    user_id: UUID | None = await connection.fetchval(_USER_OF_SUBJECT, issuer, subject)
    return user_id


async def _account(call: Call, arguments: SetBrandMember) -> Account:
    if arguments.subject is None:
        return await account_of(call, arguments.email)
    user_id = await _known_user(call, arguments)
    if user_id is None:
        user_id = await call.connection.fetchval(
            _INSERT_USER_OF_SUBJECT,
            call.new_id(),
            call.limits.foreign_issuer,
            arguments.subject,
            call.now,
        )
    if user_id is None:
        raise TryAgain
    return Account(user_id, None)


async def _locked_members(call: Call, user_id: UUID | None) -> dict[UUID, Membership]:
    """The brand's owners, the caller and the member to change, all locked.

    Locked in the order of their ids, so that two changes at once wait for each other and count owners
    one after the other.
    """
    concerned = [found for found in (user_id, call.caller.id) if found is not None]
    rows = await call.connection.fetch(_LOCK, call.brand_id, concerned)
    return {row["user_id"]: Membership(row["role"], row["email"]) for row in rows}


def _require_change(
    call: Call,
    members: Mapping[UUID, Membership],
    before: Membership | None,
    after: BrandRole | None,
) -> None:
    """403 for whoever may not make this change, `LAST_OWNER` for one that would leave no owner."""
    # The caller's role once more, now that it is locked: it may have changed while this call waited.
    granter: Role | None = call.role
    if call.caller.kind == "user" and call.caller.id is not None:
        caller = members.get(call.caller.id)
        granter = caller.role if caller is not None else None
    role_before = before.role if before is not None else None
    if granter is None or not may_change_member(granter, role_before, after):
        raise MintageError(FORBIDDEN, hint="only an owner makes, changes or removes owners")
    owners = sum(member.role == "owner" for member in members.values())
    if not keeps_an_owner(role_before, after, owners):
        raise _last_owner()


def _last_owner() -> Refused:
    reason = BlockingReason(
        "LAST_OWNER", "This is the brand's last owner; make another member an owner first."
    )
    return Refused({"ok": False, "blocking_reasons": [reason.as_answer()]})


async def _set_membership(
    call: Call, user_id: UUID, before: Membership | None, after: Membership
) -> None:
    if before == after:
        return
    values = (after.role, after.email, call.now)
    if before is None:
        inserted = await call.connection.fetchval(_INSERT, call.brand_id, user_id, *values)
        is_done = inserted is not None
    else:
        status = await call.connection.execute(
            _UPDATE, call.brand_id, user_id, before.role, *values
        )
        is_done = status == "UPDATE 1"
    if not is_done:
        # Somebody else made this member a moment ago: decide again, by the role that he has now.
        raise TryAgain
    await _record(call, user_id, before.role if before is not None else None, after.role)


async def _record(
    call: Call, user_id: UUID, before: BrandRole | None, after: BrandRole | None
) -> None:
    await record_event(
        call,
        "member_changed",
        payload={"user_id": str(user_id), "role": after, "previous_role": before},
    )
