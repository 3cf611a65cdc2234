"""`Retry-After`: seconds, or a date in any of the three forms of HTTP, and what is neither."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mintage.operations.retry_after import asked_delay_s
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
