"""Lists a page at a time: the filters of an address, and where the next page is.

Filters are what the RPC takes; a value that it refuses is told beside the filters and the list is empty.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mintage.console.render import problems_by_field, url_of
from mintage.console.visit import Visit
from mintage.errors import INVALID_INPUT, SUBJECT_NOT_FOUND, MintageError


@dataclass(frozen=True, slots=True)
class Listed:
    """One page of a list. `filters` are the values as given, `problems` say what is wrong with them.

    `arguments` are the filters as the RPC was asked.
    """

    rows: list[dict[str, Any]]
    filters: Mapping[str, str]
    problems: Mapping[str, str]
    next_url: str | None
    first_url: str | None
    next_cursor: str | None = None
    arguments: Mapping[str, object] = field(default_factory=dict)

    @property
    def is_filtered(self) -> bool:
        return any(self.filters.values())


async def listed(
    visit: Visit,
    rpc_name: str,
    key: str,
    /,
    filters: tuple[str, ...] = (),
    *,
    limit: int = 25,
    **fixed: object,
) -> Listed:
    """The page of `rpc_name` that the address asks for; `fixed` arguments are not of the address."""
    query = visit.request.query_params
    given = {name: query.get(name, "").strip() for name in filters}
    cursor = query.get("cursor")
    path = visit.request.url.path
    first_url = url_of(path, **given) if cursor else None
    arguments: dict[str, object] = {name: value or None for name, value in given.items()}
    for name in ("from", "to"):
        if arguments.get(name):
            arguments[name] = _moment(str(arguments[name]))
    try:
        answer = await visit.ask(rpc_name, **arguments, **fixed, limit=limit, cursor=cursor)
    except MintageError as error:
        if error.kind not in {INVALID_INPUT, SUBJECT_NOT_FOUND}:
            raise
        problems = problems_by_field(error) or {"": error.message}
        return Listed([], given, problems, None, url_of(path))
    next_cursor = answer["next_cursor"]
    next_url = url_of(path, **given, cursor=next_cursor) if next_cursor else None
    return Listed(answer[key], given, {}, next_url, first_url, next_cursor, arguments)


def _moment(given: str) -> str:
    """A day is its first moment in UTC; anything else is left as it is, for the RPC to judge."""
    return f"{given}T00:00:00Z" if len(given) == 10 else given
