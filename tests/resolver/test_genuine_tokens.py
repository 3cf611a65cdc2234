"""The signed token of "genuine, first scanned on …"."""

from __future__ import annotations

from datetime import date, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mintage.resolver.genuine_tokens import TOKEN_LENGTH, TOKEN_LIFETIME_S, GenuineTokens
from tests.resolver.desk import KEY, NOW

TOKENS = GenuineTokens((KEY,))
BRAND, PRODUCT = UUID(int=1), UUID(int=2)


@given(st.dates(), st.uuids(), st.uuids())
def test_a_token_reads_back_as_the_day_it_was_made_of(
    day: date, brand: UUID, product: UUID
) -> None:
    token = TOKENS.make(brand, product, day, NOW)
    assert len(token) == TOKEN_LENGTH
    assert TOKENS.read(token, brand, product, NOW) == day


@pytest.mark.parametrize("minutes", [0, 30, 59])
def test_a_token_is_for_one_brand_one_product_one_key_and_until_the_end_of_the_next_hour(
    minutes: int,
) -> None:
    token = TOKENS.make(BRAND, PRODUCT, date(2026, 1, 2), NOW + timedelta(minutes=minutes))
    end = NOW + timedelta(seconds=2 * TOKEN_LIFETIME_S)
    assert TOKENS.read(token, BRAND, PRODUCT, end - timedelta(seconds=1)) is not None
    assert TOKENS.read(token, BRAND, PRODUCT, end) is None
    assert TOKENS.read(token, PRODUCT, PRODUCT, NOW) is None
    assert TOKENS.read(token, BRAND, BRAND, NOW) is None
    assert GenuineTokens((KEY[::-1],)).read(token, BRAND, PRODUCT, NOW) is None


@pytest.mark.parametrize("place", range(TOKEN_LENGTH))
def test_no_character_of_a_token_can_be_changed(place: int) -> None:
    token = TOKENS.make(BRAND, PRODUCT, date(2026, 1, 2), NOW)
    other = "A" if token[place] != "A" else "B"
    changed = token[:place] + other + token[place + 1 :]
    assert TOKENS.read(changed, BRAND, PRODUCT, NOW) is None


@given(st.text(max_size=40))
def test_any_other_text_is_no_token(text: str) -> None:
    assert TOKENS.read(text, BRAND, PRODUCT, NOW) is None


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        GenuineTokens((KEY[:31],))
