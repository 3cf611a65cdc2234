"""The contract holds against calls made from it at random: schemathesis over every operation.

Making the cases takes long: where no long test is asked for, this file is not even collected (`conftest`).
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.running import Running
from tests.contract.test_schemathesis import hold, running, schema, settings_of  # noqa: F401

EXAMPLES = 12


@pytest.mark.long
@schema.parametrize()
@settings_of(EXAMPLES)
def test_the_whole_contract_holds(case: Any, running: Running) -> None:  # noqa: F811
    hold(case, running)
