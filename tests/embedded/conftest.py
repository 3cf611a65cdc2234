"""Data directories and owner processes that leave nothing behind."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from mintage.db.embedded_binaries import Account, is_reachable_by
from mintage.db.embedded_processes import end_survivors, token_of
from tests.embedded.support import Owner, StartOwner, needs

OWNER = Path(__file__).with_name("owner.py")
SHM_BYTES_NEEDED = 1 << 30


@pytest.fixture
def root_dir(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is room, mode 0700, removed with whatever runs in it."""
    memory = Path("/dev/shm")
    has_room = memory.is_dir() and shutil.disk_usage(memory).free > SHM_BYTES_NEEDED
    made = Path(tempfile.mkdtemp(prefix="mintage-test-", dir=memory if has_room else tmp_path))
    yield made
    for cluster in (path for path in made.rglob("postgres") if path.is_dir()):
        asyncio.run(end_survivors(cluster))
        # A killed owner leaves the empty folder of its socket, until the next start.
        shutil.rmtree(Path(tempfile.gettempdir(), token_of(cluster)), ignore_errors=True)
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture
def data_dir(root_dir: Path) -> Path:
    return root_dir / "data"


@pytest.fixture
def start_owner() -> Iterator[StartOwner]:
    """Start `owner.py`, in a session of its own as a terminal's job is; killed at the end."""
    owners: list[Owner] = []

    def start(data_dir: Path, bin_dir: Path | None = None, user: int | None = None) -> Owner:
        words = [interpreter_for(user), str(OWNER), str(data_dir)]
        words += [str(bin_dir)] if bin_dir else []
        process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            start_new_session=True,
            user=user,
            group=user,
            extra_groups=None if user is None else [],
        )
        owners.append(Owner(process))
        return owners[-1]

    yield start
    for owner in owners:
        owner.killed()
        for stream in (owner.process.stdin, owner.process.stdout):
            if stream is not None:
                stream.close()


def interpreter_for(user: int | None) -> str:
    """A Python which that user may run: this one, or the system's when this one is root's own."""
    if user is None:
        return sys.executable
    account = Account(user, user, "a user")
    needs(is_reachable_by(OWNER, account), "a checkout that other users can enter")
    if is_reachable_by(Path(sys.executable), account):
        return sys.executable
    other = shutil.which(f"python3.{sys.version_info.minor}", path="/usr/bin:/usr/local/bin")
    needs(other is not None, "a Python of this version that other users can run")
    assert other is not None
    return other
