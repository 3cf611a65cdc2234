"""Calls a minute of a caller in a brand: over HTTP, over two processes, and without the database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import httpx2
import pytest

from mintage.api.app import build_api
from mintage.api.foreign import foreign_users
from mintage.errors import RATE_LIMITED, MintageError
from mintage.operations.call import SYSTEM
from mintage.operations.rate_limits import CallRates, remove_old_rate_limits
from mintage.rules.rates import Rate, calls_left, share_of
from mintage.settings import ForeignIssuer, Limits
from tests.api.conftest import Api
from tests.api.test_foreign_issuer import AUDIENCE, ISSUER, SECRET, asked, signed

if TYPE_CHECKING:
    from mintage.db.connection import Database

CALLS = 40
LIMITS = Limits(calls_a_minute=CALLS)
INTERVAL_S = 60 / CALLS


@dataclass
class Clock:
    """A monotonic clock that stands still."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


async def _refused(rates: CallRates, database: Database, caller: str, brand: UUID) -> int | None:
    """The seconds of Retry-After; None for a call that was taken."""
    try:
        await rates.count(database, LIMITS, caller, brand)
    except MintageError as error:
        if error.kind is not RATE_LIMITED:
            raise
        return error.retry_after_s
    return None


async def _taken(rates: CallRates, database: Database, caller: str, brand: UUID, tries: int) -> int:
    """How many of `tries` calls were taken."""
    answers = [await _refused(rates, database, caller, brand) for _ in range(tries)]
    return answers.count(None)


@asynccontextmanager
async def _limited(api: Api, calls: int) -> AsyncIterator[Api]:
    platform = replace(
        api.door.platform,
        limits=replace(api.door.platform.limits, calls_a_minute=calls),
        rates=CallRates(),
    )
    door = replace(api.door, platform=platform)
    transport = httpx2.ASGITransport(build_api(door))
    async with httpx2.AsyncClient(
        transport=transport, base_url="https://mint.example.com"
    ) as client:
        yield Api(client, door, api.world)


async def test_beyond_the_limit_a_call_is_429_with_the_seconds_to_wait(api: Api) -> None:
    async with _limited(api, 20) as limited:
        brand = api.world.brand_id
        answers = [await limited.call("list_products", brand_id=brand) for _ in range(21)]
        assert [answer.status_code for answer in answers] == [200] * 20 + [429]
        refused = answers[-1]
        assert refused.headers["retry-after"] == "3"
        assert refused.headers["access-control-allow-origin"] == "*"
        assert refused.json() == {
            "code": "54001",
            "message": "Too many requests: wait and try again",
            "details": None,
            "hint": "at most 20 calls a minute are taken of one caller in one brand",
            "errors": [],
        }


async def test_every_door_answers_429_in_its_own_shape_and_counts_together(api: Api) -> None:
    brand = api.world.brand_id
    path = f"/storage/v1/object/info/payload-packs/{brand}/{uuid4()}/0001-1.csv"
    async with _limited(api, 3) as limited:
        assert (await limited.call("list_products", brand_id=brand)).status_code == 200
        body = {"brand_id": str(brand)}
        submitted = await limited.post("/functions/v1/mint-api-v1", "owner", body)
        assert submitted.status_code == 400
        assert (await limited.get(path)).status_code == 404
        function = await limited.post("/functions/v1/mint-api-v1", "owner", body)
        storage = await limited.get(path)
        reading = await limited.get("/rest/v1/rpc/list_products", brand_id=brand)
    for refused in (function, storage, reading):
        assert refused.status_code == 429
        assert refused.headers["retry-after"] == "20"
    assert function.json()["error"]["code"] == "RATE_LIMITED"
    assert storage.json()["statusCode"] == "429"
    assert storage.json()["error"] == "SlowDown"


async def test_callers_and_brands_have_limits_of_their_own(api: Api) -> None:
    brand, other = api.world.brand_id, api.world.other_brand_id
    async with _limited(api, 1) as limited:

        async def status(rpc: str, caller: str, **given: object) -> int:
            return (await limited.call(rpc, caller, **given)).status_code

        assert await status("list_products", "owner", brand_id=brand) == 200
        assert await status("list_products", "owner", brand_id=brand) == 429
        assert await status("list_products", "admin", brand_id=brand) == 200
        assert await status("list_products", "owner", brand_id=other) == 403
        assert await status("list_products", "owner", brand_id=other) == 429
        assert await status("list_my_brands", "owner") == 200
        assert await status("list_my_brands", "owner") == 429
        assert await status("list_products", "service", brand_id=brand) == 200
        assert await status("list_products", "service", brand_id=brand) == 429
        assert await status("list_products", "service", brand_id=other) == 200


async def test_the_cycle_of_mint_api_v1_is_no_call_of_its_own(api: Api) -> None:
    async with _limited(api, 2) as limited:
        product = await api.world.product()
        body = {
            "brand_id": str(api.world.brand_id),
            "product_id": str(product),
            "requested_quantity": 3,
            "identity_mode": "serial",
            "activation_mode": "first_scan",
        }
        for _ in range(2):
            answer = await limited.post("/functions/v1/mint-api-v1", "service", body)
            assert answer.json()["kicked"] is True


async def test_what_the_platform_does_itself_is_not_counted(api: Api) -> None:
    async with _limited(api, 1) as limited:
        world = api.world.with_platform(limited.door.platform)
        for _ in range(3):
            assert (await world.rpc("process_mint_job_batch", "service"))["ok"] is True


async def test_one_process_takes_exactly_the_limit(database: Database) -> None:
    clock, brand = Clock(), uuid4()
    rates = CallRates(clock)
    assert await _taken(rates, database, "a", brand, CALLS + 20) == CALLS
    wait_s = await _refused(rates, database, "a", brand)
    assert wait_s == 2
    clock.now += wait_s
    assert await _refused(CallRates(clock), database, "b", brand) is None


async def test_two_processes_share_one_limit(database: Database) -> None:
    brand, clock = uuid4(), Clock()
    first, second = CallRates(clock), CallRates(clock)
    taken = 0
    for _ in range(CALLS):
        taken += await _taken(first, database, "a", brand, 1)
        taken += await _taken(second, database, "a", brand, 1)
    first_counted = CALLS // 10
    assert CALLS - 2 <= taken <= CALLS + first_counted
    assert await _taken(CallRates(clock), database, "a", brand, 20) == first_counted
    assert await _taken(first, database, "a", uuid4(), 3) == 3


async def test_calls_at_once_share_what_one_of_them_asks_for(database: Database) -> None:
    brand, rates = uuid4(), CallRates(Clock())
    answers = await asyncio.gather(
        *(_refused(rates, database, "a", brand) for _ in range(CALLS + 10))
    )
    assert answers.count(None) == CALLS


async def test_a_refused_caller_is_let_through_after_the_wait(database: Database) -> None:
    brand, clock = uuid4(), Clock()
    first, second = CallRates(clock), CallRates(clock)
    await _taken(first, database, "a", brand, CALLS)
    await _taken(second, database, "a", brand, CALLS // 10)
    wait_s = await _refused(second, database, "a", brand)
    assert wait_s is not None
    assert await _refused(second, database, "a", brand) == wait_s
    await _pass(database, clock, wait_s)
    assert await _refused(second, database, "a", brand) is None


async def _pass(database: Database, clock: Clock, seconds: float) -> None:
    """Let `seconds` pass, for the process and for what the database keeps."""
    clock.now += seconds
    await database.pool.execute(
        "update rate_limit set paid_back_at = paid_back_at - make_interval(secs => $1)", seconds
    )


async def test_the_statement_gives_what_the_rule_says(database: Database) -> None:
    brand, rate = uuid4(), Rate(CALLS, 60.0)
    for owed in (0.0, 3.2, 29.0, 55.0, 58.4, 58.6, 60.0, 61.0):
        rates = CallRates(Clock())
        await _taken(rates, database, "a", brand, CALLS // 10 + 1)
        await database.pool.execute(
            "update rate_limit set paid_back_at = clock_timestamp() + make_interval(secs => $1)",
            owed,
        )
        fresh = CallRates(Clock())
        await _taken(fresh, database, "a", brand, CALLS // 10)
        await _refused(fresh, database, "a", brand)
        granted = await database.pool.fetchval("select granted from rate_limit")
        charged = owed + CALLS // 10 * INTERVAL_S
        # The clock has gone on by some milliseconds: what is left may have grown by one at an edge.
        expected = {
            share_of(calls_left(rate, charged, passed), LIMITS.calls_share_max)
            for passed in (0.0, 0.4)
        }
        assert granted in expected, owed


async def test_a_slow_caller_never_asks_the_database(database: Database) -> None:
    clock, rates = Clock(), CallRates(Clock())
    rates = CallRates(clock)
    for _ in range(30):
        clock.now += 61
        assert await _refused(rates, database, "a", UUID(int=1)) is None
    assert await database.pool.fetchval("select count(*) from rate_limit") == 0


async def test_without_the_database_the_process_limits_by_itself(database: Database) -> None:
    clock, brand = Clock(), uuid4()
    rates = CallRates(clock)
    await database.pool.execute("alter table rate_limit rename to gone")
    with pytest.raises(Exception, match="rate_limit"):
        await _taken(rates, database, "a", brand, CALLS)
    await database.close()
    rates = CallRates(clock)
    assert await _taken(rates, database, "a", brand, CALLS + 5) == CALLS
    clock.now += INTERVAL_S + 0.1
    assert await _taken(rates, database, "a", brand, 5) == 1


async def test_a_process_forgets_the_callers_it_saw_longest_ago(database: Database) -> None:
    rates = CallRates(Clock())
    limits = replace(LIMITS, callers_counted_max=5)
    for number in range(20):
        await rates.count(database, limits, f"caller {number}", None)
    assert len(rates) == 5


async def test_rows_that_are_paid_back_are_removed(api: Api) -> None:
    platform = api.world.platform
    brand, rates = uuid4(), CallRates(Clock())
    await _taken(rates, platform.database, "old", brand, 10)
    await _pass(platform.database, Clock(), 61)
    await _taken(rates, platform.database, "new", brand, 10)
    assert await remove_old_rate_limits(platform.transactions(SYSTEM, "duty")) == 1
    assert await platform.database.pool.fetchval("select count(*) from rate_limit") == 1


async def test_foreign_users_without_an_account_have_limits_of_their_own(api: Api) -> None:
    given = ForeignIssuer(ISSUER, AUDIENCE, jwt_secret=SECRET)
    settings = replace(api.door.settings, foreign_issuer=given)
    users = foreign_users(settings, api.door.secrets, api.world.platform.database, 60)
    known = replace(api, door=replace(api.door, foreign_users=users))
    async with _limited(known, 1) as limited:
        tokens = [signed(sub="nobody 1"), signed(sub="nobody 2"), signed(sub="nobody 1")]
        statuses = [(await asked(limited, token)).status_code for token in tokens]
    assert statuses == [200, 200, 429]
