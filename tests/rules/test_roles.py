"""The roles table of SPEC §2, cell by cell."""

import pytest

from mintage.rules.roles import (
    ACTIONS,
    BRAND_ROLES,
    ROLES,
    SCOPES,
    BrandRole,
    Role,
    keeps_an_owner,
    may_change_member,
    role_may,
    scope_allows,
    scopes_allow,
)

WHO_MAY = {
    "mint:read": "owner admin editor viewer service",
    "mint:write": "owner admin service",
    "exports:read": "owner admin editor viewer service",
    "exports:write": "owner admin service",
    "products:write": "owner admin editor service",
    "gates:write": "owner admin service",
    "admin": "owner admin service",
    "service": "service",
}
SCOPE_NEEDED = {
    "mint:read": "mint:read",
    "mint:write": "mint:write",
    "exports:read": "exports:read",
    "exports:write": "exports:write",
    "products:write": "products:write",
    "gates:write": "products:write",
    "admin": None,
    "service": None,
}


def test_the_table_has_a_row_for_every_action() -> None:
    assert set(WHO_MAY) == set(SCOPE_NEEDED) == set(ACTIONS)


def test_every_role_may_exactly_what_the_table_says() -> None:
    for action in ACTIONS:
        assert {role for role in ROLES if role_may(role, action)} == set(WHO_MAY[action].split())


def test_every_scope_opens_exactly_what_the_table_says() -> None:
    for action in ACTIONS:
        opening = [scope for scope in SCOPES if scope_allows(scope, action)]
        assert opening == ([SCOPE_NEEDED[action]] if SCOPE_NEEDED[action] else [])


def test_all_scopes_together_do_not_open_administration() -> None:
    assert not scopes_allow(SCOPES, "admin")
    assert not scopes_allow(SCOPES, "service")
    assert not scopes_allow([], "mint:read")
    assert scopes_allow(["exports:read", "mint:read"], "mint:read")


@pytest.mark.parametrize("granter", ["editor", "viewer"])
def test_editors_and_viewers_change_no_member(granter: Role) -> None:
    roles: list[BrandRole | None] = [None, *BRAND_ROLES]
    assert not any(may_change_member(granter, a, b) for a in roles for b in roles)


def test_an_admin_changes_all_but_owners() -> None:
    others: list[BrandRole | None] = [None, "admin", "editor", "viewer"]
    assert all(may_change_member("admin", a, b) for a in others for b in others)
    assert not any(may_change_member("admin", "owner", b) for b in [*others, "owner"])
    assert not any(may_change_member("admin", a, "owner") for a in others)


@pytest.mark.parametrize("granter", ["owner", "service"])
def test_owners_and_the_service_change_every_member(granter: Role) -> None:
    roles: list[BrandRole | None] = [None, *BRAND_ROLES]
    assert all(may_change_member(granter, a, b) for a in roles for b in roles)


def test_the_last_owner_stays() -> None:
    assert not keeps_an_owner("owner", None, owners=1)
    assert not keeps_an_owner("owner", "admin", owners=1)
    assert keeps_an_owner("owner", "owner", owners=1)
    assert keeps_an_owner("owner", "admin", owners=2)
    assert keeps_an_owner("admin", None, owners=1)
