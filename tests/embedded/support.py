"""What the tests of the embedded server share: owners of servers, questions, waiting."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import asyncpg
import pytest

from mintage.db import embedded

WAIT_LIMIT_S = 30
NOBODY = 65534


@dataclass(frozen=True)
class Owner:
    """A process that owns a server, and what it says."""

    process: subprocess.Popen[str]

    def hears(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the owner ended without a word"
        words: dict[str, Any] = json.loads(line)
        return words

    def told(self, word: str) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        return self.hears()

    def killed(self) -> None:
        self.process.kill()
        self.process.wait()

    def ended(self) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.hears()


class StartOwner(Protocol):
    def __call__(
        self, data_dir: Path, bin_dir: Path | None = None, user: int | None = None
    ) -> Owner: ...


@asynccontextmanager
async def running(data_dir: Path, **options: Any) -> AsyncIterator[embedded.EmbeddedServer]:
    server = await embedded.start(data_dir, durable=False, **options)
    try:
        yield server
    finally:
        await embedded.stop(server)


async def ask(dsn: str, statement: str) -> Any:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def until(is_so: Callable[[], bool]) -> None:
    """Wait for what must come about; the limit is only there to end a test that fails."""
    async with asyncio.timeout(WAIT_LIMIT_S):
        while not is_so():
            await asyncio.sleep(0.02)


def is_running(pid: int) -> bool:
    """Whether a process lives; one that has ended and is not yet collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def needs(condition: bool, what: str) -> None:
    """Skip on a machine that lacks something; under CI=true that is a failure."""
    if condition:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(f"needs {what}")
    pytest.skip(f"needs {what}")
