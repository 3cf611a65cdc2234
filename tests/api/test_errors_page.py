"""docs/errors.md has every error that a caller can see. Mend a failure by adding the row it names."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from mintage import operations
from mintage.api import auth, auth_answers
from mintage.errors import ERROR_KINDS, ErrorKind

PAGE = (Path(__file__).parents[2] / "docs" / "errors.md").read_text("utf-8")
ROWS = [
    [cell.strip().strip("`") for cell in line.split("|")[1:-1]]
    for line in PAGE.splitlines()
    if line.startswith("|")
]


@pytest.mark.parametrize("kind", ERROR_KINDS, ids=lambda kind: kind.sentence[:30])
def test_every_error_of_an_rpc_has_its_row(kind: ErrorKind) -> None:
    sentence = re.sub(r"\{[a-z_]+(?::,)?\}", "…", kind.sentence)
    assert [str(kind.status), kind.code, sentence, kind.function_code] in [row[:4] for row in ROWS]


def test_every_error_of_auth_has_its_row() -> None:
    stated = {(row[0], row[1]) for row in ROWS if len(row) == 3 and row[0].isdigit()}
    named = set(re.findall(r'AuthError\(\s*(\d{3}),\s*"([a-z_]+)"', inspect.getsource(auth))) | {
        (str(kind.status), code) for kind, code in auth_answers.ERROR_CODES.items()
    }
    assert named <= stated
    assert stated - named == {("400", "bad_json")}


def test_every_reason_that_refuses_has_its_row() -> None:
    stated = {row[0] for row in ROWS if len(row) == 2}
    folder = Path(operations.__path__[0])
    named = {
        code
        for file in folder.glob("*.py")
        for code in re.findall(
            r'(?:BlockingReason|_refusal)\(\s*"([A-Z_]+)"', file.read_text("utf-8")
        )
    }
    assert named
    assert named <= stated
