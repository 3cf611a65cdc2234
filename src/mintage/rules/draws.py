"""Unbiased random integers from a source of bytes that the caller brings.

The operating system's randomness comes in as `RandomBytes` (`os.urandom` in production, a seeded
generator in tests), so that every rule stays a function of its arguments.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

RandomBytes = Callable[[int], bytes]

_DRAW_SPACE = 2**64
# A draw is rejected with a probability below 1/2, so 128 rounds fail once in 2**128 calls.
_ROUNDS_MAX = 128


def draw_below(bound: int, random_bytes: RandomBytes) -> int:
    """One integer, uniform over 0 … bound−1, for 1 ≤ bound ≤ 2**64.

    Raises ValueError for another bound, RuntimeError if the source of bytes is stuck.
    """
    ceiling = _acceptance_ceiling(bound)
    for _ in range(_ROUNDS_MAX):
        draw = int.from_bytes(random_bytes(8), "little")
        if draw < ceiling:
            return draw % bound
    raise RuntimeError("the source of randomness repeats itself")


def draws_below(bound: int, count: int, random_bytes: RandomBytes) -> NDArray[np.uint64]:
    """`count` integers, independent and uniform over 0 … bound−1, as a writable array.

    Each is a 64-bit draw, rejected and drawn again where the modulo would prefer small values.
    Raises ValueError for a bound outside 1 … 2**64 − 1, RuntimeError if the source is stuck.
    """
    if bound >= _DRAW_SPACE:
        raise ValueError(f"a bound is below 2**64, not {bound}")
    ceiling = _acceptance_ceiling(bound)
    draws = np.frombuffer(random_bytes(8 * count), dtype="<u8").astype(np.uint64)
    if bound & (bound - 1) == 0:
        draws &= np.uint64(bound - 1)
        return draws
    for _ in range(_ROUNDS_MAX):
        rejected = np.flatnonzero(draws >= np.uint64(ceiling))
        if not rejected.size:
            draws %= np.uint64(bound)
            return draws
        draws[rejected] = np.frombuffer(random_bytes(8 * rejected.size), dtype="<u8")
    raise RuntimeError("the source of randomness repeats itself")


def _acceptance_ceiling(bound: int) -> int:
    if not 1 <= bound <= _DRAW_SPACE:
        raise ValueError(f"a bound is 1 to 2**64, not {bound}")
    return _DRAW_SPACE - _DRAW_SPACE % bound
