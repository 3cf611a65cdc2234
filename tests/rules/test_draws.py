"""Random draws: unbiased, within bounds, and never endless."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mintage.rules.draws import draw_below, draws_below
from tests.rules.randomness import seeded_bytes


def replay(*draws: int) -> Callable[[int], bytes]:
    """A source that gives these 64-bit draws, once."""
    rest = b"".join(draw.to_bytes(8, "little") for draw in draws)

    def random_bytes(count: int) -> bytes:
        nonlocal rest
        taken, rest = rest[:count], rest[count:]
        assert len(taken) == count, "more draws were taken than the test foresees"
        return taken

    return random_bytes


@given(st.integers(1, 2**64 - 1), st.integers(0, 50), st.integers(0, 2**32))
def test_draws_stay_below_their_bound(bound: int, count: int, seed: int) -> None:
    draws = draws_below(bound, count, seeded_bytes(seed))
    assert len(draws) == count
    assert all(0 <= int(draw) < bound for draw in draws)


def test_a_draw_that_would_prefer_small_values_is_drawn_again() -> None:
    biased = 2**64 - 1  # 2**64 is 1 modulo 3: the highest draw has no partners
    assert draw_below(3, replay(biased, 5)) == 2
    assert draws_below(3, 3, replay(4, biased, 6, biased, 8)).tolist() == [1, 2, 0]


def test_a_power_of_two_never_needs_a_second_draw() -> None:
    assert draws_below(2**30, 2, replay(2**64 - 1, 2**30)).tolist() == [2**30 - 1, 0]


def test_small_bounds_are_hit_evenly() -> None:
    counts = np.bincount(draws_below(22, 220_000, seeded_bytes(1)).astype(np.intp))
    chi_square = ((counts - 10_000) ** 2 / 10_000).sum()
    assert chi_square < 60, counts  # 21 degrees of freedom, p about 1e-5


@pytest.mark.parametrize("draw", [lambda s: draw_below(3, s), lambda s: draws_below(3, 2, s)])
def test_a_stuck_source_ends_in_an_error_not_in_a_loop(draw: Callable[..., object]) -> None:
    with pytest.raises(RuntimeError, match="repeats itself"):
        draw(lambda count: b"\xff" * count)


@pytest.mark.parametrize("bound", [0, -1, 2**64 + 1])
def test_a_bound_outside_the_draws_is_refused(bound: int) -> None:
    with pytest.raises(ValueError, match="bound"):
        draw_below(bound, seeded_bytes(1))
    with pytest.raises(ValueError, match="bound"):
        draws_below(bound, 1, seeded_bytes(1))
