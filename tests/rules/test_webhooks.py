"""When a failed delivery is tried again: our own pauses, and what the receiver asked for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mintage.rules.webhooks import retry_delay_s
from mintage.settings import Limits

SCHEDULE_S = Limits().webhook_retry_s
LONGEST_S = max(SCHEDULE_S)


@given(st.integers(1, len(SCHEDULE_S)), st.floats(0, 1), st.floats(0, LONGEST_S))
def test_a_pause_is_the_longer_of_ours_and_theirs(
    attempts: int, draw: float, asked_s: float
) -> None:
    ours_s = retry_delay_s(SCHEDULE_S, attempts, draw)
    assert ours_s is not None
    assert 0.9 * SCHEDULE_S[attempts - 1] <= ours_s <= 1.1 * SCHEDULE_S[attempts - 1]
    assert retry_delay_s(SCHEDULE_S, attempts, draw, asked_s) == max(ours_s, asked_s)


def test_who_asks_for_more_time_has_no_more_tries() -> None:
    assert retry_delay_s(SCHEDULE_S, len(SCHEDULE_S) + 1, 0.5, 60) is None
