"""Signing in and out: the cookie, what it is good for, and what nobody gets past."""

from __future__ import annotations

import re
from uuid import uuid4

import httpx2
import pytest

from mintage.api.app import build_api
from mintage.api.door import Door
from mintage.console import cookies, visit
from mintage.console.cookies import COOKIE, LIFETIME_S, Cookies
from mintage.tokens import Session, now_s
from tests.console.conftest import HOME, PASSWORD, Browser, Console, give_password
from tests.support.minting import execute


async def test_the_right_password_leads_on_to_the_page_that_was_asked_for(console: Console) -> None:
    await give_password(console.world, "owner")
    browser = console.browser()
    asked = await browser.get(f"{HOME}batches")
    assert asked.status_code == 303
    assert asked.headers["location"] == "/console/sign-in?next=%2Fconsole%2Fb%2Facme%2Fbatches"
    form = await browser.get(asked.headers["location"])
    assert f'value="{HOME}batches"' in form.text
    entered = {"email": "Owner@Example.com", "password": PASSWORD, "next": f"{HOME}batches"}
    answer = await browser.post("/console/sign-in", entered)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{HOME}batches")
    assert (await browser.get(f"{HOME}batches")).status_code == 200


async def test_the_cookie_is_for_the_console_alone(console: Console) -> None:
    await give_password(console.world, "owner")
    answer = await console.browser().post(
        "/console/sign-in", {"email": "owner@example.com", "password": PASSWORD}
    )
    parts = {part.strip().lower() for part in answer.headers["set-cookie"].split(";")}
    assert {"httponly", "secure", "samesite=strict", "path=/console"} <= parts


@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("owner@example.com", "wrong"),
        ("unknown@example.com", PASSWORD),
        ("", ""),
        ("owner@example.com", "x" * 5000),
    ],
)
async def test_a_wrong_password_and_an_unknown_address_look_alike(
    console: Console, email: str, password: str
) -> None:
    await give_password(console.world, "owner")
    answer = await console.browser().post(
        "/console/sign-in", {"email": email, "password": password}
    )
    assert answer.status_code == 400
    assert "E-mail and password do not fit" in answer.text
    assert "set-cookie" not in answer.headers


async def test_too_many_tries_are_told_to_wait(console: Console) -> None:
    browser = console.browser()
    entered = {"email": "owner@example.com", "password": "wrong"}
    answers = [await browser.post("/console/sign-in", entered) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [400] * 5 + [429]
    assert "Wait a minute" in answers[-1].text


@pytest.mark.parametrize(
    "wanted",
    [
        "https://evil.example/",
        "//evil.example",
        "/console//evil.example",
        "/rest/v1/",
        "javascript:alert(1)",
        "/console/\r\nx: y",
        "/console/sign-in",
    ],
)
async def test_signing_in_leads_nowhere_else(console: Console, wanted: str) -> None:
    await give_password(console.world, "owner")
    entered = {"email": "owner@example.com", "password": PASSWORD, "next": wanted}
    answer = await console.browser().post("/console/sign-in", entered)
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/")


async def test_signing_out_ends_the_session_wherever_its_cookie_went(
    console: Console, owner: Browser
) -> None:
    copy = console.browser()
    copy.client.cookies.update(owner.client.cookies)
    assert (await copy.get(HOME)).status_code == 200
    answer = await owner.post("/console/sign-out")
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/sign-in")
    for browser in (owner, copy):
        assert (await browser.get(HOME)).status_code == 303


async def test_only_the_consoles_own_token_opens_it(
    console: Console, owner: Browser, door: Door
) -> None:
    assert owner.session is not None
    session_token = door.tokens.make_session_token(
        user_id=owner.session.user_id,
        session_id=owner.session.session_id,
        email="owner@example.com",
        issued_at=now_s(),
        expires_at=now_s() + 60,
    )
    own = Cookies(door.secrets, is_https=True).session_token(owner.session)
    unknown = Cookies(door.secrets, is_https=True).session_token(
        Session(owner.session.user_id, uuid4())
    )
    for token in (session_token, own[:-2], f"{own}x", "", "a.b.c", "x" * 2000, unknown):
        browser = console.browser()
        browser.client.cookies.set(COOKIE, token, domain="mint.example.com", path="/console")
        assert (await browser.get(HOME)).status_code == 303, token


async def test_a_cookie_is_no_good_after_its_hours(
    owner: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await owner.get(HOME)).status_code == 200
    for later_s, status in ((LIFETIME_S - 60, 200), (LIFETIME_S + 1, 303)):
        monkeypatch.setattr(cookies, "now_s", lambda later_s=later_s: now_s() + later_s)
        assert (await owner.get(HOME)).status_code == status, later_s


async def test_however_many_brands_there_are_each_is_led_to(
    console: Console, owner: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = console.world
    await execute(
        world,
        "insert into brand_member (brand_id, user_id, role, created_at, updated_at) "
        "values ($1, $2, 'viewer', now(), now())",
        world.other_brand_id,
        world.user_ids["owner"],
    )
    for page in (1, 2, 200):
        monkeypatch.setattr(visit, "_BRANDS_A_PAGE", page)
        text = (await owner.get("/console/")).text
        tiles = re.findall(r'class="tile" href="/console/b/([^/]*)/"', text)
        assert sorted(tiles) == ["acme", "rival"], page
        assert (await owner.get("/console/b/rival/units")).status_code == 200
        assert (await owner.get("/console/b/rival/mint")).status_code == 403


async def test_the_api_never_reads_the_cookie(owner: Browser, door: Door) -> None:
    assert owner.session is not None
    token = Cookies(door.secrets, is_https=True).session_token(owner.session)
    transport = httpx2.ASGITransport(build_api(door))
    async with httpx2.AsyncClient(
        transport=transport, base_url="https://mint.example.com"
    ) as client:
        body = {"_limit": 20}
        by_cookie = await client.post(
            "/rest/v1/rpc/list_my_brands", json=body, headers={"cookie": f"{COOKIE}={token}"}
        )
        as_bearer = await client.post(
            "/rest/v1/rpc/list_my_brands", json=body, headers={"authorization": f"Bearer {token}"}
        )
    assert (by_cookie.status_code, as_bearer.status_code) == (401, 401)


async def test_who_has_one_brand_is_led_to_it(owner: Browser) -> None:
    answer = await owner.get("/console/")
    assert (answer.status_code, answer.headers["location"]) == (303, HOME)


async def test_who_has_no_brand_is_told_whom_to_ask(console: Console) -> None:
    browser = await console.signed_in("nobody")
    answer = await browser.get("/console/")
    assert answer.status_code == 200
    assert "Ask an owner or admin" in answer.text


async def test_light_and_dark_are_remembered(owner: Browser) -> None:
    answer = await owner.post("/console/theme", {"theme": "dark", "next": f"{HOME}units"})
    assert answer.headers["location"] == f"{HOME}units"
    assert 'data-theme="dark"' in (await owner.get(f"{HOME}units")).text
    await owner.post("/console/theme", {"theme": "<script>", "next": HOME})
    assert 'data-theme="dark"' in (await owner.get(HOME)).text
