"""Pages as HTML: the templates' environment, what every page is given, and the headers it is sent with.

No inline script or style, nothing from elsewhere. Not here: what a page is about (its own module).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from jinja2.ext import Extension
from markupsafe import Markup, escape
from starlette.responses import HTMLResponse, RedirectResponse, Response

from mintage.console import pieces, rows
from mintage.console.cookies import THEME_COOKIE
from mintage.console.delivery_rows import delivery_rows
from mintage.console.texts import field_name, has_text, text
from mintage.rules.roles import Action, BrandRole, role_may

if TYPE_CHECKING:
    from starlette.requests import Request

    from mintage.console.visit import Visit
    from mintage.errors import MintageError

THEMES: Final = ("auto", "light", "dark")
STATIC_URL: Final = "/console/static"
CURRENT: Final = ' aria-current="page"'
_CONSTANT: Final = re.compile(
    r'\{\{ (?:t\("(?P<key>[a-z0-9_.]+)"\)|static\("(?P<path>[a-z0-9_./]+)"\)) \}\}'
)
HEADERS: Final = {
    "content-security-policy": (
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the navigation: `key` names its text, `path` its page, `action` who sees it."""

    key: str
    path: str
    action: Action = "mint:read"


NAVIGATION: Final = (
    Entry("overview", ""),
    Entry("mint", "mint", "mint:write"),
    Entry("batches", "batches"),
    Entry("units", "units"),
    Entry("exports", "exports"),
    Entry("products", "products"),
    Entry("activity", "activity"),
    Entry("settings", "settings", "admin"),
)


def page(
    visit: Visit, template: str, /, *, section: str = "", status: int = 200, **context: object
) -> Response:
    """A whole page of somebody signed in. `section` is the entry of the navigation that it is in."""
    brand = visit.brand
    html = (
        _environment()
        .get_template(template)
        .render(
            visit=visit,
            brand=brand,
            navigation=_navigation(brand.url(), brand.role, section) if brand is not None else "",
            form_token=visit.form_token,
            theme=theme_of(visit.request),
            address=visit.request.url.path,
            **context,
        )
    )
    return HTMLResponse(html, status, HEADERS)


@lru_cache(maxsize=1024)
def _navigation(home: str, role: BrandRole, section: str) -> Markup:
    """The entries that a role has in the brand whose first page is `home`; `section` is where one is."""
    lines = [
        f'<li><a href="{escape(home + entry.path)}"'
        f"{CURRENT if entry.key == section else ''}>{pieces.word(f'nav.{entry.key}')}</a></li>\n"
        for entry in NAVIGATION
        if role_may(role, entry.action)
    ]
    return pieces.html("".join(lines))


def fragment(visit: Visit, template: str, /, **context: object) -> Response:
    """A part of a page, to take the place of the one that is shown."""
    html = (
        _environment()
        .get_template(template)
        .render(visit=visit, brand=visit.brand, form_token=visit.form_token, **context)
    )
    return HTMLResponse(html, 200, HEADERS)


def plain_page(
    request: Request, template: str, /, *, status: int = 200, **context: object
) -> Response:
    """A page of nobody in particular: signing in, errors."""
    html = (
        _environment()
        .get_template(template)
        .render(visit=None, brand=None, navigation="", theme=theme_of(request), **context)
    )
    return HTMLResponse(html, status, HEADERS)


def error_page(request: Request, visit: Visit | None, error: MintageError) -> Response:
    """`error` as a page that says what would be right, and the id under which it is logged."""
    key = f"error.{error.kind.status}"
    context: dict[str, Any] = {
        "title": text(f"{key}.title" if has_text(f"{key}.title") else "error.any.title"),
        "sentence": text(
            f"{key}.sentence" if has_text(f"{key}.sentence") else "error.any.sentence"
        ),
        "error": error,
        "request_id": request.state.request_id,
    }
    if visit is None:
        response = plain_page(request, "error.html", status=error.kind.status, **context)
    else:
        response = page(visit, "error.html", status=error.kind.status, **context)
    if error.retry_after_s is not None:
        response.headers["retry-after"] = str(error.retry_after_s)
    return response


def go_to(request: Request, url: str) -> Response:
    """See another page: 303 for a browser, a header for a part of a page that was asked for."""
    if "hx-request" in request.headers:
        return Response(status_code=204, headers=HEADERS | {"hx-redirect": url})
    return RedirectResponse(url, 303, HEADERS)


def theme_of(request: Request) -> str:
    """What the visitor has chosen; `auto` follows the browser."""
    theme = request.cookies.get(THEME_COOKIE, "auto")
    return theme if theme in THEMES else "auto"


class _Constants(Extension):
    """Texts without values and addresses of our files are put into a template when it is loaded."""

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        return _CONSTANT.sub(self._value, source)

    def _value(self, found: re.Match[str]) -> str:
        return pieces.word(found["key"]) if found["key"] else static_url(found["path"])


class _Environment(Environment):
    """Rows are dicts: `row.name` looks at its keys first, and not in vain for an attribute of the dict."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        if type(obj) is dict and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)


@cache
def _environment() -> Environment:
    environment = _Environment(
        loader=PackageLoader("mintage.console", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,  # Files of a package do not change; asking the disk costs each page.
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=[_Constants],
    )
    environment.globals |= {"t": text, "has_text": has_text, "static": static_url, "url_of": url_of}
    environment.filters |= {**pieces.FILTERS, **rows.FILTERS, "delivery_rows": delivery_rows}
    return environment


@cache
def static_url(path: str) -> str:
    """The address of a file of ours, which changes with its content: browsers keep it for ever."""
    content = resources.files("mintage.console").joinpath(f"static/{path}").read_bytes()
    return f"{STATIC_URL}/{path}?v={hashlib.sha256(content).hexdigest()[:12]}"


def url_of(path: str, /, **query: object) -> str:
    """`path` with those of `query` that have a value."""
    pairs = {name: str(value) for name, value in query.items() if value not in (None, "")}
    return f"{path}?{urlencode(pairs)}" if pairs else path


def problems_by_field(error: MintageError) -> Mapping[str, str]:
    """What is wrong with each argument, by its name without underscore; what belongs to a part of a
    list stands with the list."""
    found: dict[str, str] = {}
    for problem in error.problems:
        field = problem.argument.lstrip("_").partition("[")[0].partition(".")[0]
        sentence = f"{field_name(problem.argument)}: {problem.problem}; {problem.hint}"
        found.setdefault(field, sentence)
    return found
