"""The cluster on disk: its settings, its socket folder, and who is running on it.

Not here: the binaries and the account (`embedded_binaries`), starting and stopping (`embedded`).
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mintage.db.embedded_binaries import Account, EmbeddedServerError, is_reachable_by

SETTINGS_FILE: Final = "mintage.conf"
SUPERUSER: Final = "postgres"
PORT: Final = 5432
SOCKET_PATH_BYTES_MAX: Final = 100
PS_LIMIT_S: Final = 30.0

SETTINGS: Final[Mapping[str, str]] = {
    # The socket in a folder of mode 0700 is the only way in.
    "listen_addresses": "",
    # Web, worker and resolver pools together stay below it; a backend costs some 10 MB.
    "max_connections": "100",
    # The hot indexes of some million units; more would starve a machine of 2 GB.
    "shared_buffers": "256MB",
    # What the system's file cache is likely to hold besides.
    "effective_cache_size": "1GB",
    # Listings sort and join within it; a hundred of them at once stay within the machine.
    "work_mem": "8MB",
    # Indexes and vacuum of the unit table.
    "maintenance_work_mem": "128MB",
    # COPY of 20,000 rows fills the default of 8 MB between two flushes.
    "wal_buffers": "16MB",
    # A mint of a million units must not force checkpoints: they double the WAL (page images).
    "max_wal_size": "4GB",
    # Recycled segments are written faster than new ones; this much disk is kept for them.
    "min_wal_size": "512MB",
    # Fewer page images; recovery after a crash then takes a minute at worst.
    "checkpoint_timeout": "15min",
    # The embedded build has neither lz4 nor zstd, and pglz costs more than the disk it saves.
    "wal_compression": "off",
    # Solid state is the rule; the default of 4 makes the planner shun indexes.
    "random_page_cost": "1.1",
    # Short statements: compiling costs more than it gains.
    "jit": "off",
    # Unit rows are appended by the million: vacuum (visibility map) at 5 %, not at 20 %.
    "autovacuum_vacuum_insert_scale_factor": "0.05",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # Faults of statements go to the caller, who logs them once; here only the server's own.
    "log_min_messages": "log",
    # No row values (serials, keys) in the log: they come in DETAIL and CONTEXT.
    "log_error_verbosity": "terse",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] ",
    # The log is the keeper's descriptor, which bounds it.
    "logging_collector": "off",
}

# For tests: a crash of the machine may lose the cluster, a crash of PostgreSQL does not.
UNSAFE_SETTINGS: Final[Mapping[str, str]] = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
}


@dataclass(frozen=True, slots=True)
class Postmaster:
    """What `postmaster.pid` says; it may be stale, see `postmaster_of`."""

    pid: int
    socket_dir: Path
    port: int
    is_ready: bool


def token_of(cluster: Path) -> str:
    """The cluster's mark in the command line and title of each of its processes.

    Made of device and inode, so that a moved directory keeps it and a copied one does not.
    """
    status = cluster.stat()
    mark = hashlib.sha256(f"{status.st_dev}:{status.st_ino}".encode()).hexdigest()[:12]
    return f"mintage-{mark}"


def read_postmaster(cluster: Path) -> Postmaster | None:
    """The lines of `postmaster.pid` (PostgreSQL: src/include/utils/pidfile.h), None without it."""
    try:
        lines = (cluster / "postmaster.pid").read_text(errors="surrogateescape").splitlines()
        pid = int(lines[0])
    except (FileNotFoundError, IndexError, ValueError):
        return None
    lines += [""] * (8 - len(lines))
    port = int(lines[3]) if lines[3].strip().isdigit() else PORT
    return Postmaster(abs(pid), Path(lines[4]), port, lines[7].strip() == "ready")


def processes_of(cluster: Path) -> list[int]:
    """The ids of the living processes that bear the cluster's mark, postmaster and backends."""
    token, owner = token_of(cluster), cluster.stat().st_uid
    return [
        pid
        for pid, (uid, command) in _processes().items()
        if uid == owner and token in command and _is_postgres(command)
    ]


def is_foreign_postgres(cluster: Path, pid: int) -> bool:
    """Whether `pid` may be a PostgreSQL on this cluster which Mintage did not start.

    True only for a postgres of the cluster's owner without a mark of Mintage's: one with a mark
    is ours or serves another directory; anything else got the number of a dead postmaster.
    """
    uid, command = _processes().get(pid, (-1, ""))
    is_owners = uid == cluster.stat().st_uid
    return is_owners and _is_postgres(command) and "mintage-" not in command


def make_socket_dir(cluster: Path, account: Account | None) -> Path:
    """A fresh folder of mode 0700 for the socket, which belongs to the server's user.

    It lies in the system's temporary directory because the path of a socket has at most
    107 bytes; its name is the cluster's mark. Raises EmbeddedServerError when it is another's.
    """
    directory = _socket_root(account) / token_of(cluster)
    owner_uid = account.uid if account else os.geteuid()
    if os.path.lexists(directory):
        status = directory.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid not in {owner_uid, os.geteuid()}:
            raise EmbeddedServerError(
                f"{directory}, where the socket of PostgreSQL belongs, is another user's: "
                f"remove it, or set TMPDIR to another folder"
            )
        shutil.rmtree(directory)
    directory.mkdir(mode=0o700)
    if account:
        os.chown(directory, account.uid, account.gid)
    return directory


def write_settings(
    cluster: Path, account: Account | None, settings: Mapping[str, str], *, durable: bool
) -> None:
    """Write `mintage.conf`, which initdb's `postgresql.conf` includes; whole or not at all.

    What an operator adds to `postgresql.conf` below the include stays and wins.
    """
    chosen = {**SETTINGS, **({} if durable else UNSAFE_SETTINGS), **settings}
    text = "# Written by Mintage at each start; put your own settings into postgresql.conf.\n"
    for name, value in chosen.items():
        if not name.replace("_", "").replace(".", "").isalnum() or "\n" in value:
            raise EmbeddedServerError(f"{name!r} is not a setting PostgreSQL can be given")
        quoted = value.replace("\\", "\\\\").replace("'", "''")
        text += f"{name} = '{quoted}'\n"
    # A new file of an unguessed name, renamed: the folder is another user's when root writes.
    descriptor, written = tempfile.mkstemp(prefix=f".{SETTINGS_FILE}.", dir=cluster)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        if account:
            os.fchown(descriptor, account.uid, account.gid)
        if durable:
            os.fsync(descriptor)
    Path(written).replace(cluster / SETTINGS_FILE)


def _socket_root(account: Account | None) -> Path:
    for root in dict.fromkeys((Path(tempfile.gettempdir()).resolve(), Path("/tmp"))):  # noqa: S108
        path = root / "mintage-012345678901" / f".s.PGSQL.{PORT}"
        if len(os.fsencode(path)) > SOCKET_PATH_BYTES_MAX:
            continue
        if account is None or is_reachable_by(root / "socket", account):
            return root
    raise EmbeddedServerError(
        "the temporary directory is too long a path for a socket, or closed to "
        f"{account.name if account else 'this user'}: set TMPDIR to a short one, such as /tmp"
    )


def _is_postgres(command: str) -> bool:
    """Whether the command is a postmaster's, or the title of one of its children."""
    program = command.split("\0", 1)[0]
    return program.startswith("postgres: ") or os.path.basename(program) == "postgres"


def _processes() -> dict[int, tuple[int, str]]:
    """Every living process: its id, its user and its command line, words parted by NUL."""
    if not sys.platform.startswith("linux"):
        return _processes_by_ps()
    found: dict[int, tuple[int, str]] = {}
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        try:
            uid = entry.stat().st_uid
            command = Path(entry.path, "cmdline").read_bytes()
        except OSError:
            continue
        # A process that has ended and waits to be collected has no command line any more.
        if command:
            found[int(entry.name)] = (uid, command.decode(errors="surrogateescape"))
    return found


def _processes_by_ps() -> dict[int, tuple[int, str]]:
    """As `_processes`, where there is no /proc (macOS); only the first word is told apart."""
    listed = subprocess.run(
        ["/bin/ps", "-axo", "pid=,uid=,command="],
        capture_output=True,
        text=True,
        errors="surrogateescape",
        timeout=PS_LIMIT_S,
        check=True,
    )
    found: dict[int, tuple[int, str]] = {}
    for line in listed.stdout.splitlines():
        pid, uid, command = line.split(None, 2)
        found[int(pid)] = (int(uid), command.replace(" -D ", "\0-D\0", 1))
    return found
