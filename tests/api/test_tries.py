"""Tries are counted by account and address, and paid back one in twelve seconds."""

from __future__ import annotations

from mintage.api.tries import KEYS_MAX, Tries


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def taken(tries: Tries, count: int, account: str = "a", address: str = "1") -> list[int | None]:
    return [tries.take(account, address) for _ in range(count)]


def test_five_tries_are_free_and_the_sixth_waits() -> None:
    tries = Tries(Clock())
    assert taken(tries, 5) == [None] * 5
    assert taken(tries, 1) == [12]


def test_waiting_as_long_as_told_gives_one_try() -> None:
    clock = Clock()
    tries = Tries(clock)
    taken(tries, 5)
    clock.now_s += 11
    assert taken(tries, 1) == [1]
    clock.now_s += 1
    assert taken(tries, 2) == [None, 12]


def test_refused_tries_cost_nothing() -> None:
    clock = Clock()
    tries = Tries(clock)
    taken(tries, 100)
    clock.now_s += 60
    assert taken(tries, 6) == [None] * 5 + [12]


def test_accounts_and_addresses_are_counted_apart() -> None:
    tries = Tries(Clock())
    taken(tries, 6)
    assert taken(tries, 5, "b", "1") == [None] * 5
    assert taken(tries, 5, "a", "2") == [None] * 5


def test_what_is_given_back_is_free_again() -> None:
    tries = Tries(Clock())
    taken(tries, 5)
    tries.give_back("a", "1")
    assert taken(tries, 5) == [None] * 5


def test_memory_is_bounded_and_the_newest_are_remembered() -> None:
    tries = Tries(Clock())
    for number in range(KEYS_MAX + 500):
        tries.take(str(number), "1")
    taken(tries, 5)
    assert taken(tries, 1) == [12]
    assert len(tries) <= KEYS_MAX


def test_what_is_paid_back_is_forgotten() -> None:
    clock = Clock()
    tries = Tries(clock)
    for number in range(100):
        tries.take(str(number), "1")
    clock.now_s += 60
    tries.take("a", "1")
    assert len(tries) == 1
