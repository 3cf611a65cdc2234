"""Every route of the console, as its table lists them: its headers, its form token, its methods, its cookies.

A route that is added is tested here without a word; one with a new kind of id says so in `ID_OF`.
"""

from __future__ import annotations

import re
from dataclasses import replace

import httpx2
import pytest
from starlette.responses import Response
from starlette.routing import Match, Route

from mintage.console.app import RoutesByFolder, build_console, console_routes
from mintage.console.cookies import COOKIE, THEME_COOKIE, Cookies
from mintage.console.endpoint import Page
from mintage.console.render import STATIC_URL
from mintage.tokens import Session
from tests.console.conftest import Browser, Console
from tests.console.test_pages import stage

ID_OF = {"batches": "batch", "units": "unit", "exports": "group", "products": "product"}
NO_ID = "00000000-0000-0000-0000-000000000000"
POLICY = {"default-src 'self'", "object-src 'none'", "base-uri 'none'", "form-action 'self'"}
COOKIE_PARTS = {"httponly", "samesite=strict", "path=/console"}


def pages(console: Console) -> list[tuple[str, Page]]:
    """Address pattern and page of every route for people who have signed in."""
    routes = console_routes(console.door)
    return [(route.path, route.endpoint) for route in routes if isinstance(route.endpoint, Page)]


def filled(pattern: str, ids: dict[str, str]) -> str:
    """A route's address for the staged brand."""
    folder = pattern.removeprefix("/console/b/{slug}/").partition("/")[0]
    found = NO_ID if "of-pack" in pattern else ids.get(ID_OF.get(folder, ""), NO_ID)
    return re.sub(
        r"\{path:path\}", "none.csv", pattern.replace("{slug}", "acme").replace("{id}", found)
    )


def assert_protected(answer: httpx2.Response, what: str) -> None:
    """The headers that every answer of the console has."""
    policy = {part.strip() for part in answer.headers["content-security-policy"].split(";")}
    assert policy >= POLICY | {"frame-ancestors 'none'"}, what
    assert not any("unsafe" in part or "*" in part for part in policy), what
    assert answer.headers["x-content-type-options"] == "nosniff", what
    assert answer.headers["x-frame-options"] == "DENY", what
    assert answer.headers["referrer-policy"] == "same-origin", what
    assert answer.headers["cache-control"] == "no-store", what


async def test_every_page_is_kept_by_nobody_and_framed_by_nobody(
    console: Console, owner: Browser
) -> None:
    ids, nobody = await stage(console), console.browser()
    read = 0
    for pattern, page in pages(console):
        address = filled(pattern, ids)
        for browser in (owner, nobody):
            answer = await browser.get(address)
            assert_protected(answer, address)
        read += page.read is not None
        assert (await nobody.get(address)).status_code == 303, address
    assert read >= 20
    for address in ("/console/sign-in", "/console/nonsense", "/console/b/unknown/"):
        assert_protected(await owner.get(address), address)
        assert_protected(await nobody.get(address), address)
    for address in (f"{STATIC_URL}/console.css", f"{STATIC_URL}/console.js?v=1"):
        kept = await nobody.get(address)
        assert kept.headers["cache-control"].startswith("public, max-age="), address
        kept.headers["cache-control"] = "no-store"
        assert_protected(kept, address)


async def test_every_form_needs_the_token_of_its_own_session(
    console: Console, owner: Browser
) -> None:
    ids, other = await stage(console), await console.signed_in("admin")
    again = await console.signed_in("owner")
    written = 0
    for pattern, page in pages(console):
        if page.write is None:
            continue
        written, address = written + 1, filled(pattern, ids)
        for token in ("", "é", other.form_token, again.form_token):
            refused = await owner.post(address, {"form_token": token})
            assert refused.status_code == 403, (address, token)
            assert_protected(refused, address)
        foreign = await owner.post(address, origin="https://evil.example")
        assert foreign.status_code == 403, address
        stranger = await console.browser().post(address, {"form_token": owner.form_token})
        assert stranger.headers["location"].startswith("/console/sign-in"), address
    assert written >= 20


async def test_every_route_says_which_methods_it_takes(console: Console, owner: Browser) -> None:
    ids = await stage(console)
    for pattern, page in pages(console):
        address = filled(pattern, ids)
        allowed = {"GET", "HEAD"} if page.read is not None else set()
        allowed |= {"POST"} if page.write is not None else set()
        for method in sorted({"GET", "POST", "PUT", "DELETE"} - allowed):
            refused = await owner.client.request(method, address, headers=owner.headers)
            assert refused.status_code == 405, (method, address)
            assert set(refused.headers["allow"].split(", ")) == allowed, (method, address)


@pytest.mark.parametrize("url", ["https://mint.example.com", "http://localhost:8000"])
async def test_cookies_are_for_the_console_alone_and_secure_wherever_https_is(
    console: Console, owner: Browser, url: str
) -> None:
    door = replace(console.door, settings=replace(console.door.settings, platform_url=url))
    assert isinstance(owner.session, Session)
    cookies = Cookies(door.secrets, door.is_https)
    answer = Response()
    cookies.set_session(answer, owner.session)
    cookies.set_theme(answer, "dark")
    cookies.clear_session(answer)
    sent = [value.decode() for name, value in answer.raw_headers if name == b"set-cookie"]
    assert [cookie.partition("=")[0] for cookie in sent] == [COOKIE, THEME_COOKIE, COOKIE]
    for cookie in sent:
        parts = {part.strip().lower() for part in cookie.split(";")}
        assert parts >= COOKIE_PARTS, cookie
        assert ("secure" in parts) is url.startswith("https"), cookie
        assert not any(part.startswith("domain") for part in parts), cookie


async def test_no_page_sets_a_cookie_but_signing_and_the_theme(
    console: Console, owner: Browser
) -> None:
    ids = await stage(console)
    for pattern, _ in pages(console):
        assert "set-cookie" not in (await owner.get(filled(pattern, ids))).headers, pattern


def test_every_page_of_a_brand_is_found_in_its_folder(console: Console) -> None:
    routes = [route for route in console_routes(console.door) if "{slug}" in route.path]
    folders = RoutesByFolder(routes)
    for route in routes:
        scope = {"type": "http", "method": "GET", "path": filled(route.path, {})}
        match, found = folders.matches(scope)
        assert (match, found["route"]) == (Match.FULL, route), route.path
    for path in ("/console/b/acme", "/console/b/acme/nonsense", "/console/b/", "/elsewhere/units"):
        assert folders.matches({"type": "http", "method": "GET", "path": path})[0] is Match.NONE


def test_the_table_is_the_whole_console(console: Console) -> None:
    plain: list[Route] = []
    for route in build_console(console.door).routes:
        assert isinstance(route, Route | RoutesByFolder)
        plain += [route] if isinstance(route, Route) else route.routes
    built = {route.path for route in plain}
    assert built == {route.path for route in console_routes(console.door)}
    assert built - {path for path, _ in pages(console)} == {
        "/console/sign-in",
        f"{STATIC_URL}/{{path:path}}",
    }
