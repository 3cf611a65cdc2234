"""Listening for HTTP: one uvicorn in this process, whose connections give slow and oversized heads up.

Not here: what is answered (the doors), and bodies, which their readers time (`api.request_body`).
"""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Final

import uvicorn

from mintage.guarded_protocol import guarded_protocol
from mintage.settings import Limits, Settings

if TYPE_CHECKING:
    from starlette.types import ASGIApp

DRAIN_S: Final = 30
KEEP_ALIVE_S: Final = 30


class PortTaken(OSError):
    """The port is in use, or the address is not this machine's."""


class _Server(uvicorn.Server):
    """uvicorn without its own signal handlers: it would raise the signal again before we have stopped."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def server_config(app: ASGIApp, limits: Limits) -> uvicorn.Config:
    """How uvicorn serves `app`: nothing of its own in the answers, no log of its own."""
    return uvicorn.Config(
        app,
        loop="none",
        http=guarded_protocol(limits),
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=DRAIN_S,
    )


@asynccontextmanager
async def listen(
    settings: Settings, app: ASGIApp, *, at: tuple[str, int] | None = None
) -> AsyncIterator[None]:
    """Answer HTTP while the context lasts; at its end requests under way are drained.

    `at` is another address than the settings' host and port. Raises `PortTaken` when it cannot be had.
    """
    host, port = at or (settings.host, settings.port)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    advice = "MINTAGE_METRICS_LISTEN" if at is not None else "--port, or MINTAGE_PORT"
    try:
        listener = socket.create_server((host, port), family=family, reuse_port=False)
    except OSError as error:
        raise PortTaken(
            f"cannot listen on {host}:{port} ({error.strerror}): give another {advice}"
        ) from None
    async with listen_on(listener, app, settings.limits):
        yield


@asynccontextmanager
async def listen_on(listener: socket.socket, app: ASGIApp, limits: Limits) -> AsyncIterator[None]:
    """Answer HTTP on `listener` while the context lasts, and close it.

    What is in memory by then stays to the end: the collector passes it over, instead of looking through all
    of it time and again while requests wait.
    """
    server = _Server(server_config(app, limits))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not server.started and not task.done():
            await asyncio.sleep(0.01)
        gc.freeze()
        yield
    finally:
        gc.unfreeze()
        server.should_exit = True
        await task
        listener.close()
