"""`/healthz` and `/readyz`: whether the process lives, and whether it can do its work (SPEC §2).

Both answer on every name of the host and without a token, so they tell states and versions and nothing
of any brand, nor where anything is: that is in the log. Not here: which paths lead here (`app.Front`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, TypeVar
from urllib.parse import parse_qs

from starlette.responses import Response

from mintage.api.json_answer import json_response
from mintage.db.connection import AWAY_ERRORS, Database, DatabaseRole, Identity
from mintage.db.migrate import SchemaState, schema_state
from mintage.db.replica import Replica
from mintage.resolver.scan_buffer import ScanBuffer
from mintage.secrets import SecretsSource
from mintage.settings import SettingsError
from mintage.storage import PackStore, StorageFailure
from mintage.telemetry import logger
from mintage.worker.loop import Worker

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

HEALTH_PATHS: Final = frozenset({"/healthz", "/readyz"})
LOOKED_AT_EVERY_S: Final = 1.0
STORE_LOOKED_AT_EVERY_S: Final = 5.0
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
    "SCANS_ENDED": "this process answers scans and stores none any more: start it again",
    "STORE_AWAY": "the store of packs does not answer: exports and downloads wait for it",
    "STORE_REFUSES": "the store of packs refuses this process: its log says what would be right",
}
_OF_STORE: Final = frozenset({"STORE_AWAY", "STORE_REFUSES"})
_log: Final = logger("health")

Found = TypeVar("Found")
StoreState = Literal["reachable", "away", "refusing"]


class Watched(Generic[Found]):
    """What is looked at when somebody asks: one look at a time, `every_s` seconds apart at least.

    Whoever asks meanwhile waits for it, `LOOK_TIMEOUT_S` at most; then the answer is `late`, and the look
    goes on.
    """

    def __init__(
        self,
        look: Callable[[], Coroutine[Any, Any, Found]],
        late: Found,
        every_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._look = look
        self._late = late
        self._every_s = every_s
        self._clock = clock
        self._task: asyncio.Task[Found] | None = None
        self._ended_at = -every_s

    async def state(self) -> Found:
        """What the last look found. Raises what it raised."""
        task = self._task
        if task is None or (task.done() and self._clock() - self._ended_at >= self._every_s):
            task = self._task = asyncio.create_task(self._timed())
        if not task.done():
            await asyncio.wait({task}, timeout=LOOK_TIMEOUT_S)
        return task.result() if task.done() else self._late

    async def _timed(self) -> Found:
        try:
            return await self._look()
        finally:
            self._ended_at = self._clock()


class StoreWatch(Watched[StoreState]):
    """Whether the store of packs answers, and takes what this process does with it: reading, or `writes` too.

    A change is told in the log, with the reason.
    """

    def __init__(
        self, store: PackStore, *, writes: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(self._look_into, "away", STORE_LOOKED_AT_EVERY_S, clock)
        self._store = store
        self._writes = writes
        self._told: StoreState = "reachable"

    async def _look_into(self) -> StoreState:
        found: StoreState = "reachable"
        problem: BaseException | None = None
        try:
            await self._store.check(writes=self._writes)
        except SettingsError as refusal:
            found, problem = "refusing", refusal
        except StorageFailure as failure:
            found, problem = "away", failure.__cause__ if failure.__cause__ else failure
        if found != self._told:
            self._told = found
            if problem is None:
                _log.info("the store of packs answers")
            else:
                _log.error(f"the store of packs is {found}", problem=str(problem)[:500])
        return found


@dataclass(slots=True)
class Vitals:
    """What is known of a process from inside: its worker and the task that runs it, what its resolver reads
    from besides the primary, where its scans wait, how its store of packs is, and its secrets.

    Each is None where the process has none.
    """

    worker: asyncio.Task[None] | None = None
    replica: Replica | None = None
    working: Worker | None = None
    scan_buffer: ScanBuffer | None = None
    store: StoreWatch | None = None
    keys: SecretsSource | None = None
    scan_storing: asyncio.Task[None] | None = None

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

    @property
    def scans_state(self) -> str:
        """none, running, or ended: the task that stores scans is over, and no stop was asked for."""
        if self.scan_storing is None:
            return "none"
        return "ended" if self.scan_storing.done() else "running"

    @property
    def secrets_state(self) -> str:
        """none, current, or stale: the file cannot be used any more, and the keys of before go on."""
        if self.keys is None:
            return "none"
        return "current" if self.keys.is_current else "stale"

    async def store_state(self) -> str:
        """none, reachable, away or refusing."""
        return "none" if self.store is None else await self.store.state()


class Health:
    """The two paths as an ASGI application. The database is looked at once a second at most, the store of
    packs once in five. `role` is one that the process's login has."""

    def __init__(
        self,
        database: Database,
        vitals: Vitals | None = None,
        clock: Callable[[], float] = time.monotonic,
        role: DatabaseRole = DatabaseRole.APP,
    ) -> None:
        self._database = database
        self._identity = Identity(role)
        self._vitals = vitals or Vitals()
        self._schema: Watched[SchemaState | None] = Watched(
            self._look, None, LOOKED_AT_EVERY_S, clock
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._answer(scope["method"], scope["path"], scope["query_string"])
        if scope["method"] == "HEAD":
            response.body = b""
        await response(scope, receive, send)

    async def _answer(self, method: str, path: str, query: bytes) -> Response:
        headers = {"cache-control": "no-store"}
        if method not in _METHODS:
            return Response(status_code=405, headers=headers | {"allow": ", ".join(_METHODS)})
        if path == "/healthz":
            vitals = self._vitals
            lives = vitals.worker_state not in {"ended", "stuck"} and vitals.scans_state != "ended"
            return json_response({"ok": lives}, 200 if lives else 503, headers)
        excluded = parse_qs(query.decode("latin-1")).get("exclude", [])
        content = await self.readiness(without_store="store" in excluded)
        if content["ok"]:
            return json_response(content, headers=headers)
        return json_response(content, 503, headers | {"retry-after": str(RETRY_AFTER_S)})

    async def readiness(self, *, without_store: bool = False) -> Mapping[str, object]:
        """`{ok, database, schema, worker, replica, scans, store, secrets, reasons}`; `ok` without a reason.

        database: reachable or away; schema: its version and whether it is current, null while the
        database is away; worker: none, running, stuck or ended; replica: none, fresh or stale; scans:
        none, running or ended; store: none, reachable, away or refusing; secrets: none, current or stale.
        A stale replica is no reason: the primary is asked instead; nor are stale secrets: the keys of
        before go on; nor, `without_store`, is the store.
        """
        schema, store = await asyncio.gather(self._schema.state(), self._vitals.store_state())
        worker = self._vitals.worker_state
        reasons = {
            "DATABASE_AWAY": schema is None,
            "SCHEMA_BEHIND": schema is not None and schema.is_behind,
            "WORKER_ENDED": worker == "ended",
            "WORKER_STUCK": worker == "stuck",
            "SCANS_ENDED": self._vitals.scans_state == "ended",
            "STORE_AWAY": store == "away",
            "STORE_REFUSES": store == "refusing",
        }
        left_out = _OF_STORE if without_store else frozenset()
        codes = [code for code, is_so in reasons.items() if is_so and code not in left_out]
        return {
            "ok": not codes,
            "database": "away" if schema is None else "reachable",
            "schema": None
            if schema is None
            else {"version": schema.version, "needed": schema.needed},
            "worker": worker,
            "replica": self._vitals.replica_state,
            "scans": self._vitals.scans_state,
            "store": store,
            "secrets": self._vitals.secrets_state,
            "reasons": [{"code": code, "message": _REASONS[code]} for code in codes],
        }

    async def _look(self) -> SchemaState | None:
        try:
            async with (
                asyncio.timeout(LOOK_TIMEOUT_S),
                self._database.transaction(self._identity, read_only=True) as connection,
            ):
                return await schema_state(connection)
        except (*AWAY_ERRORS, TimeoutError):
            return None
