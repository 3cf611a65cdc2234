"""The record of sign-ins: an event in each brand of the account, which its owners and admins see.

An e-mail address that is no account's has no brand, and no event. Not here: whether a password is right
(`passwords`), sessions (`accounts`), and the line that every sign-in leaves in the log (`api.auth`).
"""

from __future__ import annotations

from datetime import timedelta
from ipaddress import ip_address, ip_network
from typing import Final, Literal
from uuid import UUID

from mintage.db.queries import query
from mintage.operations.call import ANONYMOUS, SYSTEM, Caller, Transactions
from mintage.operations.events import record_event

SignInDoor = Literal["api", "console"]

BRANDS_MAX: Final = 20
"""Brands of one account that are told; who is in more is told in the first by id."""
FAILURES_APART: Final = timedelta(minutes=1)
_BRANDS: Final = query("account", "brands_of_user")
_IS_RECORDED: Final = query("mint_event", "is_recorded_since")


async def record_sign_in(
    transactions: Transactions,
    user_id: UUID,
    address: str,
    door: SignInDoor,
    *,
    has_succeeded: bool,
) -> None:
    """Write `signed_in` (its actor is the user) or `sign_in_failed` (the system's: nobody knows who it was).

    A failure is written once a minute for an account, so that guessing fills no table. Of the address the
    prefix is kept.
    """
    caller = Caller("user", user_id) if has_succeeded else SYSTEM
    payload = {"user_id": str(user_id), "address_prefix": address_prefix(address), "door": door}
    for brand_id in await _brands_of(transactions, user_id):
        async with transactions.for_caller(caller).call(brand_id) as call:
            if has_succeeded:
                await record_event(call, "signed_in", payload=payload)
                continue
            since = call.now - FAILURES_APART
            if not await call.connection.fetchval(
                _IS_RECORDED, call.brand_id, "sign_in_failed", since, str(user_id)
            ):
                await record_event(call, "sign_in_failed", payload=payload)


async def record_token_reuse(transactions: Transactions, user_id: UUID, address: str) -> None:
    """Write `sign_in_failed` with the reason `refresh_token_reused`: a copied token has ended a session.

    Always: a session ends once, so this fills no table, and a wrong password before hides nothing.
    """
    payload = {
        "user_id": str(user_id),
        "address_prefix": address_prefix(address),
        "door": "api",
        "reason": "refresh_token_reused",
    }
    for brand_id in await _brands_of(transactions, user_id):
        async with transactions.for_caller(SYSTEM).call(brand_id) as call:
            await record_event(call, "sign_in_failed", payload=payload)


async def _brands_of(transactions: Transactions, user_id: UUID) -> list[UUID]:
    async with transactions.database.transaction(ANONYMOUS.identity(None)) as connection:
        return [row["brand_id"] for row in await connection.fetch(_BRANDS, user_id, BRANDS_MAX)]


def address_prefix(address: str) -> str | None:
    """The /24 of an IPv4 address, the /48 of an IPv6 one; None for what is no address."""
    try:
        found = ip_address(address.strip("[]").partition("%")[0])
    except ValueError:
        return None
    return str(ip_network((found, 24 if found.version == 4 else 48), strict=False))
