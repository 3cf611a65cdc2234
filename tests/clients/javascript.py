"""supabase-js for tests: installed as its lock says, driven over pipes, and what it shows as values.

One Node process serves a session; each test has clients of its own. Not here: what is asserted.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from tests.embedded.support import needs

FOLDER = Path(__file__).parent / "js"
NODE_MAJOR_MIN = 18
INSTALL_LIMIT_S = 100
_numbers = count(1)


@dataclass(frozen=True)
class Answer:
    """What an awaited call gave: `shown` is all of it, `thrown` an error that was thrown, not answered."""

    shown: Mapping[str, Any]

    @property
    def data(self) -> Any:
        """The data of a call that succeeded."""
        assert self.thrown is None, self.thrown
        assert self.shown.get("error") is None, self.shown["error"]
        return self.shown["data"]

    @property
    def error(self) -> dict[str, Any]:
        """The error of a call that failed, and says so in its answer."""
        assert self.thrown is None, self.thrown
        error: dict[str, Any] = self.shown["error"]
        assert error is not None, self.shown
        return error

    @property
    def thrown(self) -> dict[str, Any] | None:
        return self.shown.get("thrown")


@dataclass(frozen=True)
class Chain:
    """Steps of an expression on a client: `client.rpc("x", {}).single()`, awaited by `answer()`.

    A name that Python keeps for itself has an underscore behind it: `client.storage.from_("bucket")`.
    """

    node: Node
    client: int
    steps: tuple[Any, ...] = ()

    def __getattr__(self, name: str) -> Chain:
        return Chain(self.node, self.client, (*self.steps, name.removesuffix("_")))

    def __call__(self, *arguments: object) -> Chain:
        *before, name = self.steps
        return Chain(self.node, self.client, (*before, [name, *arguments]))

    def answer(self) -> Answer:
        return Answer(self.node.told({"client": self.client, "steps": list(self.steps)}))


@dataclass(frozen=True)
class Node:
    """The process that calls the client."""

    process: subprocess.Popen[str]
    url: str
    console: Path = field(repr=False)

    def client(self, key: str, **options: object) -> Chain:
        """A new client with `key`; `token` among the options is what its `accessToken` answers."""
        number = next(_numbers)
        self.told({"client": number, "url": self.url, "key": key, "options": options})
        return Chain(self, number)

    def told(self, asked: Mapping[str, object]) -> Mapping[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"the driver ended: {self.console.read_text('utf-8')}"
        answer: Mapping[str, Any] = json.loads(line)
        return answer


@contextmanager
def running_node(url: str, folder: Path) -> Iterator[Node]:
    """A Node process that calls Mintage at `url`; what it says to people goes into `folder`."""
    install()
    console = folder / "node.log"
    with console.open("w") as errors:
        process = subprocess.Popen(
            [*node(), "driver.mjs"],
            cwd=FOLDER,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            encoding="utf-8",
        )
        try:
            yield Node(process, url, console)
        finally:
            process.communicate(timeout=30)


def node() -> list[str]:
    """The command that runs Node; without one that will do, the test is skipped."""
    program = shutil.which("node")
    needs(program is not None, "Node (Debian packages nodejs and npm)")
    said = subprocess.run([program or "", "--version"], capture_output=True, text=True, check=True)
    version = re.match(r"v(\d+)\.", said.stdout)
    major = int(version[1]) if version else 0
    needs(major >= NODE_MAJOR_MIN, f"Node {NODE_MAJOR_MIN} or newer")
    return [program or ""]


def install() -> None:
    """`npm ci`, once for every lock, into node_modules beside it, which git ignores."""
    lock = hashlib.sha256((FOLDER / "package-lock.json").read_bytes()).hexdigest()[:16]
    modules = FOLDER / "node_modules"
    done = modules / f".installed-{lock}"
    program = shutil.which("npm")
    with (FOLDER / "package-lock.json").open("rb") as turn:
        # Test processes come here together.
        fcntl.flock(turn, fcntl.LOCK_EX)
        if done.exists():
            return
        needs(program is not None, "npm")
        installed = subprocess.run(
            [program or "", "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
            cwd=FOLDER,
            capture_output=True,
            text=True,
            check=False,
            timeout=INSTALL_LIMIT_S,
        )
        needs(installed.returncode == 0, f"a registry of npm packages: {installed.stderr[-500:]}")
        done.touch()
