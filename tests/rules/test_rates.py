"""GCRA: what is taken in any stretch of time, when the next call passes, and how a limit is shared out."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from mintage.rules.rates import Rate, calls_left, share_of, take, whole_seconds

RATES = st.builds(
    Rate, st.integers(min_value=1, max_value=1000), st.floats(min_value=0.1, max_value=3600)
)
PAUSES_S = st.lists(st.floats(min_value=0, max_value=120), min_size=1, max_size=60)


@given(RATES, PAUSES_S)
def test_no_stretch_of_time_takes_more_than_the_calls_and_what_it_pays_back(
    rate: Rate, pauses_s: list[float]
) -> None:
    paid_back_at, now, taken_at = 0.0, 1000.0, []
    for pause_s in pauses_s:
        now += pause_s
        answer = take(rate, paid_back_at, now)
        if answer.wait_s == 0:
            taken_at.append(now)
        paid_back_at = answer.paid_back_at
    for first, start in enumerate(taken_at):
        for count, end in enumerate(taken_at[first:], 1):
            assert count <= rate.calls + (end - start) / rate.interval_s + 1e-3


@given(RATES, st.floats(min_value=-10, max_value=4000))
def test_a_call_passes_after_the_wait_and_not_before(rate: Rate, owed_s: float) -> None:
    now = 1000.0
    paid_back_at = now + min(owed_s, rate.period_s)
    answer = take(rate, paid_back_at, now)
    if answer.wait_s == 0:
        assert calls_left(rate, paid_back_at, now) >= 1
        assert answer.paid_back_at > now
        return
    assert answer.paid_back_at == paid_back_at
    assert calls_left(rate, paid_back_at, now) == 0
    assert take(rate, paid_back_at, now + answer.wait_s).wait_s == 0
    assert take(rate, paid_back_at, now + answer.wait_s / 2 - 2e-6).wait_s > 0
    assert 0 < answer.wait_s <= rate.interval_s + 1e-3


@given(RATES, st.integers(min_value=0, max_value=2000))
def test_as_many_calls_are_left_as_can_be_taken(rate: Rate, made: int) -> None:
    paid_back_at = 0.0
    for _ in range(made):
        paid_back_at = take(rate, paid_back_at, 0.0).paid_back_at
    left = calls_left(rate, paid_back_at, 0.0)
    assert left == max(rate.calls - made, 0)
    assert (take(rate, paid_back_at, 0.0).wait_s == 0) == (left > 0)


@given(RATES, st.integers(min_value=1, max_value=200))
def test_who_keeps_to_the_rate_is_never_refused(rate: Rate, calls: int) -> None:
    paid_back_at, now = 0.0, 0.0
    for _ in range(calls):
        now += rate.interval_s
        answer = take(rate, paid_back_at, now)
        assert answer.wait_s == 0
        paid_back_at = answer.paid_back_at


@given(st.integers(min_value=0, max_value=10_000), st.integers(min_value=1, max_value=100))
def test_a_share_is_never_more_than_is_left_and_something_while_something_is(
    left: int, share_max: int
) -> None:
    share = share_of(left, share_max)
    assert share <= min(left, share_max)
    assert (share > 0) == (left > 0)


@given(st.floats(min_value=0, max_value=10_000))
def test_retry_after_is_the_wait_in_whole_seconds_and_one_at_least(wait_s: float) -> None:
    assert whole_seconds(wait_s) == max(1, math.ceil(wait_s - 1e-6))
