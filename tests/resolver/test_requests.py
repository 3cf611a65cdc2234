"""Hosts, headers, methods, queries, languages: what is true of every answer."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from urllib.parse import unquote
from uuid import uuid4

import httpx2
import pytest
from starlette.types import Message

from mintage.operations.call import SERVICE
from mintage.resolver.app import build_resolver
from mintage.resolver.texts import LANGUAGES, TEXTS
from tests.resolver.desk import BASE_URL, HOST, IPHONE, NOW, PROXY, Desk
from tests.support.world import GTIN_TABLE, World

RIVAL = "rival.example.com"


async def _answers_of_all_kinds(desk: Desk) -> dict[str, httpx2.Response]:
    """One answer of each status the resolver has, by name."""
    minted = await desk.world.minted(2)
    listed = await desk.world.rpc("list_mint_units", mint_batch_id=minted["mint_batch_id"])
    first, second = listed["units"]
    await desk.revoke(second["id"])
    bot = {"User-Agent": "Googlebot/2.1"}
    async with desk.phone() as phone:
        return {
            "redirect": await phone.get(first["resolver_url"]),
            "page": await phone.get(f"/p/{first['product_id']}"),
            "preview": await phone.get(first["resolver_url"], headers=bot),
            "gone": await phone.get(second["resolver_url"]),
            "not issued": await phone.get(f"/mu/{uuid4()}"),
            "nothing here": await phone.get("/"),
            "bad request": await phone.get("/01/123"),
            "unknown host": await phone.get("/", headers={"Host": "example.org"}),
            "method": await phone.post(first["resolver_url"]),
            "options": await phone.options(first["resolver_url"]),
        }


async def test_every_answer_has_cors_and_is_kept_by_no_cache(desk: Desk) -> None:
    answers = await _answers_of_all_kinds(desk)
    statuses = {name: answer.status_code for name, answer in answers.items()}
    assert list(statuses.values()) == [307, 200, 200, 410, 404, 404, 400, 404, 405, 204]
    for answer in answers.values():
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["access-control-allow-methods"] == "GET, HEAD, OPTIONS"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"


async def test_every_answer_names_the_linkset(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = await _answers_of_all_kinds(desk)
    product_id = await desk.world.product(name="Stool", gtin=None)
    for name in ("iso", "fsc"):
        await desk.world.rpc(
            *("set_product_link", "admin"),
            product_id=product_id,
            link_type="gs1:certificationInfo",
            href=f"https://brand.example/{name}",
            title=name,
        )
    once = replace(desk.resolver.limits, misses_a_minute_max=1)
    hasty = replace(desk, resolver=replace(desk.resolver, limits=once))
    async with desk.phone() as phone, hasty.phone() as guesser:
        answers["choices"] = await phone.get(f"/p/{product_id}?linkType=gs1:certificationInfo")
        answers["linkset"] = await phone.get(f"/p/{product_id}?linkType=linkset")
        answers["description"] = await phone.get("/.well-known/gs1resolver")
        answers["no such link"] = await phone.get(f"/p/{product_id}?linkType=gs1:pips")
        await guesser.get(f"/mu/{uuid4()}")
        answers["too many"] = await guesser.get(f"/mu/{uuid4()}")

        def away(*_: object, **__: object) -> object:
            raise ConnectionRefusedError

        monkeypatch.setattr(type(desk.resolver.database), "transaction", away)
        answers["unavailable"] = await phone.get(f"/p/{product_id}")
    assert {name: answers[name].status_code for name in list(answers)[10:]} == {
        "choices": 300,
        "linkset": 200,
        "description": 200,
        "no such link": 404,
        "too many": 429,
        "unavailable": 503,
    }
    said = re.compile(r'<[^>]*\?linkType=linkset>; rel="linkset"; type="application/linkset\+json"')
    for name, answer in answers.items():
        assert said.match(answer.headers["link"]), name


async def test_every_page_is_small_scriptless_and_under_a_strict_policy(desk: Desk) -> None:
    answers = await _answers_of_all_kinds(desk)
    pages = [
        answer
        for answer in answers.values()
        if "text/html" in answer.headers.get("content-type", "")
    ]
    assert len(pages) == 8
    for page in pages:
        assert len(page.content) < 20_000
        assert "<script" not in page.text
        assert re.search(r'\son\w+=|\sstyle="', page.text) is None
        policy = page.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'sha256-")
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert page.text.count("<h1>") == 1
        assert '<html lang="en">' in page.text
        assert 'name="viewport" content="width=device-width' in page.text
        _Tags().feed(page.text)


class _Tags(HTMLParser):
    """Fails on a tag that is closed but not open, and on an image without a text."""

    def __init__(self) -> None:
        super().__init__()
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            assert dict(attrs)["alt"]
        if tag not in {"meta", "img"}:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag


async def test_head_has_gets_headers_and_no_body(desk: Desk) -> None:
    product_id = await desk.world.product()
    for path in (f"/p/{product_id}", f"/p/{uuid4()}", "/01/123"):
        async with desk.phone() as phone:
            got, headed = await phone.get(path), await phone.head(path)
        assert (headed.status_code, headed.headers) == (got.status_code, got.headers)
        assert (len(headed.content), headed.headers["content-length"]) == (0, str(len(got.content)))


async def test_all_query_pairs_are_passed_on_as_they_were_sent(desk: Desk) -> None:
    product_id = await desk.world.product(gtin=GTIN_TABLE)
    query = "17=271231&utm=a%2Fb&x=1&x=2&flag&e=&t=a+b"
    async with desk.phone() as phone:
        answer = await phone.get(f"/01/{GTIN_TABLE}?{query}")
    assert answer.headers["location"] == f"{BASE_URL}/p/{product_id}?{query}"


@pytest.mark.parametrize("characters", ["a|b", "{x}", "`", "^", "\\", '"<>"', "ä", "a|b&17=271231"])
async def test_what_browsers_send_raw_in_a_query_is_escaped_and_passed_on(
    desk: Desk, characters: str
) -> None:
    minted = await desk.world.minted(1)
    listed = await desk.world.rpc("list_mint_units", mint_batch_id=minted["mint_batch_id"])
    [unit] = listed["units"]
    link = {"link_type": "gs1:pip", "href": "https://brand.example/", "title": "Home"}
    await desk.world.rpc(
        "set_product_link", "admin", product_id=unit["product_id"], is_default=True, **link
    )
    path = unit["resolver_url"].removeprefix(BASE_URL)
    status, headers = await _raw_get(desk, path.encode(), f"a={characters}".encode())
    assert status == 307
    location = headers[b"location"].decode("ascii")
    assert location.startswith("https://brand.example/?a=")
    assert unquote(location).removeprefix("https://brand.example/?a=") == characters
    assert re.search(r"[^A-Za-z0-9!$&'()*+,;=:@/?\-._~%]", location) is None


@pytest.mark.parametrize("query", [b"17=2712|31", b"17=2712{31", b"2024=x", b"17=\\"])
async def test_what_is_no_value_of_an_identifier_is_refused_in_a_query(
    desk: Desk, query: bytes
) -> None:
    await desk.world.product(gtin=GTIN_TABLE)
    status, _ = await _raw_get(desk, f"/01/{GTIN_TABLE}".encode(), query)
    assert status == 400


async def test_a_units_redirect_has_the_pairs_and_then_one_signed_token(desk: Desk) -> None:
    minted = await desk.world.minted(1)
    [path] = await desk.urls(minted["mint_batch_id"])
    async with desk.phone() as phone:
        answer = await phone.get(f"{path}?a=1&mintage_genuine=forged&b=2")
    pattern = r"https://acme\.example\.com/p/[0-9a-f-]{36}\?a=1&b=2&mintage_genuine=[\w-]{32}"
    assert re.fullmatch(pattern, answer.headers["location"])


async def test_a_token_is_worth_nothing_when_forged_late_or_of_another_product(desk: Desk) -> None:
    minted = await desk.world.minted(1)
    other = await desk.world.product()
    [path] = await desk.urls(minted["mint_batch_id"])
    async with desk.phone() as phone:
        location = (await phone.get(path)).headers["location"]
        last = "A" if location[-1] != "A" else "B"
        forged = await phone.get(location[:-1] + last)
        plain = await phone.get(location.partition("?")[0] + "?mintage_genuine=2026-11-24")
        others = await phone.get(f"/p/{other}?{location.partition('?')[2]}")
    tomorrow = replace(desk, resolver=replace(desk.resolver, pinned_now=NOW.replace(day=25)))
    async with tomorrow.phone() as phone:
        late = await phone.get(location)
    for answer in (forged, plain, others, late):
        assert answer.status_code == 200
        assert "Genuine" not in answer.text


HOSTILE_QUERIES = (
    b"x=\r\nSet-Cookie: a=b",
    b"x=%0d%0aSet-Cookie:%20a=b",
    b"//evil.example.org",
    b"@evil.example.org/",
    b"\\evil.example.org",
    b'x=\x00\xff"<script>',
    b"#@evil.example.org",
)


@pytest.mark.parametrize("query", HOSTILE_QUERIES)
async def test_no_query_leads_elsewhere_or_breaks_a_header(desk: Desk, query: bytes) -> None:
    product_id = await desk.world.product()
    minted_batch = await desk.world.minted(1, gtin=None)
    path = f"/mb/{minted_batch['mint_batch_id']}"
    status, headers = await _raw_get(desk, path.encode(), query)
    location = headers[b"location"]
    assert status == 307
    assert location.startswith(f"{BASE_URL}/p/".encode())
    assert str(product_id).encode() not in location
    url = httpx2.URL(location.decode("ascii"))
    assert (url.scheme, url.host, len(url.path)) == ("https", HOST, 39)
    assert re.search(rb"[\x00-\x20\"<>\\\x7f-\xff]", location) is None


@pytest.mark.parametrize(
    "href",
    [
        "https://shop.example.com",
        "https://shop.example.com:8443/a/b",
        "https://shop.example.com/a?b=c",
        "https://shop.example.com/a?b=c#d",
        "https://shop.example.com#d",
    ],
)
async def test_no_query_changes_where_a_stored_link_leads(desk: Desk, href: str) -> None:
    world = desk.world
    product_id = await world.product()
    submitted = await world.submit(product_id, 1)
    await world.run(submitted["mint_job_id"])
    await world.rpc(
        "set_product_link",
        product_id=product_id,
        link_type="gs1:pip",
        href=href,
        title="Shop",
        is_default=True,
    )
    stored, path = httpx2.URL(href), f"/mb/{submitted['mint_batch_id']}".encode()
    for query in HOSTILE_QUERIES:
        status, headers = await _raw_get(desk, path, query)
        assert status == 307, query
        location = headers[b"location"]
        found = httpx2.URL(location.decode("ascii"))
        assert (found.scheme, found.host, found.port) == (stored.scheme, stored.host, stored.port)
        assert found.path == stored.path
        assert found.fragment == stored.fragment
        assert re.search(rb"[\x00-\x20\"<>\\\x7f-\xff]", location) is None


async def _raw_get(desk: Desk, path: bytes, query: bytes) -> tuple[int, dict[bytes, bytes]]:
    """A GET with bytes that no client library would send."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "path": path.decode(),
        "raw_path": path,
        "query_string": query,
        "headers": [(b"host", HOST.encode()), (b"user-agent", IPHONE.encode())],
        "client": ("203.0.113.77", 1),
        "scheme": "https",
        "server": (HOST, 443),
    }
    await build_resolver(desk.resolver)(scope, receive, send)
    return sent[0]["status"], dict(sent[0]["headers"])


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("acme.example.com", 200),
        ("ACME.example.com:8443", 200),
        ("acme.example.com.", 404),
        ("xacme.example.com", 404),
        ("acme.example.com@rival.example.com", 404),
        ("[::1]:80", 404),
        ("", 404),
    ],
)
async def test_a_host_is_known_by_exact_match(desk: Desk, host: str, status: int) -> None:
    product_id = await desk.world.product()
    async with desk.phone() as phone:
        answer = await phone.get(f"/p/{product_id}", headers={"Host": host})
    assert answer.status_code == status
    assert ("brand_not_found" in answer.text) == (status == 404)


async def test_a_host_that_is_not_verified_is_no_brands(desk: Desk) -> None:
    product_id = await desk.world.product()
    database = desk.world.platform.database
    async with database.transaction(SERVICE.identity(None)) as connection:
        await connection.execute("update brand_host set verified_at = null where host = $1", HOST)
    async with desk.phone() as phone:
        answer = await phone.get(f"/p/{product_id}")
    assert (answer.status_code, "brand_not_found" in answer.text) == (404, True)


async def test_a_forwarded_host_is_believed_from_a_configured_proxy_only(desk: Desk) -> None:
    product_id = await desk.world.product()
    forwarded = {"Host": "internal.example.net", "X-Forwarded-Host": HOST}
    hijacked = {"Host": HOST, "X-Forwarded-Host": RIVAL}
    statuses = {}
    for peer in (PROXY, "203.0.113.77"):
        async with desk.phone(peer) as phone:
            statuses[peer] = [
                (await phone.get(f"/p/{product_id}", headers=headers)).status_code
                for headers in (forwarded, hijacked)
            ]
    assert statuses == {PROXY: [200, 404], "203.0.113.77": [404, 200]}


async def test_a_redirect_is_built_from_the_stored_base_url_of_its_host(desk: Desk) -> None:
    world: World = desk.world
    product_id = await world.product(gtin=GTIN_TABLE)
    async with world.platform.database.transaction(SERVICE.identity(None)) as connection:
        await connection.execute(
            "insert into brand_host (host, brand_id, base_url, verified_at, created_at) "
            "values ('id.acme.example', $1, 'https://id.acme.example:8443', now(), now())",
            world.brand_id,
        )
    headers = {"Host": "id.acme.example:99", "X-Forwarded-Proto": "http"}
    async with desk.phone() as phone:
        answer = await phone.get(f"/01/{GTIN_TABLE}", headers=headers)
    assert answer.headers["location"] == f"https://id.acme.example:8443/p/{product_id}"


@pytest.mark.parametrize("language", LANGUAGES)
async def test_pages_are_in_the_readers_language(desk: Desk, language: str) -> None:
    minted = await desk.world.minted(1)
    [path] = await desk.urls(minted["mint_batch_id"])
    texts = next(texts for name, texts in TEXTS.items() if name == language)
    headers = {"Accept-Language": f"nl, {language}-XX;q=0.9, en;q=0.1"}
    async with desk.phone() as phone:
        phone.headers.update(headers)
        page = await phone.get((await phone.get(path)).headers["location"])
        missing = await phone.get(f"/mu/{uuid4()}")
    assert texts.genuine_line(NOW.date()) in page.text
    assert texts.messages["not_issued"].heading in missing.text
    for answer in (page, missing):
        assert answer.headers["content-language"] == language
        assert f'<html lang="{language}">' in answer.text
