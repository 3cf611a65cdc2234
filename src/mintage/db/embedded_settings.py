"""What PostgreSQL is told at its start: the settings, and the folder of its socket.

Not here: the cluster's making (`embedded_create`), its processes (`embedded_processes`).
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from mintage.db.embedded_binaries import Account, EmbeddedServerError, give, is_reachable_by
from mintage.db.embedded_processes import PORT, token_of

SETTINGS_FILE: Final = "mintage.conf"
SUPERUSER: Final = "postgres"
SOCKET_PATH_BYTES_MAX: Final = 100

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
    # A COPY of 20,000 rows and their index entries fits in between two flushes.
    "wal_buffers": "16MB",
    # A mint of a million units must not force checkpoints: they double the WAL (page images).
    "max_wal_size": "4GB",
    # Recycled segments are written faster than new ones; this much disk is kept for them.
    "min_wal_size": "512MB",
    # Fewer page images; recovery after a crash still reads no more than max_wal_size.
    "checkpoint_timeout": "15min",
    # The embedded build has neither lz4 nor zstd, and pglz costs more than the disk it saves.
    "wal_compression": "off",
    # Solid state is the rule; the default of 4 makes the planner shun indexes.
    "random_page_cost": "1.1",
    # Short statements: compiling costs more than it gains.
    "jit": "off",
    # Of two cores a report must not take both; and a container's /dev/shm of 64 MB is too small.
    "max_parallel_workers_per_gather": "0",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # Faults of statements go to the caller, who logs them once; here only the server's own.
    "log_min_messages": "log",
    # No row values (serials, keys) in the log: they come in DETAIL and CONTEXT.
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] ",
    # The log is the keeper's descriptor, which bounds it.
    "logging_collector": "off",
}

# For tests: a crash of PostgreSQL loses the last moments, one of the machine the whole cluster.
UNSAFE_SETTINGS: Final[Mapping[str, str]] = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
}


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
    give(directory, account)
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
        # PostgreSQL and asyncpg both take a comma for the end of a folder.
        if len(os.fsencode(path)) > SOCKET_PATH_BYTES_MAX or "," in str(root):
            continue
        if account is None or is_reachable_by(root / "socket", account):
            return root
    raise EmbeddedServerError(
        "the temporary directory is too long a path for a socket, or closed to "
        f"{account.name if account else 'this user'}: set TMPDIR to a short one, such as /tmp"
    )
