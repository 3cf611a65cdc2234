"""What a test asks of a call that is refused, and of the record that a call leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any

import pytest

from mintage.errors import INVALID_INPUT, ErrorKind, MintageError
from tests.support.world import World


async def refused_with(kind: ErrorKind, asked: Awaitable[object]) -> MintageError:
    """Await `asked`, which must raise an error of `kind`; the error."""
    with pytest.raises(MintageError) as raised:
        await asked
    assert raised.value.kind == kind, raised.value.message
    return raised.value


async def bad_arguments(asked: Awaitable[object]) -> dict[str, str]:
    """Await `asked`, which must be 400; problem and hint in one text, by argument."""
    error = await refused_with(INVALID_INPUT, asked)
    return {each.argument: f"{each.problem}; {each.hint}" for each in error.problems}


async def blocked_by(asked: Awaitable[dict[str, Any]]) -> list[str]:
    """Await `asked`, which must answer `ok: false`; the codes of its reasons."""
    answer = await asked
    assert answer["ok"] is False
    assert all(reason["message"] for reason in answer["blocking_reasons"])
    return [reason["code"] for reason in answer["blocking_reasons"]]


async def raced(
    *asked: Awaitable[dict[str, Any]],
) -> tuple[list[dict[str, Any]], list[MintageError]]:
    """All of `asked` at once: the answers, and the errors. Anything but `MintageError` is raised."""
    results: Sequence[object] = await asyncio.gather(*asked, return_exceptions=True)
    answers, errors = [], []
    for result in results:
        if isinstance(result, MintageError):
            errors.append(result)
        elif isinstance(result, BaseException):
            raise result
        elif isinstance(result, dict):
            answers.append(result)
    return answers, errors


async def payloads(world: World, event_type: str, caller: str = "owner") -> list[dict[str, Any]]:
    """The payloads of the caller's brand's events of one type, newest first."""
    page = await world.rpc("list_mint_events", caller, event_type=event_type, limit=200)
    return [event["payload"] for event in page["events"]]


def same_bytes(first: MintageError, second: MintageError) -> bool:
    """True if a caller cannot tell the two errors apart."""
    return all(
        getattr(first, name) == getattr(second, name)
        for name in ("kind", "message", "details", "hint", "problems", "retry_after_s")
    )
