"""The contract holds against calls made from it at random: schemathesis over every operation.

A few examples each, the same on every run. All checks, many more examples and sequences of calls:
`make sweep`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
import schemathesis

from mintage.api.openapi import openapi_document
from tests.contract.fuzzing import KNOWN, token_for
from tests.contract.running import Running, running_api

EXAMPLES = 12
pytestmark = pytest.mark.long
schema = schemathesis.openapi.from_dict(openapi_document())
schema.config.generation.update(deterministic=True, allow_x00=False)
# A check of our own in its place knows what no schema can say.
schema.config.checks.positive_data_acceptance.enabled = False


@pytest.fixture(scope="module")
def running(
    server_dsn: str, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    with running_api(server_dsn, template, tmp_path_factory.mktemp("fuzzing")) as found:
        KNOWN.by_argument = found.ids
        yield found


@schema.parametrize()
@hypothesis.settings(max_examples=EXAMPLES, derandomize=True, deadline=None)
def test_the_contract_holds(case: Any, running: Running) -> None:
    headers = {"Authorization": f"Bearer {token_for(running, case.path)}"}
    case.call_and_validate(base_url=running.base_url, headers=headers)
