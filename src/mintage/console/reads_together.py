"""Reads that a page asks for at the same moment share one transaction and one look at the caller's role.

A page that shows five lists asks for them with `asyncio.gather` and costs one transaction, not five. Not
here: what may be read (`perform.perform_reads` checks each as `perform` does).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from mintage.errors import MintageError
from mintage.operations.call import Caller
from mintage.perform import Platform, perform_reads

if TYPE_CHECKING:
    from mintage.rpcs import Rpc

_TURNS: Final = 3
"""Turns of the loop that reads are waited for: what a `gather` inside a `gather` asks for is among them."""


@dataclass(frozen=True, slots=True)
class _Asked:
    rpc: Rpc
    raw: Mapping[str, object]
    answer: asyncio.Future[dict[str, Any]]


@dataclass(slots=True)
class ReadsTogether:
    """The reads of one request of `caller`, all of one brand."""

    platform: Platform
    caller: Caller
    request_id: str
    _waiting: list[_Asked] = field(default_factory=list)
    _running: set[asyncio.Task[None]] = field(default_factory=set)

    async def read(self, rpc: Rpc, raw: Mapping[str, object]) -> dict[str, Any]:
        """The answer of a read-only RPC of a brand. Raises as `perform` does."""
        loop = asyncio.get_running_loop()
        asked = _Asked(rpc, raw, loop.create_future())
        self._waiting.append(asked)
        if len(self._waiting) == 1:
            # Held, or the loop would forget it while it runs.
            task = loop.create_task(self._perform())
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        return await asked.answer

    async def _perform(self) -> None:
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        asked, self._waiting = self._waiting, []
        try:
            answers = await perform_reads(
                self.platform,
                self.caller,
                [(each.rpc, each.raw) for each in asked],
                self.request_id,
            )
        except BaseException as error:  # noqa: BLE001 - told to everybody who waits for it
            for each in asked:
                if not each.answer.done():
                    each.answer.set_exception(error)
            return
        for each, answer in zip(asked, answers, strict=True):
            if each.answer.done():
                continue
            if isinstance(answer, MintageError):
                each.answer.set_exception(answer)
            else:
                each.answer.set_result(dict(answer))
