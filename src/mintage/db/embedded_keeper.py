"""The keeper: a small process that runs one PostgreSQL command and ends it when its owner dies.

It is started as a script (`python -I -S embedded_keeper.py …`) in a session of its own, imports
only what the interpreter has built in, and stays the parent of the command, so that the process
id it signals is never another's. Who starts it and why: `embedded`. Not here: PostgreSQL.

Descriptors: 0 is a pipe whose other end the owner holds (closed: end the command), 1 is a pipe
for the report (`pid N`, or `error …`, then closed), 2 is the log.
"""

import os
import select
import signal
import sys
from typing import NoReturn

LOG_BYTES_MAX = 8 * 1024 * 1024
LOG_BYTES_KEPT = 256 * 1024
LOG_CHECK_S = 60.0
QUIT_S = 15.0
ORDERLY_SIGNALS = (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL)


def main(arguments: list[str]) -> int:
    """Run `UID GID STOP_S DIRECTORY COMMAND…` and return the exit code of the command.

    With UID other than -1 the command runs as that user, and `{directory}` in it becomes
    `/proc/self/fd/N`: a directory which is open needs no leave to enter its parents.
    """
    uid, gid, stop_s, directory = (
        int(arguments[0]),
        int(arguments[1]),
        float(arguments[2]),
        arguments[3],
    )
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    woken, waker = os.pipe()
    os.set_blocking(woken, False)
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    os.umask(0o077)
    report = os.dup(1)
    os.dup2(2, 1)
    pid = os.fork()
    if pid == 0:
        _become_command(uid, gid, directory, arguments[4:], report)
    os.write(report, b"pid %d\n" % pid)
    os.close(report)
    return _keep(pid, woken, stop_s)


def _become_command(
    uid: int, gid: int, directory: str, command: list[str], report: int
) -> NoReturn:
    """Become the command; a fault is told on `report`, which a successful exec closes."""
    try:
        # A shell's background job is begun with SIGINT and SIGQUIT ignored, and so is all it begins.
        for number in (
            signal.SIGINT,
            signal.SIGQUIT,
            signal.SIGTERM,
            signal.SIGHUP,
            signal.SIGCHLD,
        ):
            signal.signal(number, signal.SIG_DFL)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        place = directory
        if uid != -1:
            if os.path.isdir("/proc/self/fd"):
                held = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
                os.set_inheritable(held, True)
                place = f"/proc/self/fd/{held}"
            os.setgroups([])
            os.setgid(gid)
            os.setuid(uid)
        command = [word.replace("{directory}", place) for word in command]
        os.execv(command[0], command)  # noqa: S606
    except OSError as error:
        os.write(report, f"error {error}\n".encode(errors="replace"))
    finally:
        os._exit(127)


def _keep(pid: int, woken: int, stop_s: float) -> int:
    """Wait for the end of the command or of the owner, whichever comes first."""
    while True:
        code = _exit_code(pid)
        if code is not None:
            return code
        readable, _, _ = select.select([0, woken], [], [], LOG_CHECK_S)
        if woken in readable:
            os.read(woken, 1024)
        if 0 in readable and not os.read(0, 1024):
            return _end(pid, woken, stop_s)
        _bound_log()


def _end(pid: int, woken: int, stop_s: float) -> int:
    """End the command: in order first, then without a checkpoint, then by force."""
    for number, wait_s in zip(ORDERLY_SIGNALS, (stop_s, QUIT_S, None), strict=True):
        os.kill(pid, number)
        while True:
            code = _exit_code(pid)
            if code is not None:
                return code
            readable, _, _ = select.select([woken], [], [], wait_s)
            if not readable:
                break
            os.read(woken, 1024)
    raise AssertionError("unreachable: the last wait has no limit")


def _exit_code(pid: int) -> int | None:
    ended, status = os.waitpid(pid, os.WNOHANG)
    if ended == 0:
        return None
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _bound_log() -> None:
    """Keep the end of a log grown too large; PostgreSQL appends, so it may be cut beneath it."""
    size = os.fstat(2).st_size
    if size <= LOG_BYTES_MAX:
        return
    end = os.pread(2, LOG_BYTES_KEPT, size - LOG_BYTES_KEPT)
    os.ftruncate(2, 0)
    os.write(2, end)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
