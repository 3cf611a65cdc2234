"""Commands run under a keeper, and the descriptors that tie them to this process's life.

Not here: what is run (`embedded`), the keeper's own doing (`embedded_keeper`).
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mintage.db import embedded_keeper
from mintage.db.embedded_binaries import Account, EmbeddedServerError

POLL_S: Final = 0.01
LOG_LINES_TOLD: Final = 20


class Tether:
    """A descriptor that lives exactly as long as this process, or until it is released.

    A forked child (of a pool of pack makers) does not get it: it would keep the lock and the
    server of a dead parent.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor
        _tethers.add(self)

    @property
    def is_held(self) -> bool:
        """Whether this very process still holds it."""
        return self._descriptor is not None

    def release(self) -> None:
        """Close it; a second time, or in a forked child, nothing happens."""
        descriptor, self._descriptor = self._descriptor, None
        _tethers.discard(self)
        if descriptor is not None:
            os.close(descriptor)


_tethers: set[Tether] = set()


@dataclass(frozen=True, slots=True)
class Kept:
    """A command under its keeper: the command's process id, and the pipe that keeps it alive."""

    pid: int
    pipe: Tether
    keeper: subprocess.Popen[bytes]


def launch(
    command: list[str], *, directory: Path, account: Account | None, log: int, stop_s: float
) -> Kept:
    """Run `command` under a keeper, in a session of its own, its output appended to `log`.

    Each `{directory}` in the command becomes the directory's path as the account can reach it.
    `stop_s` is how long an orderly end may take. Blocks until the command is running (some 30 ms).
    Raises EmbeddedServerError when it cannot be run.
    """
    uid, gid = (account.uid, account.gid) if account else (-1, -1)
    keeper_words = [sys.executable, "-I", "-S", embedded_keeper.__file__]
    options = [str(uid), str(gid), str(stop_s), str(directory)]
    end, held = os.pipe()
    pipe = Tether(held)
    try:
        keeper = subprocess.Popen(  # noqa: S603
            [*keeper_words, *options, *command],
            stdin=end,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd="/",
            env=_environment(),
            start_new_session=True,
        )
        pid, fault = _read_report(keeper)
    except BaseException:
        pipe.release()
        raise
    finally:
        os.close(end)
    if pid is None or fault:
        pipe.release()
        keeper.wait()
        raise EmbeddedServerError(_explain(command, account, fault))
    return Kept(pid, pipe, keeper)


async def exit_code_of(kept: Kept, limit_s: float) -> int | None:
    """Wait for the command's end: its exit code, or None after `limit_s`."""
    deadline = asyncio.get_running_loop().time() + limit_s
    while (code := kept.keeper.poll()) is None:
        if asyncio.get_running_loop().time() > deadline:
            return None
        await asyncio.sleep(POLL_S)
    return code


def log_tail(log: int) -> str:
    """The last lines of the log, for the operator of a start that failed."""
    size = os.fstat(log).st_size
    end = os.pread(log, 16384, max(0, size - 16384)).decode(errors="replace")
    return "\n".join(end.splitlines()[-LOG_LINES_TOLD:])


def _read_report(keeper: subprocess.Popen[bytes]) -> tuple[int | None, str]:
    """The command's process id, and what kept it from running ("" when it runs)."""
    assert keeper.stdout is not None  # noqa: S101
    with keeper.stdout as stream:
        lines = stream.read().decode(errors="replace").splitlines()
    pids = [int(line[4:]) for line in lines if line.startswith("pid ")]
    faults = [line[6:] for line in lines if line.startswith("error ")]
    return (pids[0] if pids else None), "; ".join(faults)


def _environment() -> dict[str, str]:
    """No PGDATA, PGPORT, LANG or the like of the operator's shell."""
    kept = {
        name: os.environ[name]
        for name in ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
        if name in os.environ
    }
    return {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C", "TZ": "UTC", **kept}


def _explain(command: list[str], account: Account | None, fault: str) -> str:
    fault = fault or "the process that watches over it ended at once"
    told = f"{command[0]} could not be run: {fault}"
    if account is None:
        return told
    return (
        f"{told} (PostgreSQL refuses to run as root, so it is run as {account.name}; where root "
        f"may not become another user, start Mintage as that user)"
    )


def _release_in_child() -> None:
    for tether in tuple(_tethers):
        tether.release()


os.register_at_fork(after_in_child=_release_in_child)
