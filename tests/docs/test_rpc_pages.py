"""Three files bear an RPC's name: the operation, the test and the page; the page has every argument."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from mintage.operations.argument_faults import by_wire_name
from mintage.rpcs import RPCS

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "api"
# Pages of doors that are no RPC.
OTHER_PAGES = {"README", "auth", "mint-api-v1", "payload_pack_downloads", "resolver", "status"}


def _page(name: str) -> str:
    path = PAGES / f"{name}.md"
    assert path.exists(), (
        f"write docs/api/{name}.md: sections Request, Response, Parameters, Errors, Notes"
    )
    return path.read_text("utf-8")


@pytest.mark.parametrize("name", RPCS)
def test_an_rpc_has_a_page_of_its_name(name: str) -> None:
    assert _page(name).startswith(f"# {name}\n")


@pytest.mark.parametrize("name", RPCS)
def test_the_page_has_exactly_the_arguments(name: str) -> None:
    rows = re.findall(r"^\| `(_[a-z_]+)` \|[^|]*\| (yes|no)\b", _page(name), re.MULTILINE)
    fields = by_wire_name(RPCS[name].arguments)
    assert dict(rows) == {
        argument: "yes" if field.is_required() else "no" for argument, field in fields.items()
    }, f"the table of parameters in docs/api/{name}.md: | `_name` | type | yes or no | what |"


@pytest.mark.parametrize("name", RPCS)
def test_the_examples_of_the_page_are_json(name: str) -> None:
    blocks = re.findall(r"^```json\n(.*?)^```", _page(name), re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 2, f"docs/api/{name}.md shows a request and a response"
    request, *answers = [json.loads(block) for block in blocks]
    assert set(request) <= set(by_wire_name(RPCS[name].arguments))
    assert any(answer.get("ok") is True for answer in answers)


@pytest.mark.parametrize("name", RPCS)
def test_an_rpc_has_a_test_of_its_name(name: str) -> None:
    assert (ROOT / "tests" / "rpc" / f"test_{name}.py").exists(), f"write tests/rpc/test_{name}.py"


def test_every_page_is_of_something_that_exists() -> None:
    pages = {path.stem for path in PAGES.glob("*.md")}
    assert pages <= set(RPCS) | OTHER_PAGES, "remove the page, or list it in OTHER_PAGES"
    tests = {path.stem.removeprefix("test_") for path in (ROOT / "tests" / "rpc").glob("test_*.py")}
    longest = sorted(RPCS, key=len, reverse=True)
    strays = {name for name in tests if not any(name.startswith(rpc) for rpc in longest)}
    assert not strays, "a file of tests/rpc/ begins with the name of its RPC"


def test_every_link_between_pages_leads_somewhere() -> None:
    lost = []
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
            if not (page.parent / target).exists():
                lost.append(f"{page.relative_to(ROOT)}: {target}")
    assert not lost, "mend the link, or write the page"
