"""`/docs`: the documentation as HTML, without scripts and without anything from elsewhere.

Rendered once, when it is first asked for. Not here: the Markdown (`docs_source`).
"""

from __future__ import annotations

import asyncio
import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from mintage.api.docs_source import docs_sources
from mintage.api.door import Door
from mintage.api.endpoint import method_refusal
from mintage.api.rpc_pages import topics
from mintage.errors import ROUTE_NOT_FOUND, MintageError

_INDEX: Final = "README"
_STYLE: Final = "style.css"
_READING: Final = ("GET", "HEAD")
_SECTIONS: Final = (("Concepts", "concepts/"), ("Decisions", "decisions/"))
_NOT_IN_SLUG: Final = re.compile(r"[^\w\- ]")
_EXTERNAL: Final = re.compile(r"[a-z][a-z0-9+.-]*:")
_POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_HEADERS: Final = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "public, max-age=300",
}
_TEMPLATES: Final = Environment(
    loader=PackageLoader("mintage.api", "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the navigation."""

    path: str
    title: str
    url: str


@dataclass(frozen=True, slots=True)
class Group:
    """A heading of the navigation and its lines."""

    title: str
    entries: Sequence[Entry]


@dataclass(frozen=True, slots=True)
class _Document:
    """A page that is ready: its bytes and their type."""

    content: bytes
    media_type: str


async def docs_page(_door: Door, request: Request) -> Response:
    """`GET /docs` is the index, `GET /docs/<path>` the page docs/<path>.md."""
    if (refusal := method_refusal(request, _READING)) is not None:
        raise refusal
    path = request.path_params.get("path", "")
    document = (await asyncio.to_thread(site)).get(path.strip("/"))
    if document is None:
        raise MintageError(ROUTE_NOT_FOUND, hint="GET /docs lists the pages")
    return Response(document.content, headers=_HEADERS, media_type=document.media_type)


@cache
def site() -> Mapping[str, _Document]:
    """Every page and the style, by their paths below /docs/; the index has the empty path."""
    sources = docs_sources()
    style = resources.files("mintage.api").joinpath("templates/docs.css").read_bytes()
    documents = {_STYLE: _Document(style, "text/css; charset=utf-8")}
    navigation = _navigation(sources)
    template = _TEMPLATES.get_template("docs.html")
    for path, source in sources.items():
        html = template.render(
            path=path,
            title=_title(source),
            navigation=navigation,
            # The pages are ours, and Markdown's raw HTML is off.
            content=Markup(_html(path, source, sources)),  # noqa: S704
        )
        documents[_address(path)] = _Document(html.encode(), "text/html; charset=utf-8")
    return MappingProxyType(documents)


def _navigation(sources: Mapping[str, str]) -> list[Group]:
    def entries(paths: Sequence[str]) -> list[Entry]:
        return [Entry(path, _title(sources[path]), _url(path)) for path in paths]

    tops = [path for path in sources if "/" not in path and path != _INDEX]
    groups = [Group("Mintage", entries([_INDEX, *tops]))]
    listed = {"api/README"}
    api = [Group("API", entries(["api/README"]))]
    for topic, names in topics().items():
        paths = [f"api/{name}" for name in names]
        listed |= set(paths)
        api.append(Group(topic, entries(paths)))
    others = [path for path in sources if path.startswith("api/") and path not in listed]
    if others:
        api.append(Group("Other pages", entries(others)))
    concepts, decisions = (
        Group(title, entries([path for path in sources if path.startswith(folder)]))
        for title, folder in _SECTIONS
    )
    return [*groups, concepts, *api, decisions]


def _title(source: str) -> str:
    return source.partition("\n")[0].lstrip("# ").strip()


def _address(path: str) -> str:
    """The path below /docs/: a folder's README is the folder."""
    return "" if path == _INDEX else path.removesuffix(f"/{_INDEX}")


def _url(path: str) -> str:
    return f"/docs/{_address(path)}".rstrip("/")


def _html(path: str, source: str, sources: Mapping[str, str]) -> str:
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(source)
    for index, token in enumerate(tokens):
        # Columns that are aligned would bring a style of their own, which the policy refuses.
        token.attrs.pop("style", None)
        if token.type == "heading_open":
            token.attrSet("id", slug(tokens[index + 1].content))
        if token.type == "inline" and token.children:
            token.children = _with_links(path, token.children, sources)
    return str(parser.renderer.render(tokens, parser.options, {}))


def _with_links(path: str, tokens: list[Token], sources: Mapping[str, str]) -> list[Token]:
    """The tokens with links that lead to pages of this site; others within the repository are text."""
    kept: list[Token] = []
    is_dropped = False
    for token in tokens:
        if token.type == "link_open":
            target = _link(path, str(token.attrGet("href")), sources)
            is_dropped = target is None
            if target is not None:
                token.attrSet("href", target)
        is_link = token.type in {"link_open", "link_close"}
        if not (is_link and is_dropped):
            kept.append(token)
    return kept


def _link(path: str, target: str, sources: Mapping[str, str]) -> str | None:
    if _EXTERNAL.match(target) or target.startswith("#"):
        return target
    file, _, anchor = target.partition("#")
    found = posixpath.normpath(posixpath.join(posixpath.dirname(path), file)).removesuffix(".md")
    if found not in sources:
        return None
    return _url(found) + (f"#{anchor}" if anchor else "")


def slug(heading: str) -> str:
    """A heading's anchor, as Git hosts make it."""
    return _NOT_IN_SLUG.sub("", heading.lower()).replace(" ", "-")
