"""Who may do what: the roles table of SPEC §2 as data.

Here are only the roles, actions and scopes; which action an RPC needs is a column of the RPC table,
and a caller's role in a brand is read from the database.
"""

from collections.abc import Iterable
from typing import Final, Literal, get_args

BrandRole = Literal["owner", "admin", "editor", "viewer"]
Role = Literal["owner", "admin", "editor", "viewer", "service"]
Action = Literal[
    "mint:read",
    "mint:write",
    "exports:read",
    "exports:write",
    "products:write",
    "gates:write",
    "admin",
    "service",
]
Scope = Literal["mint:read", "mint:write", "exports:read", "exports:write", "products:write"]

BRAND_ROLES: Final[tuple[BrandRole, ...]] = get_args(BrandRole)
ROLES: Final[tuple[Role, ...]] = get_args(Role)
ACTIONS: Final[tuple[Action, ...]] = get_args(Action)
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)

_EVERY_MEMBER: Final[frozenset[Role]] = frozenset({"owner", "admin", "editor", "viewer", "service"})
_EDITORS: Final[frozenset[Role]] = frozenset({"owner", "admin", "editor", "service"})
_ADMINS: Final[frozenset[Role]] = frozenset({"owner", "admin", "service"})

ROLES_OF_ACTION: Final[dict[Action, frozenset[Role]]] = {
    "mint:read": _EVERY_MEMBER,
    "mint:write": _ADMINS,
    "exports:read": _EVERY_MEMBER,
    "exports:write": _ADMINS,
    "products:write": _EDITORS,
    "gates:write": _ADMINS,
    "admin": _ADMINS,
    "service": frozenset({"service"}),
}
# Actions that are missing here are closed to every API key.
SCOPE_OF_ACTION: Final[dict[Action, Scope]] = {
    "mint:read": "mint:read",
    "mint:write": "mint:write",
    "exports:read": "exports:read",
    "exports:write": "exports:write",
    "products:write": "products:write",
    "gates:write": "products:write",
}


def role_may(role: Role, action: Action) -> bool:
    """True if the role is in the action's row of the table."""
    return role in ROLES_OF_ACTION[action]


def scope_allows(scope: Scope, action: Action) -> bool:
    """True if an API key with this scope may do it; no scope contains another."""
    return SCOPE_OF_ACTION.get(action) == scope


def scopes_allow(scopes: Iterable[Scope], action: Action) -> bool:
    """True if any of an API key's scopes allows it."""
    return any(scope_allows(scope, action) for scope in scopes)


def may_change_member(granter: Role, before: BrandRole | None, after: BrandRole | None) -> bool:
    """True if `granter` may turn a member of role `before` into one of role `after`.

    None is no membership: the first for a new member, the second for a removal. Nobody grants above
    himself, and what concerns an owner is done by an owner or the service role.
    """
    if not role_may(granter, "admin"):
        return False
    return granter in ("owner", "service") or "owner" not in (before, after)


def keeps_an_owner(before: BrandRole | None, after: BrandRole | None, owners: int) -> bool:
    """True if the brand, which has that many owners now, still has one after the change."""
    return before != "owner" or after == "owner" or owners > 1
