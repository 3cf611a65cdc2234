"""The workshop: processes of their own for formats that compute for long, so that no loop waits for them.

A process that is killed costs the pack it was making one attempt; the next pack gets new processes. They
end with their parent, however it ends, and after a while without work. Not here: what is made
(`packs.making`).
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Final

from mintage.packs.columns import UnitColumns
from mintage.packs.context import PackContext
from mintage.packs.making import make_file

_NICENESS: Final = 10


class WorkshopFailed(Exception):
    """The process that made a pack was killed, or took too long."""


class Workshop:
    """At most `processes` packs are made at a time, each within `timeout_s` seconds.

    Processes are started when they are needed and ended when none was for `idle_s` seconds.
    """

    def __init__(self, processes: int, timeout_s: float, idle_s: float = 60.0) -> None:
        self._processes = processes
        self._timeout_s = timeout_s
        self._idle_s = idle_s
        self._pool: ProcessPoolExecutor | None = None
        self._being_made = 0
        self._closing: asyncio.TimerHandle | None = None

    async def make(
        self, format_name: str, context: PackContext, columns: list[UnitColumns], path: Path
    ) -> None:
        """Write a pack to `path`, which must not be there. Raises what `make_file` raises, and
        `WorkshopFailed`."""
        pool = self._open()
        self._being_made += 1
        try:
            made = pool.submit(make_file, format_name, context, columns, path)
            async with asyncio.timeout(self._timeout_s):
                await asyncio.wrap_future(made)
        except (BrokenProcessPool, TimeoutError) as error:
            self._abandon(pool)
            raise WorkshopFailed("the process that made a pack was lost") from error
        finally:
            self._being_made -= 1
            if self._being_made == 0:
                self._close_when_idle()

    async def close(self) -> None:
        """End the processes; waits for those that are making a pack."""
        if self._closing is not None:
            self._closing.cancel()
        pool, self._pool = self._pool, None
        if pool is not None:
            await asyncio.to_thread(pool.shutdown, wait=True, cancel_futures=True)

    def _open(self) -> ProcessPoolExecutor:
        if self._closing is not None:
            self._closing.cancel()
            self._closing = None
        if self._pool is None:
            # Spawned: a fork would take over the parent's threads' locks, and its connections.
            self._pool = ProcessPoolExecutor(
                self._processes,
                mp_context=multiprocessing.get_context("spawn"),
                initializer=_settle_in,
            )
        return self._pool

    def _abandon(self, pool: ProcessPoolExecutor) -> None:
        if self._pool is pool:
            self._pool = None
        for process in list((pool._processes or {}).values()):
            process.kill()
        pool.shutdown(wait=False, cancel_futures=True)

    def _close_when_idle(self) -> None:
        def close() -> None:
            pool, self._pool = self._pool, None
            if pool is not None:
                pool.shutdown(wait=False)

        self._closing = asyncio.get_running_loop().call_later(self._idle_s, close)


def _settle_in() -> None:
    """In each process: leave signals to the parent, end with it, and let its loop go first."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is None:
        raise RuntimeError("a process of the workshop has a parent")

    def end_with_parent() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=end_with_parent, name="parent", daemon=True).start()
    os.nice(_NICENESS)
