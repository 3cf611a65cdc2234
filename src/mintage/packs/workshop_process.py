"""What runs in a process of the workshop: packs are made one after another, as the parent asks for them.

Standard input is a socket to the parent: orders come by it and are answered by an error or None. When the
parent ends, however it ends, so does the socket, and with it this process. Not here: starting and ending it
(`packs.workshop`).
"""

from __future__ import annotations

import os
import pickle
import signal
import socket
import threading
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from struct import Struct
from typing import Final

HEAD: Final = Struct(">Q")
"""The size in bytes of what follows it."""
_NICENESS: Final = 10
_KILLED_FIRST: Final = "500"


def framed(value: object) -> bytes:
    """`value` as it is sent: its size, then itself."""
    body = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    return HEAD.pack(len(body)) + body


def unframed(body: bytes) -> object:
    """A value that was sent, without its size. Both ends of the socket are ours."""
    return pickle.loads(body)  # noqa: S301 - from the parent, or from its child


def run() -> None:
    """Make packs until the parent is gone; never returns."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    os.nice(_NICENESS)
    _be_killed_first()
    parent = socket.socket(fileno=0)
    orders: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_receive, args=(parent, orders), name="parent", daemon=True).start()
    while True:
        failure = _make(orders.get())
        with suppress(OSError):
            parent.sendall(framed(failure))


def _make(order: bytes) -> Exception | None:
    # Late: signals are left to the parent before what takes long to load.
    from mintage.packs.making import make_file

    try:
        make_file(*pickle.loads(order))  # noqa: S301 - from the parent
    except Exception as error:  # noqa: BLE001 - the parent books it
        return _that_can_be_sent(error)
    return None


def _that_can_be_sent(error: Exception) -> Exception:
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - made here
    except Exception:  # noqa: BLE001 - an error of a library may be anything
        return RuntimeError(f"a pack could not be made: {type(error).__qualname__}")
    return error


def _receive(parent: socket.socket, orders: SimpleQueue[bytes]) -> None:
    with suppress(OSError), parent.makefile("rb") as stream:
        while len(head := stream.read(HEAD.size)) == HEAD.size:
            (size,) = HEAD.unpack(head)
            if len(order := stream.read(size)) < size:
                break
            orders.put(order)
    os._exit(0)


def _be_killed_first() -> None:
    """Where memory ends, the kernel takes this process, and not the parent or a database beside it."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_KILLED_FIRST, "ascii")
