"""Settings of the brand: members, API keys, hosts, and how it mints, prints and watches for clones."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from starlette.responses import Response

from mintage.console.acting import Outcome, sentence_of, tried, unconfirmed
from mintage.console.forms import Form
from mintage.console.render import go_to, page
from mintage.console.visit import Visit
from mintage.errors import MintageError
from mintage.packs.print_profiles import PROFILES
from mintage.rules.lifecycle import ACTIVATION_MODES, IDENTITY_MODES
from mintage.rules.roles import BRAND_ROLES, SCOPES

_LISTED_MAX: Final = 200
_TEXTS: Final = ("biz_location", "read_point", "print_profile")
_NUMBERS: Final = ("strata", "gcp_length")
_CHOICES: Final = ("name", "default_identity_mode", "default_activation_mode")


async def settings(visit: Visit) -> Response:
    """`GET /console/b/<slug>/settings`."""
    visit.require("admin")
    return await _settings_page(visit)


async def update_settings(visit: Visit, form: Form) -> Response:
    """`POST …/settings`: the part of the settings that the form holds."""
    patch: dict[str, object] = {}
    try:
        for name in _NUMBERS:
            if name in form.fields:
                patch[name] = form.whole_number(name)
        thresholds = {
            name.removeprefix("threshold_"): form.whole_number(name)
            for name in form.fields
            if name.startswith("threshold_")
        }
    except MintageError as error:
        return await _settings_page(visit, Outcome(None, sentence_of(error), 400))
    patch |= {name: form.get(name) for name in _CHOICES if name in form.fields}
    patch |= {name: form.optional(name) for name in _TEXTS if name in form.fields}
    if thresholds:
        patch["clone_thresholds"] = thresholds
    if "redirects" in form.fields:
        patch["redirect_signed_urls"] = form.get("redirect_signed_urls") == "yes"
    return await _done(visit, await tried(visit, "update_brand_settings", patch=patch))


async def set_member(visit: Visit, form: Form) -> Response:
    """`POST …/settings/members`: a new member, or another role; a first password is shown once."""
    outcome = await tried(visit, "set_brand_member", email=form.get("email"), role=form.get("role"))
    if outcome.answer is not None and outcome.answer["password"] is not None:
        return await _settings_page(
            visit, shown_once={"email": form.get("email"), "password": outcome.answer["password"]}
        )
    return await _done(visit, outcome)


async def remove_member(visit: Visit, form: Form) -> Response:
    """`POST …/settings/members/remove`."""
    outcome = unconfirmed(form, "settings.remove_not_confirmed")
    if outcome is None:
        outcome = await tried(visit, "remove_brand_member", user_id=form.get("user_id"))
    return await _done(visit, outcome)


async def create_key(visit: Visit, form: Form) -> Response:
    """`POST …/settings/keys`: its secret is shown once, in the answer."""
    expires_on = form.optional("expires_on")
    outcome = await tried(
        visit,
        "create_api_key",
        name=form.get("name"),
        scopes=form.lists.get("scopes", []),
        expires_at=f"{expires_on}T00:00:00Z" if expires_on else None,
    )
    return await _with_secret(visit, outcome)


async def rotate_key(visit: Visit, form: Form) -> Response:
    """`POST …/settings/keys/rotate`: a new secret; the old one holds no more."""
    outcome = unconfirmed(form, "settings.rotate_not_confirmed")
    if outcome is None:
        outcome = await tried(visit, "rotate_api_key", api_key_id=form.get("api_key_id"))
    return await _with_secret(visit, outcome)


async def revoke_key(visit: Visit, form: Form) -> Response:
    """`POST …/settings/keys/revoke`."""
    outcome = unconfirmed(form, "settings.revoke_key_not_confirmed")
    if outcome is None:
        outcome = await tried(visit, "revoke_api_key", api_key_id=form.get("api_key_id"))
    return await _done(visit, outcome)


async def _with_secret(visit: Visit, outcome: Outcome) -> Response:
    if outcome.answer is None:
        return await _settings_page(visit, outcome)
    names = ("client_id", "client_secret")
    return await _settings_page(
        visit, shown_once={name: str(outcome.answer[name]) for name in names}
    )


async def _done(visit: Visit, outcome: Outcome) -> Response:
    if outcome.answer is None:
        return await _settings_page(visit, outcome)
    return go_to(visit.request, visit.here.url("settings"))


async def _settings_page(
    visit: Visit, outcome: Outcome | None = None, shown_once: dict[str, str] | None = None
) -> Response:
    found, members, keys, hosts = await asyncio.gather(
        visit.ask("get_brand_settings"),
        _all(visit, "list_brand_members", "members"),
        _all(visit, "list_api_keys", "api_keys"),
        _all(visit, "list_brand_hosts", "hosts"),
    )
    return page(
        visit,
        "settings.html",
        section="settings",
        status=outcome.status if outcome is not None else 200,
        problem=outcome.problem if outcome is not None else None,
        shown_once=shown_once,
        settings=found["settings"],
        members=members,
        keys=keys,
        hosts=hosts,
        roles=BRAND_ROLES,
        scopes=SCOPES,
        profiles=PROFILES.values(),
        identity_modes=IDENTITY_MODES,
        activation_modes=ACTIVATION_MODES,
    )


async def _all(visit: Visit, rpc_name: str, key: str) -> list[dict[str, Any]]:
    answer = await visit.ask(rpc_name, limit=_LISTED_MAX)
    rows: list[dict[str, Any]] = answer[key]
    return rows
