"""supabase-js for tests: driven over pipes, and what it shows as values (`make test-tools` installs it).

One Node process serves a session; each test has clients of its own. Not here: what is asserted.
"""

from __future__ import annotations

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
def running_node(program: str, url: str, folder: Path) -> Iterator[Node]:
    """A Node process that calls Mintage at `url`; what it says to people goes into `folder`."""
    console = folder / "node.log"
    with console.open("w") as errors:
        process = subprocess.Popen(
            [program, "driver.mjs"],
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


def node_program() -> str:
    """Node, with supabase-js beside the driver; where either is missing, the test is skipped."""
    program = shutil.which("node")
    if program is None:
        needs(False, "Node: Debian packages nodejs and npm")
    version = subprocess.run(
        [str(program), "--version"], capture_output=True, text=True, check=True
    )
    major = re.match(r"v(\d+)\.", version.stdout)
    needs(major is not None and int(major[1]) >= NODE_MAJOR_MIN, f"Node {NODE_MAJOR_MIN} or newer")
    needs(_is_installed(), "supabase-js: make test-tools")
    return str(program)


def _is_installed() -> bool:
    """Whether the modules are those of the lock; npm keeps a copy of it beside them."""
    kept = FOLDER / "node_modules" / ".package-lock.json"
    lock = json.loads((FOLDER / "package-lock.json").read_text("utf-8"))
    wanted = {path: module for path, module in lock["packages"].items() if path}
    return kept.exists() and _versions(
        json.loads(kept.read_text("utf-8"))["packages"]
    ) == _versions(wanted)


def _versions(packages: Mapping[str, Any]) -> dict[str, str]:
    return {path: module["version"] for path, module in packages.items()}
