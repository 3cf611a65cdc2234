"""What every door says of a brand that is closed, or gone: what it says of one there never was."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from threading import Thread
from uuid import UUID, uuid4

import pytest

from mintage.db.connection import open_database
from mintage.errors import MintageError
from mintage.meters import RESOLVER
from mintage.operations import steps
from mintage.operations.brand_delete import TABLES, delete_brand
from mintage.operations.call import SYSTEM, Transactions
from mintage.operations.pack_execution import process_payload_pack
from mintage.operations.resolving import Subject
from mintage.operations.webhook_sending import WebhookAnswer, WebhookRequest, send_due_webhook
from mintage.perform import Platform
from mintage.resolver.scan_buffer import ScanBuffer, SeenScan
from mintage.rpcs import RPCS
from mintage.settings import Limits
from mintage.storage import PackStore, open_pack_store
from tests.brands.test_brand_delete import Killed, close
from tests.contract.stage import allowed_caller
from tests.fuzz.asking import Answer, Request, ask
from tests.fuzz.seeds import BRAND_HOST, Target, open_target, request, seeds_of
from tests.support.minting import value
from tests.support.webhooks import all_sent, knowing, receiver, webhook_of
from tests.support.world import World

STATES = ("closed", "gone")


class Died(BaseException):
    """The worker dies here, and books nothing."""


def _die(_: str, __: int) -> None:
    raise Killed


async def come_to(state: str, world: World, store: PackStore, folder: Path) -> None:
    """Close the brand, its rows and files still there; or go on until nothing of it is left."""
    if state == "closed":
        await close(world, open_pack_store(None, folder / "another"))
    else:
        await delete_brand(world.platform.database, store, "acme", may_void_running=True)


def without_ids(answer: Answer) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Status, headers and body, without what is each request's own."""
    own = {b"x-request-id", b"date"}
    headers = [(name, value) for name, value in answer.headers if name.lower() not in own]
    return answer.status, headers, answer.body


@asynccontextmanager
async def target_of(
    platform: Platform, world: World, dsn: str, folder: Path
) -> AsyncIterator[tuple[Target, PackStore, bytes]]:
    """Every door over a filled brand, its store, and a signed URL of one of its packs that opens."""
    folder.mkdir()
    async with open_target(platform, world, dsn, folder) as target:
        path = f"/storage/v1/object/sign/payload-packs/{target.pack_path}"
        signed = await ask(
            target.application, request(target, "POST", path, "owner", content={"expiresIn": 300})
        )
        assert signed.status == 200, signed.body
        query = signed.body.partition(b"?token=")[2].partition(b'"')[0]
        opened = await ask(target.application, signed_request(target, query))
        assert opened.status == 200
        assert opened.body
        yield target, open_pack_store(None, folder), query


def signed_request(target: Target, token: bytes) -> Request:
    path = f"/storage/v1/object/sign/payload-packs/{target.pack_path}"
    return replace(request(target, "GET", path), target=f"{path}?token={token.decode()}".encode())


def of_another_brand(asked: Request, brand_id: UUID, other: UUID) -> Request:
    """The same request about a brand that there never was."""
    here, there = str(brand_id).encode(), str(other).encode()
    return replace(
        asked, target=asked.target.replace(here, there), body=asked.body.replace(here, there)
    )


@pytest.mark.long
async def test_the_api_says_of_a_closed_brand_what_it_says_of_one_there_never_was(
    platform: Platform, world: World, dsn: str, tmp_path: Path
) -> None:
    async with target_of(platform, world, dsn, tmp_path / "data") as (target, store, _):
        brand_id, job_id = world.brand_id, target.stage.mine.mint_job_id
        for state in STATES:
            await come_to(state, world, store, tmp_path)
            for name, asked in _calls_about_the_brand(target):
                answer = await ask(target.application, asked)
                never = await ask(target.application, of_another_brand(asked, brand_id, uuid4()))
                assert without_ids(answer) == without_ids(never), (state, name)
                assert answer.status == 403, (state, name, answer.body)
            path = "/rest/v1/rpc/process_mint_job_batch"
            for named, status in ((job_id, 400), (uuid4(), 400), (None, 200)):
                content = {} if named is None else {"_mint_job_id": str(named)}
                answer = await ask(
                    target.application, request(target, "POST", path, "service", content=content)
                )
                assert answer.status == status, (state, answer.body)
                assert (b"not found" in answer.body) == (status == 400)
            for who, told in (("owner", b"[]"), ("service", b'"rival"')):
                answer = await ask(
                    target.application,
                    request(target, "POST", "/rest/v1/rpc/list_my_brands", who, content={}),
                )
                assert told in answer.body
                assert b'"acme"' not in answer.body


def _calls_about_the_brand(target: Target) -> Iterator[tuple[str, Request]]:
    """Every RPC that names the brand, as who might call it, as the service, and with a key's token."""
    brand = {"_brand_id": str(target.world.brand_id)}
    for name, rpc in RPCS.items():
        if rpc.audience == "brand":
            content = dict(target.stage.examples(name)[0]) | brand
            for who in {allowed_caller(name), "service", "api key"}:
                path = f"/rest/v1/rpc/{name}"
                yield f"{name} by {who}", request(target, "POST", path, who, content=content)
    content = {
        key.removeprefix("_"): value
        for key, value in (dict(target.stage.examples("submit_mint_request")[0]) | brand).items()
    }
    for who in ("owner", "api key", "service"):
        path = "/functions/v1/mint-api-v1"
        yield f"mint-api-v1 by {who}", request(target, "POST", path, who, content=content)


@pytest.mark.long
async def test_no_pack_of_a_closed_brand_is_served_and_no_key_of_it_is_good(
    platform: Platform, world: World, dsn: str, tmp_path: Path
) -> None:
    async with target_of(platform, world, dsn, tmp_path / "data") as (target, store, token):
        application, brand_id = target.application, world.brand_id
        for state in STATES:
            await come_to(state, world, store, tmp_path)
            signed = signed_request(target, token)
            for asked in (signed, replace(signed, method="HEAD")):
                answer = await ask(application, asked)
                assert answer.status == 404, (state, answer.body)
                assert b"csv" not in answer.everything
            for who in ("owner", "service", "api key"):
                for asked in _requests_of_storage(target, who):
                    answer = await ask(application, asked)
                    never = await ask(application, of_another_brand(asked, brand_id, uuid4()))
                    assert without_ids(answer) == without_ids(never), (state, asked)
                    assert answer.status == 404
            many = await ask(application, seeds_of(target)[SIGN_MANY]())
            assert many.status == 200
            assert b'"signedURL":null' in many.body.replace(b" ", b"")
            refused = await ask(application, seeds_of(target)["client grant"]())
            assert (refused.status, b"invalid_client" in refused.body) == (401, True), state


SIGN_MANY = "POST /storage/v1/object/sign/payload-packs"


def _requests_of_storage(target: Target, who: str) -> Iterator[Request]:
    base, path = "/storage/v1/object", f"payload-packs/{target.pack_path}"
    yield request(target, "POST", f"{base}/sign/{path}", who, content={"expiresIn": 60})
    for form in ("", "/authenticated", "/info", "/info/authenticated"):
        yield request(target, "GET", f"{base}{form}/{path}", who)


@pytest.mark.long
async def test_the_console_has_no_page_of_a_closed_brand_and_its_people_still_sign_in(
    platform: Platform, world: World, dsn: str, tmp_path: Path
) -> None:
    async with target_of(platform, world, dsn, tmp_path / "data") as (target, store, _):
        seeds = {
            name: seed for name, seed in seeds_of(target).items() if " /console/b/acme/" in name
        }
        assert len(seeds) > 40
        for state in STATES:
            await come_to(state, world, store, tmp_path)
            for name, seed in seeds.items():
                asked = seed()
                answer = await ask(target.application, asked)
                elsewhere = replace(asked, target=asked.target.replace(b"/b/acme/", b"/b/never/"))
                never = await ask(target.application, elsewhere)
                assert answer.status == never.status == 403, (state, name)
                assert b"There is no such brand, or no more" in answer.body, name
                assert of_the_page(answer) == of_the_page(never), (state, name)
            home = await ask(target.application, request(target, "GET", "/console/", "owner"))
            assert home.status == 200
            assert b"You are not a member of any brand" in home.body
            signed_in = await ask(target.application, seeds_of(target)["password grant"]())
            assert signed_in.status == 200


def of_the_page(answer: Answer) -> bytes:
    """An error's page without its address and the id of its request."""
    return re.sub(
        rb"<code>[\w-]+</code>", b"", answer.body.replace(b"/console/b/acme/", b"/console/b/never/")
    )


@pytest.mark.long
async def test_the_resolver_knows_no_host_of_a_closed_brand(
    platform: Platform, world: World, dsn: str, tmp_path: Path
) -> None:
    async with target_of(platform, world, dsn, tmp_path / "data") as (target, store, _):
        seeds = {n: seed for n, seed in seeds_of(target).items() if n.startswith("resolver ")}
        found = {(await ask(target.application, seed())).status for seed in seeds.values()}
        assert {200, 307} <= found
        for state in STATES:
            await come_to(state, world, store, tmp_path)
            # Counted as the request is, not when its row is written.
            before = dict(RESOLVER.scans)
            for name, seed in seeds.items():
                for method in ("GET", "HEAD"):
                    asked = replace(seed(), method=method)
                    answer = await ask(target.application, asked)
                    headers = tuple(
                        (key, b"never.example.com" if key == b"host" else value)
                        for key, value in asked.headers
                    )
                    never = await ask(target.application, replace(asked, headers=headers))
                    assert without_ids(answer) == without_ids(never), (state, name)
                    assert answer.status == 404, (state, name)
                    assert method == "HEAD" or b"brand_not_found" in answer.body
            assert before == RESOLVER.scans, "a scan of a brand that is closed"
        # The name is free: another brand may have it, and answers nothing of what was.
        host = f"https://{BRAND_HOST.decode()}"
        await world.rpc("set_brand_host", "service", brand_id=world.other_brand_id, base_url=host)
        for name, seed in seeds.items():
            kinds = ("serial", "unit", "batch", "lot id", "product")
            if name.startswith(tuple(f"resolver {kind}" for kind in kinds)):
                assert (await ask(target.application, seed())).status == 404, name


def closing_at(
    monkeypatch: pytest.MonkeyPatch, dsn: str, folder: Path, step: str, *, dies: bool = False
) -> list[str]:
    """Have another process close the brand once `step` is reached; the worker dies there, if it `dies`."""
    reached: list[str] = []

    async def close_elsewhere() -> None:
        database = await open_database(
            dsn, connections=2, statement_timeout_s=30, application="delete"
        )
        try:
            with pytest.raises(Killed):
                await delete_brand(
                    database,
                    open_pack_store(None, folder / "another"),
                    "acme",
                    may_void_running=True,
                    told=_die,
                )
        finally:
            await database.close()

    def close_once(at: str) -> None:
        if at == step and not reached:
            reached.append(at)
            thread = Thread(target=asyncio.run, args=(close_elsewhere(),))
            thread.start()
            thread.join()
            if dies:
                raise Died

    monkeypatch.setattr(steps, "reached", close_once)
    return reached


@pytest.mark.parametrize("step", ["mint_claimed", "mint_copied"])
async def test_a_cycle_that_a_closing_overtakes_commits_nothing(
    world: World, dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    job_id = (await world.submit(await world.product(), 50))["mint_job_id"]
    reached = closing_at(monkeypatch, dsn, tmp_path, step)
    answer = await world.rpc("process_mint_job_batch", "service", mint_job_id=job_id)
    assert reached == [step]
    assert (answer["ok"], answer["error"]["code"]) == (False, "LEASE_LOST")
    assert await value(world, "select count(*) from mint_unit") == 0
    with pytest.raises(MintageError, match="not found"):
        await world.rpc("process_mint_job_batch", "service", mint_job_id=job_id)
    assert (await world.rpc("process_mint_job_batch", "service"))["status"] == "IDLE"


@pytest.mark.parametrize("step", ["pack_claimed", "pack_written"])
async def test_a_pack_that_a_closing_overtakes_leaves_no_file(
    world: World, dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    store, transactions = await _waiting_pack(world, tmp_path)
    reached = closing_at(monkeypatch, dsn, tmp_path, step)
    assert (await process_payload_pack(transactions, store)).result == "lost"
    assert reached == [step]
    assert files_in(tmp_path) == []
    assert (await process_payload_pack(transactions, store)).result == "idle"
    assert await value(world, "select count(*) from payload_pack where sha256 is not null") == 0


async def test_a_file_that_a_worker_left_when_it_died_goes_with_its_brand(
    world: World, dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, transactions = await _waiting_pack(world, tmp_path)
    closing_at(monkeypatch, dsn, tmp_path, "pack_written", dies=True)
    with pytest.raises(Died):
        await process_payload_pack(transactions, store)
    (left,) = files_in(tmp_path)
    content = left.read_bytes()
    assert content
    late = [left.with_name("0009-7.csv"), left.with_name("0009-8.csv#1")]

    def leave_more(what: str, _: int) -> None:
        if what == "mint_unit":
            assert not left.exists()
            for file in late:
                file.write_bytes(content)

    await delete_brand(world.platform.database, store, "acme", told=leave_more)
    assert files_in(tmp_path) == []


async def _waiting_pack(world: World, folder: Path) -> tuple[PackStore, Transactions]:
    submitted = await world.minted(20)
    await world.rpc("request_payload_packs", mint_batch_id=submitted["mint_batch_id"])
    return open_pack_store(None, folder), world.platform.transactions(SYSTEM, "test")


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_webhooks_of_a_closed_brand_are_told_nothing(world: World, tmp_path: Path) -> None:
    world = knowing(world)
    async with receiver() as found:
        await webhook_of(world, found.url, "mint_job.completed")
        await world.minted(3)
        await close(world, open_pack_store(None, tmp_path))
        assert await all_sent(world) == []
    assert found.bodies == []


async def test_what_is_under_way_to_a_webhook_when_its_brand_goes_is_closed_by_nobody(
    world: World, tmp_path: Path
) -> None:
    world = knowing(world)
    await webhook_of(world, "https://example.com/", "mint_job.completed")
    await world.minted(3)

    async def delete_meanwhile(_: WebhookRequest) -> WebhookAnswer:
        await delete_brand(world.platform.database, open_pack_store(None, tmp_path), "acme")
        return WebhookAnswer(answer_code=500, failure="HTTP_STATUS")

    transactions = world.platform.transactions(SYSTEM, "test")
    assert await send_due_webhook(transactions, delete_meanwhile) == "lost"
    for table in TABLES:
        rows = await value(
            world, f"select count(*) from {table} where brand_id = $1", world.brand_id
        )
        assert rows == 0, table


async def test_a_scan_that_comes_after_its_brand_is_gone_holds_up_no_other(
    world: World, tmp_path: Path
) -> None:
    now = await value(world, "select clock_timestamp()")
    buffer = ScanBuffer(world.platform.database, Limits())
    await delete_brand(world.platform.database, open_pack_store(None, tmp_path), "acme")
    for brand_id in (world.brand_id, world.other_brand_id):
        subject = Subject(product_id=uuid4(), unit_id=uuid4())
        buffer.record(SeenScan(brand_id, now, subject, "recorded", "human", None, "", "/01/x"))
    await buffer.stop()
    assert (len(buffer), buffer.dropped_count) == (0, 0)
    of_rival = "select count(*) from scan_event where brand_id = $1"
    assert await value(world, of_rival, world.other_brand_id) == 1
