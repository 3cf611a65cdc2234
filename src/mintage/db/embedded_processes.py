"""Who runs on a cluster: its processes found, told apart and, when left behind, ended.

Not here: starting and stopping in the ordinary way (`embedded`, `embedded_keeper`).
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mintage.db.embedded_binaries import EmbeddedServerError

PORT: Final = 5432
POLL_S: Final = 0.02
STOP_LIMIT_S: Final = 60.0
QUIT_LIMIT_S: Final = 30.0
PS_LIMIT_S: Final = 30.0
_MARK: Final = re.compile(
    r"(?:\0cluster_name=|\scluster_name=|^postgres: )(mintage-[0-9a-f]{12})\b"
)


@dataclass(frozen=True, slots=True)
class Postmaster:
    """What `postmaster.pid` says; stale until its process is found on the cluster."""

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
        if uid == owner and _is_postgres(command) and _mark_of(command) == token
    ]


def is_foreign_postgres(cluster: Path, pid: int) -> bool:
    """Whether `pid` may be a PostgreSQL on this cluster which Mintage did not start.

    True only for a postgres of the cluster's owner without a mark of Mintage's: one with a mark
    is ours or serves another directory; anything else got the number of a dead postmaster.
    """
    uid, command = _processes().get(pid, (-1, ""))
    is_owners = uid == cluster.stat().st_uid
    return is_owners and _is_postgres(command) and _mark_of(command) is None


async def end_survivors(cluster: Path) -> None:
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
            f"an earlier PostgreSQL on {cluster} does not stop (pids {processes_of(cluster)}): "
            f"end it with `kill -9`, and start again"
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


def _is_postgres(command: str) -> bool:
    """Whether the command is a postmaster's, or the title of one of its children."""
    program = command.split("\0", 1)[0]
    return program.startswith("postgres: ") or os.path.basename(program) == "postgres"


def _mark_of(command: str) -> str | None:
    """The mark of a cluster (`token_of`) in a postmaster's words or a child's title."""
    found = _MARK.search(command)
    return found[1] if found else None


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
