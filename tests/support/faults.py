"""Worker processes that die, stop or fail at a named step (`mintage.operations.steps`).

Each is forked from a server that has imported everything, so one costs some milliseconds. It works until
nothing is left to do, unless its fault is deadly. Not here: workers that are killed from outside
(`tests.support.worker_process`).
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import resource
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Literal

from mintage.db.connection import AWAY_ERRORS, open_database
from mintage.errors import MintageError
from mintage.operations import steps
from mintage.operations.call import SYSTEM
from mintage.operations.pack_execution import process_payload_pack
from mintage.operations.steps import Step
from mintage.operations.webhook_sending import send_due_webhook
from mintage.perform import Platform, perform
from mintage.rpcs import RPCS
from mintage.settings import Limits
from mintage.storage import PackStore, open_pack_store
from mintage.telemetry import configure_logs
from mintage.worker.webhook_http import WebhookSender
from tests.support.minting import value
from tests.support.webhooks import SEALER, to_loopback
from tests.support.world import World

Deed = Literal["kill", "stop", "fail"]
APPLICATION = "faulty worker"
WAIT_LIMIT_S = 60
NOBODY = 65534
_CONNECTED = (
    "select count(*) from pg_stat_activity "
    "where datname = current_database() and application_name = $1"
)


class Failed(Exception):
    """What a step raises that is told to fail: nothing that the code under test knows."""


@dataclass(frozen=True)
class Fault:
    """`deed` is done when `step` is reached for the `time`-th time."""

    step: Step
    deed: Deed
    time: int = 1


@dataclass(frozen=True)
class Orders:
    """What a worker process is told: its database, where packs go, its faults, the size of its cycles.

    `clock_skew_s`: how far its clock is ahead. `file_bytes_max`: the kernel lets no file grow beyond, and its
    logs go to a device that is full. `is_nobody`: once connected it is a user who may enter nobody's folders.
    """

    dsn: str
    folder: Path
    faults: tuple[Fault, ...] = ()
    batch_size: int = 20_000
    clock_skew_s: float = 0.0
    file_bytes_max: int | None = None
    is_nobody: bool = False
    limits: Limits = field(
        default_factory=lambda: Limits(
            job_lease_s=3600.0, pack_lease_s=3600.0, backoff_s=(0.0, 0.0)
        )
    )


def doing(faults: tuple[Fault, ...]) -> Callable[[Step], None]:
    """A function in place of `steps.reached`."""
    counted: Counter[Step] = Counter()

    def reached(step: Step) -> None:
        counted[step] += 1
        for fault in faults:
            if fault.step == step and fault.time == counted[step]:
                _do(fault)

    return reached


def _do(fault: Fault) -> None:
    match fault.deed:
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        case "fail":
            raise Failed(fault.step)


def work(orders: Orders) -> None:
    """The worker process."""
    steps.reached = doing(orders.faults)  # type: ignore[assignment]
    is_full = orders.file_bytes_max is not None
    os.dup2(os.open("/dev/full" if is_full else os.devnull, os.O_WRONLY), sys.stderr.fileno())
    configure_logs()
    right_time = time.time
    time.time = lambda: right_time() + orders.clock_skew_s
    if orders.file_bytes_max is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (orders.file_bytes_max, resource.RLIM_INFINITY))
    asyncio.run(_work(orders))


async def _work(orders: Orders) -> None:
    database = await open_database(
        orders.dsn, connections=4, statement_timeout_s=30, application=APPLICATION
    )
    platform = Platform(database, orders.limits, sealer=SEALER)
    store = open_pack_store(None, orders.folder)
    if orders.is_nobody:
        os.setuid(NOBODY)
    has_work = True
    while has_work:
        try:
            has_work = await _step(platform, store, orders.batch_size)
        except (MintageError, *AWAY_ERRORS):
            await asyncio.sleep(0.05)
    await database.close()


async def _step(platform: Platform, store: PackStore, batch_size: int) -> bool:
    """A cycle, a pack and a delivery; False once there is none of them."""
    arguments: dict[str, object] = {"_batch_size": batch_size}
    answer = await perform(platform, SYSTEM, RPCS["process_mint_job_batch"], arguments, "worker")
    transactions = platform.transactions(SYSTEM, "worker")
    outcome = await process_payload_pack(transactions, store)
    sender = WebhookSender(platform.limits, resolve=to_loopback)
    sent = await send_due_webhook(transactions, sender.send)
    return (answer["status"], outcome.result, sent) != ("IDLE", "idle", "idle")


@asynccontextmanager
async def worker(orders: Orders) -> AsyncIterator[BaseProcess]:
    """A worker process; it is killed at the end unless it has ended."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.support.faults"])
    process = context.Process(target=work, args=(orders,), daemon=True)
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()
        process.close()


async def ended(process: BaseProcess) -> int:
    """The exit code, once there is one: −9 after a SIGKILL."""
    async with asyncio.timeout(WAIT_LIMIT_S):
        while process.exitcode is None:
            await asyncio.sleep(0.002)
    return process.exitcode


async def stopped(process: BaseProcess) -> None:
    """Return once the process stands still (SIGSTOP)."""
    status = Path(f"/proc/{process.pid}/stat")
    async with asyncio.timeout(WAIT_LIMIT_S):
        while status.read_text("utf-8").rpartition(")")[2].split()[0] != "T":
            assert process.exitcode is None, "it ended before it was to stop"
            await asyncio.sleep(0.002)


def goes_on(process: BaseProcess) -> None:
    """Let a process that stands still go on (SIGCONT)."""
    assert process.pid is not None
    os.kill(process.pid, signal.SIGCONT)


async def until_forgotten(world: World) -> None:
    """Return once the server has noticed that the worker is gone, and has undone what it had begun."""
    async with asyncio.timeout(WAIT_LIMIT_S):
        while await value(world, _CONNECTED, f"mintage {APPLICATION}"):
            await asyncio.sleep(0.002)


async def dies(world: World, orders: Orders) -> None:
    """The worker must end by SIGKILL: a step that it never reaches lets it end in order, and fails."""
    async with worker(orders) as process:
        assert await ended(process) == -9
    await until_forgotten(world)
