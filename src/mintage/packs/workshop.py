"""The workshop: processes of their own for formats that compute for long, so that no loop waits for them.

A process makes one pack at a time. One that is killed, or takes too long, costs the pack that it was making
an attempt and no other; the next pack gets a new process. They end with their parent, however it ends, and
after a while without work. Not here: what runs in them (`packs.workshop_process`), what is made
(`packs.making`).
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mintage.packs.columns import UnitColumns
from mintage.packs.context import PackContext
from mintage.packs.workshop_process import HEAD, framed, unframed
from mintage.telemetry import logger

_CODE: Final = (
    "import sys; sys.path[:] = sys.argv[1:]; from mintage.packs.workshop_process import run; run()"
)
_END_S_MAX: Final = 10.0
_log = logger("packs")


class WorkshopFailed(Exception):
    """The process that made a pack was killed, or took too long."""


class Workshop:
    """At most `processes` packs are made at a time, each within `timeout_s` seconds of its beginning.

    Processes are started when they are needed and ended when none was for `idle_s` seconds.
    """

    def __init__(self, processes: int, timeout_s: float, idle_s: float = 60.0) -> None:
        self._timeout_s = timeout_s
        self._idle_s = idle_s
        self._places = processes
        self._free_places = asyncio.Semaphore(processes)
        self._being_made = 0
        self._idle: list[_Process] = []
        self._ending: set[asyncio.Task[None]] = set()
        self._closing: asyncio.TimerHandle | None = None

    async def make(
        self,
        format_name: str,
        context: PackContext,
        columns: list[UnitColumns],
        path: Path,
        *,
        beginning: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Write a pack to `path`, which must not be there. `beginning` is awaited once it is its turn.

        Raises what `make_file` and `beginning` raise, and `WorkshopFailed`.
        """
        self._being_made += 1
        self._stay_open()
        try:
            async with self._free_places:
                if beginning is not None:
                    await beginning()
                failure = await self._make(framed((format_name, context, columns, path)))
        finally:
            self._being_made -= 1
            if self._being_made == 0:
                loop = asyncio.get_running_loop()
                self._closing = loop.call_later(self._idle_s, self._end_idle)
        if failure is not None:
            raise failure

    async def close(self) -> None:
        """End the processes, those that are making a pack once it is made or its time is over."""
        for _ in range(self._places):
            await self._free_places.acquire()
        self._stay_open()
        self._end_idle()
        await asyncio.gather(*self._ending)
        for _ in range(self._places):
            self._free_places.release()

    async def _make(self, order: bytes) -> BaseException | None:
        process = await self._take()
        is_sound = False
        try:
            async with asyncio.timeout(self._timeout_s):
                failure = await process.ask(order)
            is_sound = True
        except (TimeoutError, OSError, EOFError) as error:
            raise WorkshopFailed("the process that made a pack was lost") from error
        finally:
            if is_sound:
                self._idle.append(process)
            else:
                # Waited for, whatever else is cancelled: what it writes to is removed next.
                await asyncio.shield(self._end(process))
        return failure

    async def _take(self) -> _Process:
        while self._idle:
            process = self._idle.pop()
            if process.is_running():
                return process
            self._end(process)
        return await _start()

    def _end(self, process: _Process) -> asyncio.Task[None]:
        ending = asyncio.create_task(process.end())
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)
        return ending

    def _stay_open(self) -> None:
        if self._closing is not None:
            self._closing.cancel()
            self._closing = None

    def _end_idle(self) -> None:
        while self._idle:
            self._end(self._idle.pop())


@dataclass(frozen=True, slots=True)
class _Process:
    child: subprocess.Popen[bytes]
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def is_running(self) -> bool:
        return self.child.poll() is None

    async def ask(self, order: bytes) -> BaseException | None:
        """Let it make a pack; what it failed of. Raises `OSError` or `EOFError` when it is gone."""
        self.writer.write(order)
        await self.writer.drain()
        (size,) = HEAD.unpack(await self.reader.readexactly(HEAD.size))
        failure = unframed(await self.reader.readexactly(size))
        if failure is None or isinstance(failure, BaseException):
            return failure
        raise TypeError("a process of the workshop answers an error, or nothing")

    async def end(self) -> None:
        """Kill it: it holds nothing that has to be put in order, and might not listen to less."""
        self.child.kill()
        self.writer.close()
        try:
            await asyncio.to_thread(self.child.wait, _END_S_MAX)
        except subprocess.TimeoutExpired:
            _log.error("a process of the workshop does not end", process_id=self.child.pid)


async def _start() -> _Process:
    ours, theirs = socket.socketpair()
    with theirs:
        child = _spawn(theirs)
    reader, writer = await asyncio.open_connection(sock=ours)
    return _Process(child, reader, writer)


def _spawn(parent: socket.socket) -> subprocess.Popen[bytes]:
    # A session of its own: Ctrl-C is the parent's, which lets packs under way finish.
    return subprocess.Popen(  # noqa: S603 - the interpreter that runs this
        [sys.executable, "-c", _CODE, *sys.path], stdin=parent.fileno(), start_new_session=True
    )
