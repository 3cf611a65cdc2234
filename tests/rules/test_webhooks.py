"""When a failed delivery is tried again: our own pauses, and what the receiver asked for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mintage.rules.webhooks import asked_delay_s, retry_delay_s
from mintage.settings import Limits

NOW = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)
SCHEDULE_S = Limits().webhook_retry_s
LONGEST_S = max(SCHEDULE_S)


@pytest.mark.parametrize(
    ("value", "expected_s"),
    [
        (None, 0),
        ("120", 120),
        (" 120 ", 120),
        ("0", 0),
        ("1000000", LONGEST_S),
        ("9" * 400, LONGEST_S),
        ("Sat, 31 Jan 2026 12:02:00 GMT", 120),
        ("Saturday, 31-Jan-26 12:02:00 GMT", 120),
        ("Sat Jan 31 12:02:00 2026", 120),
        ("Sat, 31 Jan 2026 11:00:00 GMT", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_S),
        ("Fri, 31 Dec 9999 23:59:59 -2359", LONGEST_S),
        ("-120", 0),
        ("1.5", 0),
        ("1e9", 0),
        ("٣", 0),
        ("", 0),
        ("soon", 0),
        ("Sat, 99 Jan 2026 12:02:00 GMT", 0),
        ("Sat, 31 Jan 2026 12:02:00 +99999999999999", 0),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_has_an_end(
    value: str | None, expected_s: float
) -> None:
    assert asked_delay_s(value, SCHEDULE_S, NOW) == expected_s


@given(st.text(max_size=60))
def test_whatever_stands_there_is_a_pause_within_bounds(value: str) -> None:
    assert 0 <= asked_delay_s(value, SCHEDULE_S, NOW) <= LONGEST_S


@given(st.integers(0, int(LONGEST_S)))
def test_a_date_is_as_good_as_its_seconds(seconds: int) -> None:
    date = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)
    assert asked_delay_s(date, SCHEDULE_S, NOW) == seconds
    assert asked_delay_s(str(seconds), SCHEDULE_S, NOW) == seconds


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
