"""Connections to PostgreSQL, to whichever of a URL's servers will have us, one after another.

A server whose machine died without a word answers nothing at all: the attempt ends after
its share of `CONNECT_TIMEOUT_S` and goes to the next server, and a connection that is open already ends after
`SILENCE_S`. Not here: pools and transactions (`connection`), URLs (`dsn`).
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, Final

import asyncpg

from mintage.db.dsn import STATEMENT_CACHE_SIZE, read_dsn

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

CONNECT_TIMEOUT_S: Final = 5.0
SILENCE_S: Final = 15
_KEEPALIVE_PROBES: Final = 3
_BACKEND_PID: Final = "select pg_backend_pid()"

AWAY_ERRORS = (
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)
"""What is raised when the server is away, or none is there that takes writes: answered 503, never 500."""

BUSY_ERRORS = (
    asyncpg.QueryCanceledError,
    asyncpg.LockNotAvailableError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.InsufficientResourcesError,
)
"""What is raised when the server is there and could not do it this time: it waited too long, or was short of
something. Whether it may be tried again is for its caller to know."""


class ServerIsStandby(ConnectionError):
    """The server takes no writes: it has become a standby since the connection was made."""


class Servers:
    """The servers of one URL. The one that answered last is asked first."""

    def __init__(self, url: str) -> None:
        """Raises `ValueError` for a URL that cannot be read."""
        self._target = read_dsn(url)
        self._first = 0

    @property
    def statement_cache_size(self) -> int | None:
        """What the URL says; None when it says nothing."""
        return self._target.statement_cache_size

    async def connect(self, **options: Any) -> Connection:
        """A connection to the first server that will have us; `options` are asyncpg's.

        Raises what the last one raised; one of `AWAY_ERRORS` where none answers.
        """
        dsns = self._target.dsns
        options.setdefault("timeout", CONNECT_TIMEOUT_S / len(dsns))
        options.setdefault(
            "statement_cache_size",
            STATEMENT_CACHE_SIZE
            if self.statement_cache_size is None
            else self.statement_cache_size,
        )
        for left in reversed(range(len(dsns))):
            chosen = self._first
            # At once, not after the failure: who waits for us may give up before.
            self._first = (chosen + 1) % len(dsns)
            try:
                connection = await _connect_one(dsns[chosen], options)
            except AWAY_ERRORS:
                if left == 0:
                    raise
                continue
            self._first = chosen
            _end_when_silent(connection)
            _let_go_at_its_end(connection)
            return connection
        raise AssertionError("a URL names one server at least")


async def _connect_one(dsn: str, options: dict[str, Any]) -> Connection:
    try:
        return await asyncpg.connect(dsn, **options)
    except asyncpg.TargetServerAttributeNotMatched as error:
        raise ConnectionError(
            "no server of the database URL is what its target_session_attrs asks for"
        ) from error


async def is_pooled(connection: Connection) -> bool:
    """True if a pooler answers in the server's place: the session behind it may be another's next time.

    PgBouncer and its kind give a client a process id of their own making, for its cancel requests.
    """
    backend_pid: int = await connection.fetchval(_BACKEND_PID)
    return backend_pid != connection.get_server_pid()


def _end_when_silent(connection: Connection) -> None:
    """Have the kernel end a TCP connection whose other side's machine is gone (as far as it can)."""
    # The driver has no option for it.
    found = connection._transport.get_extra_info("socket")  # type: ignore[attr-defined]
    if found is None or found.family not in {socket.AF_INET, socket.AF_INET6}:
        return
    found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    interval_s = SILENCE_S // _KEEPALIVE_PROBES
    for name, value in (
        ("TCP_KEEPIDLE", interval_s),
        ("TCP_KEEPINTVL", interval_s),
        ("TCP_KEEPCNT", _KEEPALIVE_PROBES - 1),
        ("TCP_USER_TIMEOUT", SILENCE_S * 1000),
    ):
        if hasattr(socket, name):
            found.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _let_go_at_its_end(connection: Connection) -> None:
    """Have a COPY that waits for the server to read on end with it: the driver would wait for ever."""
    protocol = connection._transport.get_protocol()  # type: ignore[attr-defined]
    connection.add_termination_listener(lambda _: protocol.resume_writing())
