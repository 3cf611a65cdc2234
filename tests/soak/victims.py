"""What the soak kills: worker processes, sessions of PostgreSQL, the whole server; and what it starts again.

Not here: when (`soak`).
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import signal
import sys
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path

import asyncpg

from mintage.db import embedded
from mintage.db.connection import AWAY_ERRORS, Database, open_database
from mintage.db.embedded_processes import processes_of
from mintage.operations.call import Transactions
from mintage.operations.pack_sweep import sweep_orphans
from mintage.operations.tallies import fold_tallies
from mintage.perform import Platform
from mintage.settings import Limits
from mintage.storage import open_pack_store
from mintage.worker.duties import Duty
from mintage.worker.loop import Worker, lanes_of
from tests.support.keys import manifest_key

DATABASE = "soak"
LIMITS = Limits(
    job_lease_s=2.0,
    pack_lease_s=4.0,
    backoff_s=(0.2, 0.5),
    poll_interval_s=0.2,
    pack_units=2000,
)
SETTINGS = {"synchronous_commit": "on", "shared_buffers": "256MB"}
_SESSIONS = (
    "select pid from pg_stat_activity where datname = current_database() "
    "and pid <> pg_backend_pid() order by pid"
)


@dataclass
class Server:
    """A PostgreSQL that is killed and started again on the same folder."""

    folder: Path
    is_durable: bool
    running: embedded.EmbeddedServer | None = None
    dsn: str = ""

    async def start(self) -> None:
        self.running = await embedded.start(self.folder, settings=SETTINGS, durable=self.is_durable)
        self.dsn = await embedded.ensure_database(self.running, DATABASE)

    async def stop(self) -> None:
        assert self.running is not None
        await embedded.stop(self.running)

    async def kill_and_start(self) -> None:
        """SIGKILL for every process of the server, the postmaster first: it would take note of the others."""
        assert self.running is not None
        postmaster = self.running.postmaster_pid
        pids = {*processes_of(self.folder / "postgres"), postmaster}
        for pid in sorted(pids, key=lambda pid: pid != postmaster):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await self.stop()
        await self.start()

    async def kill_session(self, number: int) -> None:
        """SIGKILL for one session's process: PostgreSQL ends them all and recovers."""
        with contextlib.suppress(*AWAY_ERRORS):
            await self.kill_session_of(f"{_SESSIONS} offset {number % 10} limit 1")

    async def kill_session_of(self, statement: str) -> None:
        """The same for the session whose pid `statement` finds, if it finds one."""
        connection = await asyncpg.connect(self.dsn, timeout=5)
        try:
            pid = await connection.fetchval(statement)
        finally:
            await connection.close()
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    async def end_session(self, number: int) -> None:
        """One session is told to go."""
        with contextlib.suppress(*AWAY_ERRORS):
            connection = await asyncpg.connect(self.dsn, timeout=5)
            try:
                pids = [row["pid"] for row in await connection.fetch(_SESSIONS)]
                if pids:
                    pid = pids[number % len(pids)]
                    await connection.execute("select pg_terminate_backend($1)", pid)
            finally:
                await connection.close()


@dataclass
class Crew:
    """Worker processes, each replaced as soon as it is killed."""

    dsn: str
    folder: Path
    count: int
    processes: list[BaseProcess] = field(default_factory=list)

    def start(self) -> None:
        self.processes = [self._started() for _ in range(self.count)]

    def kill(self, number: int) -> None:
        """SIGKILL, and another takes the place."""
        place = number % self.count
        process = self.processes[place]
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL, f"a worker had ended: {process.exitcode}"
        self.processes[place] = self._started()

    async def stop(self) -> list[int | None]:
        """SIGTERM; their exit codes, 0 after an orderly end."""
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            await asyncio.to_thread(process.join, 30)
        codes = [process.exitcode for process in self.processes]
        for process in self.processes:
            process.kill()
        return codes

    def _started(self) -> BaseProcess:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["tests.soak.victims"])
        process = context.Process(target=work, args=(self.dsn, self.folder), daemon=True)
        process.start()
        return process


def work(dsn: str, folder: Path) -> None:
    """A worker process."""
    log = os.open(folder / "workers.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, sys.stdout.fileno())
    os.dup2(log, sys.stderr.fileno())
    asyncio.run(_work(dsn, folder))


async def _work(dsn: str, folder: Path) -> None:
    store = open_pack_store(None, folder)

    async def sweep(transactions: Transactions) -> None:
        await sweep_orphans(transactions, store)

    database = await patiently_opened(dsn, "soak worker", connections=4)
    platform = Platform(database, LIMITS)
    duties = (Duty("fold tallies", 0.5, fold_tallies), Duty("sweep", 10.0, sweep))
    worker = Worker(platform, dsn, lanes_of(platform, store, manifest_key), duties)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.stop)
    await worker.run()
    await database.close()


async def patiently_opened(dsn: str, application: str, *, connections: int) -> Database:
    """A pool, once the server answers."""
    while True:
        try:
            return await open_database(
                dsn, connections=connections, statement_timeout_s=60, application=application
            )
        except AWAY_ERRORS:
            await asyncio.sleep(0.1)
