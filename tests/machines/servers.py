"""PostgreSQL servers of a test's own: a primary with its synchronous standby, killed and promoted.

Both are embedded servers on sockets, so whatever becomes of the test, their keepers end them.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from mintage.db import embedded
from mintage.db.embedded_binaries import (
    Account,
    Installation,
    choose_account,
    find_installation,
    give,
    readable_installation,
)
from mintage.db.embedded_processes import end_survivors, processes_of, token_of

DATABASE = "mintage"
WAIT_LIMIT_S = 60
ROOM_BYTES = 2 * 1024**3
# Both answer a submit only when it is on two servers' disks, as far as a test needs disks.
SETTINGS = {
    "synchronous_commit": "on",
    "wal_level": "replica",
    "max_wal_senders": "4",
    "hot_standby": "on",
    "shared_buffers": "64MB",
    "min_wal_size": "80MB",
    "max_wal_size": "1GB",
    "wal_receiver_status_interval": "1s",
    # With the folder it goes, also after a SIGKILL.
    "dynamic_shared_memory_type": "mmap",
}


@dataclass(frozen=True)
class Pair:
    """A primary, and a standby that has all that the primary ever acknowledged."""

    primary: embedded.EmbeddedServer
    standby: embedded.EmbeddedServer

    @property
    def url(self) -> str:
        """Whichever of the two takes writes."""
        sockets = f"{self.primary.socket_dir},{self.standby.socket_dir}"
        return (
            f"postgresql://postgres@/{DATABASE}?host={sockets}&port={self.primary.port}"
            "&target_session_attrs=read-write"
        )

    @property
    def primary_url(self) -> str:
        return url_of(self.primary)

    @property
    def standby_url(self) -> str:
        return url_of(self.standby)

    def kill_primary(self) -> None:
        """SIGKILL for every process of the primary: what it had not sent or written is gone."""
        # The postmaster first: it would take the death of a backend for a crash, and recover.
        pids = {*processes_of(self.primary.data_dir / "postgres"), self.primary.postmaster_pid}
        for pid in sorted(pids, key=lambda pid: pid != self.primary.postmaster_pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    async def promote_standby(self) -> None:
        assert await ask(self.standby_url, "select pg_promote()")


def url_of(server: embedded.EmbeddedServer) -> str:
    return f"postgresql://postgres@/{DATABASE}?host={server.socket_dir}&port={server.port}"


async def ask(url: str, statement: str, *arguments: object) -> object:
    connection = await asyncpg.connect(url, statement_cache_size=0)
    try:
        return await connection.fetchval(statement, *arguments)
    finally:
        await connection.close()


@asynccontextmanager
async def scratch_folder() -> AsyncIterator[Path]:
    """A folder that every user may enter, in memory where there is room; its servers end with it."""
    memory = Path("/dev/shm")
    has_room = memory.is_dir() and shutil.disk_usage(memory).free > ROOM_BYTES
    folder = Path(tempfile.mkdtemp(prefix="mintage-machines-", dir=memory if has_room else None))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        for cluster in folder.glob("*/postgres"):
            await end_survivors(cluster)
            shutil.rmtree(Path(tempfile.gettempdir(), token_of(cluster)), ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)


@asynccontextmanager
async def running_pair(*, is_synchronous: bool = True) -> AsyncIterator[Pair]:
    """Two servers and an empty database on them; without `is_synchronous` the standby may be behind."""
    async with scratch_folder() as folder:
        given = os.environ.get("MINTAGE_POSTGRES_BIN")
        bin_dir = Path(given) if given else None
        primary = await embedded.start(
            folder / "one", bin_dir=bin_dir, settings=SETTINGS, durable=False
        )
        try:
            await embedded.ensure_database(primary, DATABASE)
            standby = await _start_standby(folder / "two", primary, bin_dir)
            try:
                if is_synchronous:
                    await _make_synchronous(primary)
                yield Pair(primary, standby)
            finally:
                await embedded.stop(standby)
        finally:
            await embedded.stop(primary)


async def _start_standby(
    data_dir: Path, primary: embedded.EmbeddedServer, bin_dir: Path | None
) -> embedded.EmbeddedServer:
    await copy_cluster(primary, data_dir, bin_dir)
    signal_to_cluster(data_dir, "standby.signal")
    settings = SETTINGS | {"primary_conninfo": _conninfo(primary)}
    return await embedded.start(data_dir, bin_dir=bin_dir, settings=settings, durable=False)


async def copy_cluster(
    server: embedded.EmbeddedServer, data_dir: Path, bin_dir: Path | None, wal: str = "stream"
) -> None:
    """A base backup of `server` as the cluster of the new `data_dir`. `wal`: `pg_basebackup --wal-method`."""
    data_dir.mkdir()
    account = choose_account(data_dir, data_dir / "postgres")
    installation = readable_installation(find_installation(bin_dir), account)
    await asyncio.to_thread(_copy_cluster, installation, account, _conninfo(server), data_dir, wal)


def signal_to_cluster(data_dir: Path, name: str) -> None:
    """Leave the empty file by which a server learns at its start what it is to be."""
    path = data_dir / "postgres" / name
    path.touch()
    give(path, choose_account(data_dir, data_dir / "postgres"))


def _conninfo(server: embedded.EmbeddedServer) -> str:
    return f"host={server.socket_dir} port={server.port} user=postgres"


def _copy_cluster(
    installation: Installation, account: Account | None, conninfo: str, data_dir: Path, wal: str
) -> None:
    """`pg_basebackup`, run as whoever the servers run as."""
    cluster = data_dir / "postgres"
    cluster.mkdir(mode=0o700)
    give(cluster, account)
    command = [str(installation.bin_dir / "pg_basebackup"), "--pgdata", str(cluster)]
    command += ["--dbname", conninfo, "--wal-method", wal, "--checkpoint", "fast", "--no-sync"]
    subprocess.run(
        command,
        check=True,
        capture_output=True,
        timeout=WAIT_LIMIT_S,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
    )


async def _make_synchronous(primary: embedded.EmbeddedServer) -> None:
    connection = await asyncpg.connect(primary.dsn)
    try:
        await connection.execute("alter system set synchronous_standby_names = '*'")
        await connection.execute("select pg_reload_conf()")
        state = "select exists (select from pg_stat_replication where sync_state = 'sync')"
        async with asyncio.timeout(WAIT_LIMIT_S):
            while not await connection.fetchval(state):
                await asyncio.sleep(0.05)
    finally:
        await connection.close()
