"""`make sweep`: schemathesis's whole program against a running control plane, by hand.

Every phase (examples, coverage, fuzzing, sequences of calls) and every check. The file is collected
only where it is named. SWEEP_SEED and SWEEP_EXAMPLES choose another run, SWEEP_PHASES and SWEEP_PATH a
part of one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from schemathesis.cli import schemathesis as program

from mintage.api.openapi import openapi_document
from mintage.rpcs import RPCS
from tests.contract.fuzzing import KNOWN, token_for
from tests.contract.running import Running, running_api

SEED = int(os.environ.get("SWEEP_SEED", "20261124"))
# A run over sequences ends early, when it has no new one: others begin with other seeds.
SEQUENCE_SEEDS = 20
EXAMPLES = os.environ.get("SWEEP_EXAMPLES", "100")
PHASES = os.environ.get("SWEEP_PHASES", "examples,coverage,fuzzing")
PATH = os.environ.get("SWEEP_PATH")


def authenticate_as(running: Running) -> None:
    """The service calls what nobody else may, the owner all the rest."""

    @schemathesis.auth(refresh_interval=None)
    class Tokens:
        """Which token goes with a call."""

        def get(self, case: Any, context: Any) -> str:
            return token_for(running, case.operation.path)

        def set(self, case: Any, data: str, context: Any) -> None:
            case.headers = {**(case.headers or {}), "Authorization": f"Bearer {data}"}


# What names no brand needs nothing of another answer. Taken for the only sure beginnings of a sequence,
# such operations would keep all others from being one.
WITHOUT_A_BRAND = [
    path
    for path in openapi_document()["paths"]
    if (rpc := RPCS.get(path.rpartition("/")[2])) is None or rpc.audience != "brand"
]


def found_by(running: Running, phases: str, *more: str, seed: int = SEED) -> int:
    """Run the program over these phases; 0 if it finds nothing."""
    arguments = [
        "run",
        f"{running.base_url}/openapi.json",
        f"--phases={phases}",
        f"--max-examples={EXAMPLES}",
        f"--seed={seed}",
        "--exclude-checks=positive_data_acceptance",
        # Paths have patterns that a random text seldom meets.
        "--suppress-health-check=filter_too_much",
        "--generation-allow-x00=false",
        "--generation-database=none",
        "--continue-on-failure",
        "--warnings=off",
        "--no-color",
        *([f"--include-path={PATH}"] if PATH else []),
        *more,
    ]
    with pytest.raises(SystemExit) as ended:
        program.main(arguments)
    code = ended.value.code
    return code if isinstance(code, int) else 1


@pytest.fixture(scope="module")
def running(
    server_dsn: str, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    with running_api(server_dsn, template, tmp_path_factory.mktemp("sweep")) as found:
        KNOWN.by_argument = found.ids
        authenticate_as(found)
        yield found


@pytest.mark.timeout(0)
def test_calls_at_random_find_nothing(running: Running, capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        assert found_by(running, PHASES) == 0, f"seed {SEED}, {EXAMPLES} examples"


@pytest.mark.timeout(0)
@pytest.mark.skipif(PATH is not None, reason="a sequence is of several operations")
@pytest.mark.parametrize("seed", range(SEED, SEED + SEQUENCE_SEEDS))
def test_sequences_of_calls_find_nothing(
    running: Running, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    excluded = [f"--exclude-path={path}" for path in WITHOUT_A_BRAND]
    with capsys.disabled():
        assert found_by(running, "stateful", *excluded, seed=seed) == 0, f"seed {seed}"
