"""`/healthz` and `/readyz`: whether the process lives, and whether it can do its work (SPEC §2).

Both answer on every name of the host and without a token, so they tell states and versions and nothing
of any brand. Not here: which paths lead here (`app.Front`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from starlette.responses import Response

from mintage.api.json_answer import json_response
from mintage.db.connection import AWAY_ERRORS, Database
from mintage.db.migrate import SchemaState, schema_state
from mintage.db.replica import Replica
from mintage.operations.call import ANONYMOUS
from mintage.resolver.scan_buffer import ScanBuffer
from mintage.worker.loop import Worker

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

HEALTH_PATHS: Final = frozenset({"/healthz", "/readyz"})
LOOKED_AT_EVERY_S: Final = 1.0
LOOK_TIMEOUT_S: Final = 3.0
STUCK_AFTER_S: Final = 1200.0
"""Twice the longest lease: whatever a step does, it has lost it by then."""
RETRY_AFTER_S: Final = 2
_METHODS: Final = ("GET", "HEAD")
_REASONS: Final = {
    "DATABASE_AWAY": "the database does not answer",
    "SCHEMA_BEHIND": "the database's schema is older than this release: run `mintage migrate`",
    "WORKER_STUCK": "a step of the worker does not end: start the process again",
    "WORKER_ENDED": "the worker of this process has ended: start the process again",
}


@dataclass(slots=True)
class Vitals:
    """What is known of a process from inside: its worker and the task that runs it, what its resolver reads
    from besides the primary, and where its scans wait.

    Each is None where the process has none.
    """

    worker: asyncio.Task[None] | None = None
    replica: Replica | None = None
    working: Worker | None = None
    scan_buffer: ScanBuffer | None = None

    @property
    def worker_state(self) -> str:
        """none, running, stuck (a step does not end) or ended."""
        if self.worker is None:
            return "none"
        if self.worker.done():
            return "ended"
        steps = self.working.steps_under_way() if self.working is not None else {}
        longest_s = max((s for seconds in steps.values() for s in seconds), default=0.0)
        return "stuck" if longest_s > STUCK_AFTER_S else "running"

    @property
    def replica_state(self) -> str:
        """none, fresh, or stale: away, behind or no replica of this primary."""
        if self.replica is None:
            return "none"
        return "fresh" if self.replica.is_fresh else "stale"


@dataclass(slots=True)
class Health:
    """The two paths as an ASGI application. The database is looked at once a second at most."""

    database: Database
    vitals: Vitals = field(default_factory=Vitals)
    clock: Callable[[], float] = time.monotonic
    _looking: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)
    _seen: SchemaState | None = field(default=None, init=False)
    _seen_at: float = field(default=-LOOKED_AT_EVERY_S, init=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._answer(scope["method"], scope["path"])
        if scope["method"] == "HEAD":
            response.body = b""
        await response(scope, receive, send)

    async def _answer(self, method: str, path: str) -> Response:
        headers = {"cache-control": "no-store"}
        if method not in _METHODS:
            return Response(status_code=405, headers=headers | {"allow": ", ".join(_METHODS)})
        if path == "/healthz":
            lives = self.vitals.worker_state not in {"ended", "stuck"}
            return json_response({"ok": lives}, 200 if lives else 503, headers)
        content = await self.readiness()
        if content["ok"]:
            return json_response(content, headers=headers)
        return json_response(content, 503, headers | {"retry-after": str(RETRY_AFTER_S)})

    async def readiness(self) -> Mapping[str, object]:
        """`{ok, database, schema, worker, replica, reasons}`; `ok` is true without any reason.

        database: reachable or away; schema: its version and whether it is current, null while the
        database is away; worker: none, running, stuck or ended; replica: none, fresh or stale. A stale
        one is no reason: the primary is asked instead.
        """
        schema = await self._schema()
        codes = []
        if schema is None:
            codes.append("DATABASE_AWAY")
        elif schema.is_behind:
            codes.append("SCHEMA_BEHIND")
        if self.vitals.worker_state == "ended":
            codes.append("WORKER_ENDED")
        if self.vitals.worker_state == "stuck":
            codes.append("WORKER_STUCK")
        return {
            "ok": not codes,
            "database": "away" if schema is None else "reachable",
            "schema": None
            if schema is None
            else {"version": schema.version, "needed": schema.needed},
            "worker": self.vitals.worker_state,
            "replica": self.vitals.replica_state,
            "reasons": [{"code": code, "message": _REASONS[code]} for code in codes],
        }

    async def _schema(self) -> SchemaState | None:
        """The schema's state, None while the database is away; whoever asks meanwhile waits for it."""
        async with self._looking:
            if self.clock() - self._seen_at >= LOOKED_AT_EVERY_S:
                self._seen = await self._look()
                self._seen_at = self.clock()
            return self._seen

    async def _look(self) -> SchemaState | None:
        try:
            async with (
                asyncio.timeout(LOOK_TIMEOUT_S),
                self.database.transaction(ANONYMOUS.identity(None), read_only=True) as connection,
            ):
                return await schema_state(connection)
        except (*AWAY_ERRORS, TimeoutError):
            return None
