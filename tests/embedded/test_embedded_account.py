"""Whom the server runs as: never root, and nobody's folders are opened for it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from mintage.db import embedded, embedded_binaries
from mintage.db.embedded import EmbeddedServerError
from mintage.db.embedded_binaries import PACKAGE, find_installation
from tests.embedded.support import NOBODY, StartOwner, ask, running

pytestmark = pytest.mark.long

STRANGER = 1
"""`daemon`, on every system: a user with a name, which initdb wants."""
NAMELESS = 54321


@pytest.fixture
def as_root() -> None:
    if os.geteuid() != 0:
        pytest.skip("needs to be root, to become another user")


@pytest.fixture
def copies_dir(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where programs are copied to, in place of /var/cache/mintage."""
    made = Path(tempfile.mkdtemp(prefix="mintage-test-", dir="/var/tmp"))
    made.chmod(0o755)
    monkeypatch.setattr(embedded_binaries, "COPIES_DIR", made / "cache")
    yield made / "cache"
    shutil.rmtree(made)


def uid_of(pid: int) -> int:
    return Path(f"/proc/{pid}").stat().st_uid


@pytest.mark.usefixtures("as_root")
async def test_root_gives_the_server_to_nobody_and_opens_no_folder(root_dir: Path) -> None:
    data_dir = root_dir / "closed" / "data"
    data_dir.mkdir(parents=True, mode=0o700)
    (root_dir / "closed").chmod(0o700)
    above = [data_dir, *data_dir.parents]
    before = [(path.stat().st_mode, path.stat().st_uid) for path in above]
    async with running(data_dir) as server:
        assert uid_of(server.postmaster_pid) == NOBODY
        assert await ask(server.dsn, "select 1") == 1
        assert (data_dir / "postgres").stat().st_mode & 0o777 == 0o700
        assert server.socket_dir.stat().st_mode & 0o777 == 0o700
    assert [(path.stat().st_mode, path.stat().st_uid) for path in above] == before


@pytest.mark.usefixtures("as_root")
async def test_a_normal_user_and_root_start_the_users_directory_in_turn(
    root_dir: Path, start_owner: StartOwner
) -> None:
    data_dir = root_dir / "data"
    data_dir.mkdir()
    os.chown(data_dir, STRANGER, STRANGER)
    async with running(data_dir) as server:
        assert uid_of(server.postmaster_pid) == STRANGER
        await ask(server.dsn, "create table kept as select 42 as answer")
    root_dir.chmod(0o711)
    owner = start_owner(data_dir, user=STRANGER)
    words = owner.hears()
    assert uid_of(words["pid"]) == STRANGER
    assert await ask(words["dsn"], "select answer from kept") == 42
    owner.killed()
    async with running(data_dir) as server:
        assert await ask(server.dsn, "select answer from kept") == 42


@pytest.mark.usefixtures("as_root")
async def test_a_normal_user_makes_a_cluster_of_his_own(
    root_dir: Path, start_owner: StartOwner
) -> None:
    home = root_dir / "hem ö"
    home.mkdir()
    os.chown(home, NOBODY, NOBODY)
    root_dir.chmod(0o711)
    owner = start_owner(home / "new" / "data", user=NOBODY)
    words = owner.hears()
    assert uid_of(words["pid"]) == uid_of(words["keeper"]) == NOBODY
    assert await ask(words["dsn"], "select 1") == 1
    assert owner.ended() == {"stopped": True}


@pytest.mark.usefixtures("as_root")
async def test_a_user_without_a_name_is_told_what_to_do_and_root_takes_nobody(
    root_dir: Path, start_owner: StartOwner
) -> None:
    data_dir = root_dir / "data"
    data_dir.mkdir()
    os.chown(data_dir, NAMELESS, NAMELESS)
    root_dir.chmod(0o711)
    assert "has no entry in /etc/passwd" in start_owner(data_dir, user=NAMELESS).hears()["refused"]
    async with running(data_dir) as server:
        assert uid_of(server.postmaster_pid) == NOBODY


@pytest.mark.usefixtures("as_root")
async def test_a_directory_of_another_user_is_refused_by_a_sentence(
    root_dir: Path, start_owner: StartOwner
) -> None:
    data_dir = root_dir / "data"
    async with running(data_dir):
        pass
    root_dir.chmod(0o711)
    assert (
        "start Mintage as the user who owns it"
        in start_owner(data_dir, user=STRANGER).hears()["refused"]
    )
    for path in (data_dir, data_dir / "postgres.lock", data_dir / "postgres.log"):
        os.chown(path, STRANGER, STRANGER)
    assert (
        "start it as the folder's owner or as root"
        in start_owner(data_dir, user=STRANGER).hears()["refused"]
    )


@pytest.mark.usefixtures("as_root")
async def test_programs_the_account_cannot_read_are_copied_once(
    data_dir: Path, root_dir: Path, copies_dir: Path
) -> None:
    source = find_installation(None).bin_dir.parent
    libraries = source.parent.with_name(source.parent.name + ".libs")
    shutil.copytree(source, root_dir / PACKAGE / "pginstall")
    if libraries.is_dir():
        shutil.copytree(libraries, root_dir / f"{PACKAGE}.libs")
    bin_dir = root_dir / PACKAGE / "pginstall" / "bin"
    async with running(data_dir, bin_dir=bin_dir) as server:
        program = Path(f"/proc/{server.postmaster_pid}/exe").readlink()
        assert program.is_relative_to(copies_dir)
    (copy,) = copies_dir.iterdir()
    async with running(data_dir, bin_dir=bin_dir) as server:
        assert await ask(server.dsn, "select 1") == 1
    assert [path.stat().st_ino for path in copies_dir.iterdir()] == [copy.stat().st_ino]


@pytest.mark.usefixtures("as_root")
async def test_a_socket_folder_prepared_by_another_user_is_refused(
    data_dir: Path, tmp_path: Path
) -> None:
    async with running(data_dir) as server:
        pass
    server.socket_dir.mkdir()
    os.chown(server.socket_dir, STRANGER, STRANGER)
    try:
        with pytest.raises(EmbeddedServerError, match="is another user's"):
            await embedded.start(data_dir, durable=False)
    finally:
        server.socket_dir.rmdir()
