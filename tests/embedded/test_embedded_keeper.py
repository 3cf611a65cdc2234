"""The keeper ends what it keeps, by stronger means where the orderly one is not heard."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mintage.db import embedded_keeper
from mintage.db.embedded import EmbeddedServerError
from mintage.db.embedded_keeper import LOG_BYTES_KEPT, LOG_BYTES_MAX
from mintage.db.embedded_launch import exit_code_of, launch
from tests.embedded.support import WAIT_LIMIT_S, is_running


@pytest.fixture
def log(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path / "log", os.O_RDWR | os.O_CREAT | os.O_APPEND)
    yield descriptor
    os.close(descriptor)


async def test_a_command_that_does_not_hear_the_interrupt_is_made_to_quit(
    tmp_path: Path, log: int
) -> None:
    command = ["/bin/sh", "-c", "trap '' INT; echo deaf; exec sleep 60"]
    kept = launch(command, directory=tmp_path, account=None, log=log, stop_s=0.2)
    while os.pread(log, 10, 0) != b"deaf\n":
        assert is_running(kept.pid)
    kept.pipe.release()
    assert await exit_code_of(kept, WAIT_LIMIT_S) == 128 + 3
    assert not is_running(kept.pid)


async def test_the_end_of_a_command_is_the_end_of_its_keeper(tmp_path: Path, log: int) -> None:
    command = ["/bin/sh", "-c", 'echo "in $0"; exit 7', "{directory}"]
    kept = launch(command, directory=tmp_path, account=None, log=log, stop_s=1)
    assert await exit_code_of(kept, WAIT_LIMIT_S) == 7
    kept.pipe.release()
    assert os.pread(log, 1000, 0).decode() == f"in {tmp_path}\n"


def test_a_command_that_is_not_there_is_told(tmp_path: Path, log: int) -> None:
    with pytest.raises(EmbeddedServerError, match=r"no/such could not be run: .*No such file"):
        launch(["/no/such"], directory=tmp_path, account=None, log=log, stop_s=1)


def test_a_log_grown_too_large_keeps_its_end(tmp_path: Path, log: int) -> None:
    os.write(log, b"a" * LOG_BYTES_MAX + b"the end")
    keeper = Path(embedded_keeper.__file__)
    script = f"import runpy; runpy.run_path({str(keeper)!r})['_bound_log']()"
    subprocess.run([sys.executable, "-c", script], stderr=log, check=True)
    text = (tmp_path / "log").read_bytes()
    assert len(text) == LOG_BYTES_KEPT
    assert text.endswith(b"aaa" + b"the end")
