"""However the owner ends, the server ends after it, and the next start has all its data."""

# ruff: noqa: ASYNC220 -- nothing else runs on these loops

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from mintage.db import embedded
from mintage.db.embedded import EmbeddedServerError
from mintage.db.embedded_processes import processes_of
from tests.embedded.support import StartOwner, ask, is_running, running, until

pytestmark = pytest.mark.long


async def test_a_killed_owner_takes_its_server_with_it_and_the_data_stays(
    data_dir: Path, start_owner: StartOwner
) -> None:
    owner = start_owner(data_dir)
    words = owner.hears()
    await ask(words["dsn"], "create table kept as select 42 as answer")
    owner.killed()
    await until(lambda: not processes_of(data_dir / "postgres"))
    await until(lambda: not is_running(words["keeper"]))
    assert "database system is shut down" in (data_dir / "postgres.log").read_text()
    async with running(data_dir) as server:
        assert await ask(server.dsn, "select answer from kept") == 42


async def test_a_start_right_after_the_kill_waits_for_the_server_to_end(
    data_dir: Path, start_owner: StartOwner
) -> None:
    owner = start_owner(data_dir)
    words = owner.hears()
    await ask(words["dsn"], "create table kept as select 42 as answer")
    owner.killed()
    async with running(data_dir) as server:
        assert server.postmaster_pid != words["pid"]
        assert await ask(server.dsn, "select answer from kept") == 42


async def test_a_survivor_whose_keeper_was_killed_too_is_stopped_and_replaced(
    data_dir: Path, start_owner: StartOwner
) -> None:
    owner = start_owner(data_dir)
    words = owner.hears()
    await ask(words["dsn"], "create table kept as select 42 as answer")
    os.kill(words["keeper"], signal.SIGKILL)
    owner.killed()
    assert await ask(words["dsn"], "select answer from kept") == 42
    async with running(data_dir) as server:
        assert not is_running(words["pid"])
        assert await ask(server.dsn, "select answer from kept") == 42
    assert "was not properly shut down" not in (data_dir / "postgres.log").read_text()


async def test_an_owner_whose_keeper_was_killed_stops_its_server_all_the_same(
    data_dir: Path, start_owner: StartOwner
) -> None:
    owner = start_owner(data_dir)
    words = owner.hears()
    os.kill(words["keeper"], signal.SIGKILL)
    assert owner.ended() == {"stopped": True}
    assert not processes_of(data_dir / "postgres")


async def test_a_killed_postmaster_is_recovered_by_the_next_start(data_dir: Path) -> None:
    async with running(data_dir, settings={"synchronous_commit": "on"}) as server:
        await ask(server.dsn, "create table kept as select 42 as answer")
        os.kill(server.postmaster_pid, signal.SIGKILL)
    async with running(data_dir) as server:
        assert await ask(server.dsn, "select answer from kept") == 42


async def test_an_interrupt_of_the_owners_group_does_not_reach_the_server(
    data_dir: Path, start_owner: StartOwner
) -> None:
    owner = start_owner(data_dir)
    words = owner.hears()
    os.killpg(owner.process.pid, signal.SIGINT)
    assert owner.hears() == {"interrupted": True}
    assert await ask(words["dsn"], "select 1") == 1
    assert os.getsid(words["pid"]) != os.getsid(owner.process.pid)
    assert owner.ended() == {"stopped": True}
    assert not is_running(words["pid"])


async def test_a_forked_child_keeps_neither_the_server_nor_the_lock_of_a_dead_owner(
    data_dir: Path, start_owner: StartOwner
) -> None:
    owner = start_owner(data_dir)
    owner.hears()
    child = owner.told("fork")["child"]
    try:
        owner.killed()
        await until(lambda: not processes_of(data_dir / "postgres"))
        async with running(data_dir) as server:
            assert await ask(server.dsn, "select 1") == 1
        assert is_running(child)
    finally:
        os.kill(child, signal.SIGKILL)


async def test_a_start_that_is_cancelled_leaves_nothing_running(data_dir: Path) -> None:
    async with running(data_dir):
        pass
    task = asyncio.create_task(embedded.start(data_dir, durable=False))
    await until(lambda: bool(processes_of(data_dir / "postgres")))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not processes_of(data_dir / "postgres")
    async with running(data_dir) as server:
        assert await ask(server.dsn, "select 1") == 1


async def test_a_cluster_whose_making_was_killed_is_made_anew(
    data_dir: Path, start_owner: StartOwner
) -> None:
    owner = start_owner(data_dir)
    await until(lambda: any(data_dir.glob("postgres.new-*/PG_VERSION")))
    owner.killed()
    assert not (data_dir / "postgres").exists()
    (data_dir / "postgres.new-left").mkdir()
    async with running(data_dir) as server:
        assert await ask(server.dsn, "select 1") == 1
    assert not list(data_dir.glob("postgres.new-*"))


async def test_a_stale_pid_file_does_not_hurt_the_program_that_has_the_number_now(
    data_dir: Path,
) -> None:
    async with running(data_dir):
        pass
    cluster = data_dir / "postgres"
    owner = cluster.stat()
    other = subprocess.Popen(["/bin/sleep", "60"], user=owner.st_uid)
    try:
        lines = f"{other.pid}\n{cluster}\n1\n5432\n/tmp/mintage-none\n\n  1  2\nready   \n"
        (cluster / "postmaster.pid").write_text(lines)
        os.chown(cluster / "postmaster.pid", owner.st_uid, owner.st_gid)
        assert embedded.find(data_dir) is None
        async with running(data_dir) as server:
            assert await ask(server.dsn, "select 1") == 1
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


async def test_a_postgres_which_mintage_did_not_start_is_left_alone(
    data_dir: Path, root_dir: Path
) -> None:
    async with running(data_dir):
        pass
    cluster = data_dir / "postgres"
    root_dir.chmod(0o755)
    program = Path(shutil.copy("/bin/sleep", root_dir / "postgres"))
    other = subprocess.Popen([program, "60"], user=cluster.stat().st_uid)
    try:
        (cluster / "postmaster.pid").write_text(f"{other.pid}\n")
        with pytest.raises(EmbeddedServerError, match="which Mintage did not start"):
            await embedded.start(data_dir, durable=False)
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()
