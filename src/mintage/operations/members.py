"""Members of a brand: who has which role, and the accounts that are made for new ones.

Not here: signing in (`sign_in`) and what a role may do (`rules.roles`).
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from mintage.db.queries import query
from mintage.errors import FORBIDDEN, MintageError
from mintage.operations.arguments import SetBrandMember
from mintage.operations.call import Answer, BlockingReason, Call, Refused, TryAgain
from mintage.operations.events import record_event
from mintage.operations.passwords import hash_password, new_password
from mintage.rules.roles import BrandRole, Role, keeps_an_owner, may_change_member

_USER_OF_EMAIL: Final = query("member", "user_of_email")
_INSERT_USER: Final = query("member", "insert_user")
_LOCK: Final = query("member", "lock")
_INSERT: Final = query("member", "insert")
_UPDATE: Final = query("member", "update")


@dataclass(frozen=True, slots=True)
class Account:
    """An account; `password` only of one that was made just now, the one time it can be seen."""

    user_id: UUID
    password: str | None


async def set_brand_member(call: Call, arguments: SetBrandMember) -> Answer:
    """Make somebody a member, or give a member another role; an account is made for a new e-mail.

    Nobody grants above himself: owners are made and changed by owners (403). The last owner stays: a
    change that would leave none is refused with `LAST_OWNER`. The same role again changes nothing.
    """
    user_id = await _user_of_email(call, arguments.email)
    roles = await _locked_roles(call, user_id)
    before = roles.get(user_id) if user_id is not None else None
    owners = sum(role == "owner" for role in roles.values())
    if not _may_change(call, roles, before, arguments.role):
        raise MintageError(FORBIDDEN, hint="only an owner makes or changes owners")
    if not keeps_an_owner(before, arguments.role, owners):
        raise _last_owner()
    account = await account_of(call, arguments.email)
    await _set_role(call, account.user_id, before, arguments.role)
    return {
        "ok": True,
        "user_id": account.user_id,
        "role": arguments.role,
        "password": account.password,
    }


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
    await _set_role(call, user_id, None, "owner")


def email_key(email: str) -> str:
    """What an e-mail address is compared by: lower(NFC)."""
    return unicodedata.normalize("NFC", email).lower()


async def _user_of_email(call: Call, email: str) -> UUID | None:
    user_id: UUID | None = await call.connection.fetchval(_USER_OF_EMAIL, email_key(email))
    return user_id


async def _locked_roles(call: Call, user_id: UUID | None) -> dict[UUID, BrandRole]:
    """The roles of the brand's owners, of the caller and of the member to change, all locked.

    Locked in the order of their ids, so that two changes at once wait for each other and count owners
    one after the other.
    """
    concerned = [found for found in (user_id, call.caller.id) if found is not None]
    rows = await call.connection.fetch(_LOCK, call.brand_id, concerned)
    return {row["user_id"]: row["role"] for row in rows}


def _may_change(
    call: Call, roles: dict[UUID, BrandRole], before: BrandRole | None, after: BrandRole
) -> bool:
    # The caller's role once more, now that it is locked: it may have changed while this call waited.
    granter: Role | None = call.role
    if call.caller.kind == "user" and call.caller.id is not None:
        granter = roles.get(call.caller.id)
    return granter is not None and may_change_member(granter, before, after)


def _last_owner() -> Refused:
    reason = BlockingReason(
        "LAST_OWNER", "This is the brand's last owner; make another member an owner first."
    )
    return Refused({"ok": False, "blocking_reasons": [reason.as_answer()]})


async def _set_role(call: Call, user_id: UUID, before: BrandRole | None, after: BrandRole) -> None:
    if before == after:
        return
    if before is None:
        inserted = await call.connection.fetchval(_INSERT, call.brand_id, user_id, after, call.now)
        is_done = inserted is not None
    else:
        status = await call.connection.execute(
            _UPDATE, call.brand_id, user_id, before, after, call.now
        )
        is_done = status == "UPDATE 1"
    if not is_done:
        # Somebody else made this member a moment ago: decide again, by the role that he has now.
        raise TryAgain
    await record_event(
        call,
        "member_changed",
        payload={"user_id": str(user_id), "role": after, "previous_role": before},
    )
