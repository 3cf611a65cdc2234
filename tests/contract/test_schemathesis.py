"""The contract holds against calls made from it at random: schemathesis over some operations of each kind.

A few examples, the same on every run. All operations: `test_whole_contract`. All checks, many more examples
and sequences of calls: `make sweep`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck

from mintage.api.openapi import openapi_document
from tests.contract.fuzzing import KNOWN, token_for
from tests.contract.running import Running, running_api

EXAMPLES = 3
SOME_OF_EACH_KIND = (
    r"/(submit_mint_request|list_mint_batches|set_product_link|get_mint_kpis|mint-api-v1|token)$"
)
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


def settings_of(examples: int) -> hypothesis.settings:
    # What a pattern excludes is thrown away when it was made; how often is no fault of the contract.
    filters_much = [HealthCheck.filter_too_much, HealthCheck.too_slow]
    return hypothesis.settings(
        max_examples=examples, derandomize=True, deadline=None, suppress_health_check=filters_much
    )


def hold(case: Any, running: Running) -> None:
    headers = {"Authorization": f"Bearer {token_for(running, case.path)}"}
    case.call_and_validate(base_url=running.base_url, headers=headers)


@schema.include(path_regex=SOME_OF_EACH_KIND).parametrize()
@settings_of(EXAMPLES)
def test_the_contract_holds_for_some_of_each_kind(case: Any, running: Running) -> None:
    hold(case, running)
