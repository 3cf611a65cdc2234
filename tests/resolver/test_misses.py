"""The limit on misses: 60 a minute from one IPv4 address or IPv6 /64, in bounded memory."""

from __future__ import annotations

from ipaddress import ip_address

from mintage.resolver.misses import MissLimit
from mintage.settings import Limits
from tests.resolver.desk import Desk, get_all


class _Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def test_after_sixty_misses_an_address_is_told_nothing_more(desk: Desk) -> None:
    minted = await desk.world.minted(1)
    [genuine] = await desk.urls(minted["mint_batch_id"])
    guesses = [f"/01/09506000134352/21/GUESS{number}" for number in range(60)]
    async with desk.phone("2001:db8:1:2::1") as phone:
        misses = await get_all(phone, guesses)
        after = [await phone.get(path) for path in (guesses[0], genuine, "/01/09506000134352")]
    async with desk.phone("2001:db8:1:2::1") as phone_of_a_new_process:
        fresh = await phone_of_a_new_process.get(genuine)
    assert {answer.status_code for answer in misses} == {404}
    assert [answer.status_code for answer in after] == [429] * 3
    assert 1 <= int(after[0].headers["retry-after"]) <= 60
    assert fresh.status_code == 307
    assert await desk.outcomes() == ["activated"]


def test_addresses_of_one_ipv6_64_count_as_one_and_others_for_themselves() -> None:
    limit = MissLimit(Limits(misses_a_minute_max=2), clock=_Clock())
    for text in ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", "192.0.2.1"):
        limit.count(ip_address(text))
    told = {
        text: limit.wait_s(ip_address(text)) is None
        for text in ("2001:db8:1:2::7", "2001:db8:1:3::7", "192.0.2.1", "192.0.2.2")
    }
    assert list(told.values()) == [False, True, True, True]


def test_when_the_minute_is_over_an_address_may_ask_again() -> None:
    clock = _Clock()
    limit = MissLimit(Limits(misses_a_minute_max=1), clock=clock)
    address = ip_address("192.0.2.1")
    limit.count(address)
    clock.now += 59.5
    assert limit.wait_s(address) == 1
    clock.now += 0.5
    assert limit.wait_s(address) is None
    limit.count(address)
    assert limit.wait_s(address) == 60


def test_memory_is_bounded_and_what_is_over_goes_first() -> None:
    clock = _Clock()
    limit = MissLimit(Limits(misses_a_minute_max=1, miss_addresses_max=100), clock=clock)
    for number in range(250):
        limit.count(ip_address(number))
    assert len(limit) == 100
    assert limit.wait_s(ip_address(249)) is not None
    clock.now += 61
    limit.count(ip_address(9999))
    assert len(limit) == 1


def test_a_client_without_an_address_is_not_limited() -> None:
    limit = MissLimit(Limits(misses_a_minute_max=1))
    limit.count(None)
    assert limit.wait_s(None) is None
    assert len(limit) == 0
