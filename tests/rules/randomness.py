"""A seeded source of bytes and Hypothesis strategies that several tests of the rules share."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from mintage.rules import gs1

VECTORS = Path(__file__).parent.parent / "vectors"

# Every text that AI (10) and AI (21) can hold, also what Mintage refuses on top of GS1's rules.
set_82_values = st.text(alphabet=gs1.SET_82, min_size=1, max_size=20)
gtin_payloads = st.integers(min_value=0, max_value=10**13 - 1).map(lambda number: f"{number:013}")
gtins = gtin_payloads.map(lambda payload: payload + gs1.check_digit(payload))


def seeded_bytes(seed: int) -> Callable[[int], bytes]:
    """A source of bytes that says the same in every run."""
    return np.random.default_rng(seed).bytes


def vectors_of(path: str) -> Any:
    """A file of test vectors as it stands in tests/vectors."""
    return json.loads((VECTORS / path).read_text(encoding="utf-8"))
