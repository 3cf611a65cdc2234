"""The worker: lanes that run queued work a step at a time, woken by NOTIFY, polling as a fallback.

A lane runs one step after another while there is work, then waits; a lane may run several at once. An
orderly stop lets the steps under way finish. Not here: what a step does (`operations`), and what is done
by the clock (`duties`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import monotonic
from typing import Final
from uuid import uuid4

import asyncpg

from mintage.db.connect import AWAY_ERRORS, Servers, is_pooled
from mintage.errors import UNAVAILABLE, MintageError
from mintage.meters import DUTY_INTERVAL, DUTY_RUNS, DUTY_SUCCESS, PACKS
from mintage.operations.call import SYSTEM
from mintage.operations.pack_execution import process_payload_pack
from mintage.operations.webhook_sending import send_due_webhook
from mintage.packs.formats import FORMATS
from mintage.packs.workshop import Workshop
from mintage.perform import Platform, perform
from mintage.rpcs import RPCS
from mintage.secrets import ManifestKey
from mintage.storage import PackStore
from mintage.telemetry import logger
from mintage.tracing import Origin, work_span
from mintage.worker.duties import Duty
from mintage.worker.webhook_http import WebhookSender

CHANNEL: Final = "mintage_work"
PAUSE_S_MAX: Final = 5.0
_log = logger("worker")


@dataclass(frozen=True, slots=True)
class Lane:
    """One kind of work. `step` does one bounded piece and says whether there was any."""

    name: str
    step: Callable[[], Awaitable[bool]]
    steps_at_once: int = 1


class Worker:
    """Runs lanes and duties until `stop` is called. `dsn` is for the connection that listens."""

    def __init__(
        self,
        platform: Platform,
        dsn: str,
        lanes: tuple[Lane, ...],
        duties: tuple[Duty, ...],
        *,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._clock = clock
        self._platform = platform
        self._dsn = dsn
        self._lanes = lanes
        self._duties = duties
        self._stopping = asyncio.Event()
        self._began: dict[asyncio.Event, float] = {}
        self._wakes: dict[str, list[asyncio.Event]] = {
            lane.name: [asyncio.Event() for _ in range(lane.steps_at_once)] for lane in lanes
        }

    def steps_under_way(self) -> dict[str, list[float]]:
        """By lane, for how many seconds each of its steps has been under way."""
        now = self._clock()
        return {
            lane: [now - self._began[wake] for wake in wakes if wake in self._began]
            for lane, wakes in self._wakes.items()
        }

    def stop(self) -> None:
        """Begin an orderly stop: steps under way finish, none begins."""
        self._stopping.set()
        for lane in self._wakes:
            self._wake(lane)

    async def run(self) -> None:
        """Work until stopped; returns when every step under way is finished, or was given up.

        A step is given up, by cancelling it, `Limits.steps_stop_wait_s` after the stop.
        """
        listening = asyncio.create_task(self._listen())
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(self._run_lane(lane, wake))
                    for lane in self._lanes
                    for wake in self._wakes[lane.name]
                ]
                tasks += [group.create_task(self._run_duty(duty)) for duty in self._duties]
                group.create_task(self._give_up_late(tasks))
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    async def _give_up_late(self, tasks: list[asyncio.Task[None]]) -> None:
        await self._stopping.wait()
        if tasks:
            limit_s = self._platform.limits.steps_stop_wait_s
            _, late = await asyncio.wait(tasks, timeout=limit_s)
            for task in late:
                _log.warning("a step is given up: the worker stops")
                task.cancel()

    async def _run_lane(self, lane: Lane, wake: asyncio.Event) -> None:
        pause_s = 0.0
        while not self._stopping.is_set():
            wake.clear()
            try:
                self._began[wake] = self._clock()
                did_work = await lane.step()
                pause_s = 0.0
            except Exception as error:  # noqa: BLE001 - a lane outlives any failure; it is logged
                did_work = False
                pause_s = min(PAUSE_S_MAX, max(0.2, pause_s * 2))
                _log_failure("a step failed", error, lane=lane.name, pause_s=pause_s)
            finally:
                self._began.pop(wake, None)
            if not did_work and not self._stopping.is_set():
                await self._wait(wake, pause_s or self._platform.limits.poll_interval_s)

    async def _run_duty(self, duty: Duty) -> None:
        for result in ("done", "failed"):
            DUTY_RUNS.labels(duty.name, result)
        DUTY_INTERVAL.labels(duty.name).set(duty.interval_s)
        # One that never comes to its end is overdue too, and an alert sees only what is there.
        DUTY_SUCCESS.labels(duty.name).set_to_current_time()
        while not self._stopping.is_set():
            # A request's id for what nobody asked for: it brings the lines of one run together.
            run_id = f"duty-{uuid4().hex}"
            try:
                with work_span("duty", Origin(run_id), duty=duty.name):
                    is_done = await self._do(duty, run_id)
                if is_done:
                    DUTY_RUNS.labels(duty.name, "done").inc()
                    DUTY_SUCCESS.labels(duty.name).set_to_current_time()
            except Exception as error:  # noqa: BLE001 - the next turn tries again; it is logged
                DUTY_RUNS.labels(duty.name, "failed").inc()
                _log_failure("a duty failed", error, duty=duty.name, request_id=run_id)
            await self._wait(self._stopping, duty.interval_s)

    async def _do(self, duty: Duty, run_id: str) -> bool:
        """Run it; False if an orderly stop cut it short."""
        transactions = self._platform.transactions(SYSTEM, run_id)
        doing = asyncio.create_task(duty.function(transactions))
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            if duty.may_be_cut:
                await asyncio.wait({doing, stopping}, return_when=asyncio.FIRST_COMPLETED)
                if not doing.done():
                    doing.cancel()
                    await asyncio.wait({doing})
                    return False
            await doing
            return True
        finally:
            stopping.cancel()

    async def _listen(self) -> None:
        """Hold a connection that hears NOTIFY; while there is none, lanes poll."""
        servers = Servers(self._dsn)
        while True:
            try:
                connection = await servers.connect(statement_cache_size=0)
                try:
                    if await is_pooled(connection):
                        _log.info("a pooler passes no NOTIFY on, the queue is polled")
                        return
                    await connection.add_listener(CHANNEL, self._heard)
                    for lane in self._wakes:
                        self._wake(lane)
                    while not connection.is_closed():
                        await asyncio.sleep(1)
                finally:
                    await connection.close(timeout=2)
            except AWAY_ERRORS:
                await asyncio.sleep(1)
            except asyncpg.PostgresError as error:
                _log.warning(
                    "NOTIFY cannot be heard, the queue is polled", error=type(error).__name__
                )
                await asyncio.sleep(PAUSE_S_MAX)

    def _heard(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        self._wake(str(payload))

    def _wake(self, lane: str) -> None:
        for wake in self._wakes.get(lane, ()):
            wake.set()

    async def _wait(self, event: asyncio.Event, timeout_s: float) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                await event.wait()
        except TimeoutError:
            pass


def lanes_of(
    platform: Platform,
    store: PackStore,
    manifest_key: Callable[[], ManifestKey],
    workshop: Workshop | None = None,
) -> tuple[Lane, ...]:
    """The lanes of a worker process: minting, packing, webhooks. `manifest_key` gives the key of now."""

    async def mint() -> bool:
        answer = await perform(platform, SYSTEM, RPCS["process_mint_job_batch"], {}, "worker")
        return answer.get("status") != "IDLE"

    async def pack() -> bool:
        transactions = platform.transactions(SYSTEM, "worker")
        outcome = await process_payload_pack(
            transactions, store, workshop=workshop, manifest_key=manifest_key()
        )
        return outcome.result != "idle"

    sender = WebhookSender(platform.limits)
    for format_name in FORMATS:
        for result in ("completed", "failed"):
            PACKS.labels(format_name, result)

    async def tell() -> bool:
        transactions = platform.transactions(SYSTEM, "worker")
        return await send_due_webhook(transactions, sender.send) != "idle"

    return (
        Lane("mint_job", mint),
        Lane("payload_pack", pack, platform.limits.packs_at_once),
        Lane("webhook_delivery", tell, platform.limits.webhook_sends_at_once),
    )


def _log_failure(what: str, error: Exception, **fields: object) -> None:
    is_away = isinstance(error, AWAY_ERRORS) or (
        isinstance(error, MintageError) and error.kind is UNAVAILABLE
    )
    if is_away:
        _log.warning("the database is away", **fields)
    else:
        _log.error(what, exc_info=error, **fields)
