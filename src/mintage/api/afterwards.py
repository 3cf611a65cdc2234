"""Work that is done after an answer, so that the time of the answer does not tell whether there was any.

Not here: what is done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Final

from mintage.telemetry import logger

TASKS_MAX: Final = 100
_log: Final = logger("api")


@dataclass(slots=True)
class Afterwards:
    """Tasks under way; beyond `TASKS_MAX` what is asked for is left undone, and told in the log."""

    _tasks: set[asyncio.Task[None]] = field(default_factory=set, init=False)

    def start(self, work: Coroutine[None, None, None]) -> None:
        """Do `work` soon. Its failure is told in the log."""
        if len(self._tasks) >= TASKS_MAX:
            work.close()
            _log.warning("too much is to be done after answers")
            return
        task = asyncio.create_task(_told(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def wait(self) -> None:
        """Until nothing is under way."""
        while self._tasks:
            await asyncio.gather(*self._tasks)


async def _told(work: Coroutine[None, None, None]) -> None:
    try:
        await work
    except Exception as error:  # noqa: BLE001 - nobody waits for it: told here
        _log.error("what was to be done after an answer failed", exc_info=error)
