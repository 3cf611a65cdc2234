"""Looking for anything of the brand: a prefix, or a code that was scanned or pasted."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import unquote, urlsplit
from uuid import UUID

from starlette.responses import Response

from mintage.console.render import fragment, page
from mintage.console.visit import Visit
from mintage.errors import INVALID_INPUT, MintageError
from mintage.rules import digital_link
from mintage.rules.violation import RuleViolation

RESULTS_MAX: Final = 20
_FOLDERS: Final = {
    "product": "products",
    "batch": "batches",
    "token": "units",
    "export": "exports/of-pack",
}
_SHORT_PREFIXES: Final = frozenset({"mu", "mb", "ml", "p"})


async def search(visit: Visit) -> Response:
    """`GET /console/b/<slug>/search?q=…`: a whole page, or its results alone."""
    given = visit.request.query_params.get("q", "").strip()
    results: list[dict[str, Any]] = []
    problem = None
    if given:
        try:
            answer = await visit.ask(
                "search_brand_objects_v1", query=searched_for(given), limit=RESULTS_MAX
            )
            results = answer["results"]
        except MintageError as error:
            if error.kind is not INVALID_INPUT:
                raise
            problem = error.problems[0].hint if error.problems else error.message
    context: dict[str, Any] = {
        "given": given,
        "results": [result | {"url": _url(visit, result)} for result in results],
        "problem": problem,
    }
    if "hx-request" in visit.request.headers:
        return fragment(visit, "parts/search_results.html", **context)
    return page(visit, "search.html", section="", **context)


def searched_for(given: str) -> str:
    """What to look for: of a Digital Link URL its serial, lot or GTIN, of a short URL its id.

    Scanners show a Digital Link URL without its scheme too.
    """
    if not given.lower().startswith(("http://", "https://")):
        is_host = "." in given.partition("/")[0] and "/" in given
        return _value_of(f"https://{given}") or given if is_host else given
    try:
        path = urlsplit(given).path
    except ValueError:  # Half a bracket of an IPv6 address: no URL.
        return given
    first, _, rest = path.strip("/").partition("/")
    if first in _SHORT_PREFIXES:
        try:
            return str(UUID(rest.strip("/")))
        except ValueError:
            return given
    return _value_of(given) or unquote(path.rstrip("/").rpartition("/")[2]) or given


def _value_of(url: str) -> str | None:
    """The serial, lot or GTIN of a Digital Link URL; None for another URL."""
    try:
        values = {element.ai: element.value for element in digital_link.parse(url).path}
    except (RuleViolation, ValueError):
        return None
    return next((values[ai] for ai in ("21", "10", "01") if ai in values), None)


def _url(visit: Visit, result: dict[str, Any]) -> str:
    folder = _FOLDERS[result["object_type"]]
    return visit.here.url(f"{folder}/{result['id']}")
