"""`/docs`: every page is served as HTML under a policy without scripts, and its links lead to pages."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urldefrag

import pytest

from mintage.api.docs_pages import site, slug
from tests.api.conftest import Api, api, door, secrets, settings  # noqa: F401 - fixtures

DOCS = Path(__file__).parents[2] / "docs"
FORBIDDEN_TAGS = {"script", "iframe", "object", "embed", "form", "base", "style", "img"}
STYLE = "style.css"
PAGES = sorted(path for path in site() if path != STYLE)


class Reader(HTMLParser):
    """The tags, links, ids and attributes of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: set[str] = set()
        self.anchors: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            self.attributes.add(name)
            if name == "href" and tag == "a":
                self.links.add(value or "")
            if name == "id":
                self.anchors.add(value or "")


def reader(path: str) -> Reader:
    return Reader(site()[path].content.decode())


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_is_served(path: str, api: Api) -> None:  # noqa: F811
    answer = await api.client.get(f"/docs/{path}".rstrip("/"))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'self'")
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "<h1" in answer.text


def test_every_file_of_the_folder_is_a_page() -> None:
    files = {path.relative_to(DOCS).with_suffix("").as_posix() for path in DOCS.rglob("*.md")}
    assert "gallery/README" in files
    files.remove("gallery/README")  # Pictures stay in the repository.
    addresses = {"" if file == "README" else file.removesuffix("/README") for file in files}
    assert set(PAGES) == addresses


@pytest.mark.parametrize("path", PAGES)
def test_a_page_needs_nothing_that_its_policy_refuses(path: str) -> None:
    found = reader(path)
    assert not found.tags & FORBIDDEN_TAGS
    assert not {name for name in found.attributes if name == "style" or name.startswith("on")}


@pytest.mark.parametrize("path", PAGES)
def test_a_link_leads_to_a_page_and_a_heading_of_it(path: str) -> None:
    lost = []
    for link in reader(path).links:
        if link.startswith(("http://", "https://")):
            continue
        target, anchor = urldefrag(link)
        page = target.removeprefix("/docs").strip("/") if target else path
        if page not in PAGES or (anchor and anchor not in reader(page).anchors):
            lost.append(link)
    assert not lost, "mend the link, or the heading that it names"


async def test_the_style_is_served_and_stands_alone(api: Api) -> None:  # noqa: F811
    answer = await api.client.get("/docs/style.css")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/css; charset=utf-8"
    assert "url(" not in answer.text
    assert "@import" not in answer.text
    assert "prefers-color-scheme: dark" in answer.text


async def test_what_is_no_page_is_404_and_another_method_405(api: Api) -> None:  # noqa: F811
    for path in ("/docs/nothing", "/docs/../pyproject.toml", "/docs/%2e%2e/README"):
        assert (await api.client.get(path)).status_code == 404
    refused = await api.client.post("/docs")
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")
    head = await api.client.head("/docs")
    assert (head.status_code, head.content) == (200, b"")


def test_markup_in_a_page_is_text() -> None:
    assert "&lt;token&gt;" in site()["errors"].content.decode()


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [("Errors of RPCs", "errors-of-rpcs"), ("A PostgreSQL: yours", "a-postgresql-yours")],
)
def test_a_heading_has_the_anchor_that_git_hosts_give_it(heading: str, anchor: str) -> None:
    assert slug(heading) == anchor
    assert re.fullmatch(r"[\w-]+", slug(heading))
