"""tests/seed_coverage.md names a test for each sentence of the seed, and the seed's pages are in its order.

A failure names the sentence that lacks its row, or the test that a row names and nobody has.
"""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from mintage.rpcs import RPCS
from tests.api.conftest import Api, api, door, secrets, settings  # noqa: F401 - fixtures

ROOT = Path(__file__).parents[2]
SEED = (ROOT / "tests" / "vectors" / "seed-minting-api.txt").read_text("utf-8")
TABLE = (ROOT / "tests" / "seed_coverage.md").read_text("utf-8")
CELL = re.compile(r"(?<!\\)\|")
TEST = re.compile(r"`([^`]+\.py)::(test_[a-z0-9_]+)`")
ORDER = ("Request", "Response", "Parameters", "Errors", "Notes")


def rows() -> list[tuple[str, str]]:
    """Each row of the table: the sentence, and the cell of its tests."""
    found = []
    for line in TABLE.splitlines():
        if line.startswith("| ") and not line.startswith("| sentence |"):
            _, sentence, tests, _ = CELL.split(line)
            found.append((sentence.strip().replace(r"\|", "|"), tests))
    return found


def told() -> list[str]:
    """Headings and sentences of the table in their order, without what is said above them."""
    lines = TABLE[TABLE.index("\n## ") :].splitlines()
    sentences = iter(rows())
    parts = []
    for line in lines:
        if line.startswith("## "):
            parts.append(line.removeprefix("## "))
        elif line.startswith("| ") and not line.startswith("| sentence |"):
            parts.append(next(sentences)[0])
    return parts


def without_blanks(text: str) -> str:
    return re.sub(r"\s+", "", text)


@cache
def names_in(path: str) -> frozenset[str]:
    """The names of the tests in a file; none if it is not there."""
    file = ROOT / path
    if not file.is_file():
        return frozenset()
    tree = ast.parse(file.read_text("utf-8"))
    return frozenset(
        node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )


def test_the_table_is_the_seed_word_for_word() -> None:
    left = without_blanks(SEED)
    for part in told():
        wanted = without_blanks(part)
        assert left.startswith(wanted), f"the seed goes on with {left[:120]!r}, not {part!r}"
        left = left.removeprefix(wanted)
    assert not left, f"without a row: {left[:120]!r}"


@pytest.mark.parametrize(("sentence", "tests"), rows())
def test_a_sentence_names_tests_that_there_are(sentence: str, tests: str) -> None:
    named = TEST.findall(tests)
    assert named, f"name a test: {sentence}"
    missing = [f"{path}::{name}" for path, name in named if name not in names_in(path)]
    assert not missing, "the test was renamed or removed: name another that shows the sentence"
    assert TEST.sub("", tests).replace("<br>", "").strip() == ""


@pytest.mark.parametrize("name", RPCS)
def test_a_page_has_the_seeds_headings_in_their_order(name: str) -> None:
    page = (ROOT / "docs" / "api" / f"{name}.md").read_text("utf-8")
    headings = re.findall(r"^## (.+)$", page, re.MULTILINE)
    assert page.partition("\n")[2].partition("\n## ")[0].strip(), "begin with what it does"
    places = [
        next((place for place, found in enumerate(headings) if found.startswith(heading)), -1)
        for heading in ORDER
    ]
    assert -1 not in places, f"docs/api/{name}.md has {headings}, and needs {ORDER}"
    assert places == sorted(places), f"docs/api/{name}.md: {ORDER} in this order"


def test_the_page_of_the_deprecated_rpc_says_what_to_use_instead() -> None:
    page = (ROOT / "docs" / "api" / "create_mint_batch_from_job.md").read_text("utf-8")
    assert "**Deprecated: use `submit_mint_request`.**" in page.partition("\n## ")[0]


async def test_no_user_interface_pages_through_search(api: Api) -> None:  # noqa: F811
    # There is no interface for people yet. Once there is one, look here for its pager instead.
    for path in ("/console", "/console/search", "/search"):
        assert (await api.client.get(path)).status_code == 404
