"""What every list promises: pages that are complete, cursors that hold for one list, brand and filter."""

from __future__ import annotations

import base64
import json
from collections.abc import Awaitable, Callable
from typing import Any

from mintage.operations.call import Call
from tests.support.minting import transactions
from tests.support.refusals import bad_arguments
from tests.support.world import World


async def pages(
    world: World,
    rpc: str,
    key: str,
    *,
    limit: int,
    between: Callable[[int], Awaitable[object]] | None = None,
    caller: str = "owner",
    **filters: Any,
) -> list[list[dict[str, Any]]]:
    """All pages of a list, `between` awaited after each; an answer's own promises are checked."""
    found: list[list[dict[str, Any]]] = []
    cursor: str | None = None
    while True:
        answer = await world.rpc(rpc, caller, limit=limit, cursor=cursor, **filters)
        assert list(answer) == ["ok", key, "has_more", "next_cursor"]
        assert answer["ok"] is True
        assert answer["has_more"] is (answer["next_cursor"] is not None)
        assert len(answer[key]) <= limit
        found.append(answer[key])
        cursor = answer["next_cursor"]
        if cursor is None:
            return found
        assert len(found) < 1000, "the pages have no end"
        if between is not None:
            await between(len(found))


async def ids_of_pages(world: World, rpc: str, key: str, **more: Any) -> list[Any]:
    """The ids of all rows of all pages, in order."""
    return [row["id"] for page in await pages(world, rpc, key, **more) for row in page]


async def assert_cursor_holds_here_only(
    world: World, rpc: str, *others: dict[str, Any], other_rpc: str
) -> None:
    """A cursor of the list without filters is 400 with `others`, for another brand, in another list."""
    cursor = (await world.rpc(rpc, limit=1))["next_cursor"]
    assert cursor is not None, "the list needs two rows for this"
    assert (await world.rpc(rpc, limit=2, cursor=cursor))["ok"]
    calls = [world.rpc(rpc, cursor=cursor, **filters) for filters in others]
    calls += [
        world.rpc(rpc, "stranger", cursor=cursor),
        world.rpc(other_rpc, cursor=cursor),
        *(world.rpc(rpc, cursor=forged) for forged in forgeries(cursor)),
    ]
    for call in calls:
        assert list(await bad_arguments(call)) == ["_cursor"]


def forgeries(cursor: str) -> list[str]:
    """Cursors that begin like a good one, or like none."""
    fingerprint, *position = json.loads(base64.urlsafe_b64decode(cursor + "=="))

    def encoded(body: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(body).encode()).decode().rstrip("=")

    bad_places = ["", "now", "2026-01-31T12:00:00", "2026-01-31", "0001-01-01T00:00:00+14:00", "٣"]
    return [
        "",
        "x",
        "null",
        "é",
        "A" * 512,
        cursor[:-1],
        cursor[4:],
        encoded([]),
        encoded({}),
        encoded([fingerprint]),
        encoded([fingerprint, *position, "more"]),
        encoded([fingerprint, *(None for _ in position)]),
        encoded([fingerprint, *(7 for _ in position)]),
        encoded([fingerprint[::-1], *position]),
        *(encoded([fingerprint, place, *position[1:]]) for place in bad_places),
        *(encoded([fingerprint, *position[:-1], place]) for place in bad_places),
    ]


async def statements_of(
    world: World, operation: Callable[[Call, Any], Awaitable[object]], arguments: object
) -> list[str]:
    """The statements that one run of `operation` in the brand under test sends."""
    sent: list[str] = []
    async with transactions(world).call(world.brand_id) as call:
        with call.connection.query_logger(lambda record: sent.append(record.query)):
            await operation(call, arguments)
    return sent
