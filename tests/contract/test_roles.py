"""Who may call what: every RPC as every member of the cast, against roles.golden.txt.

After a change that is meant: UPDATE_GOLDEN=1 pytest tests/contract/test_roles.py, and read the difference.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from mintage.errors import FORBIDDEN, NOT_AUTHENTICATED, MintageError
from mintage.rpcs import RPCS
from mintage.rules.roles import SCOPES
from tests.contract.stage import Raw, Stage, contents

GOLDEN = Path(__file__).with_name("roles.golden.txt")
CAST = (
    "anonymous",
    "nobody",
    "stranger",
    "viewer",
    "editor",
    "admin",
    "owner",
    "service",
    *(f"key {scope}" for scope in SCOPES),
    "key with all",
    "expired key",
    "revoked key",
    "other brand's key",
    "unknown key",
)


@dataclass(frozen=True)
class Case:
    """A row of the matrix: an RPC, or an RPC used for something that fewer may do."""

    rpc: str
    title: str

    def arguments(self, stage: Stage) -> Raw:
        raw = stage.examples(self.rpc)[0]
        match self.title:
            case "update_product: gate fields":
                return raw | {"_patch": {"mint_readiness_status": "READY"}}
            case "set_brand_member: an owner":
                return raw | {"_role": "owner"}
        return raw


CASES = [
    *(Case(name, name) for name in RPCS),
    Case("update_product", "update_product: gate fields"),
    Case("set_brand_member", "set_brand_member: an owner"),
]


async def outcome(stage: Stage, case: Case, caller: str) -> str:
    """`401`, `403`, or `ok` for a call that was answered. Anything else fails the test."""
    try:
        answer = await stage.call(case.rpc, caller, case.arguments(stage))
    except MintageError as error:
        if error.kind in {NOT_AUTHENTICATED, FORBIDDEN}:
            return str(error.kind.status)
        raise AssertionError(f"{case.title} as {caller}: {error.message}") from error
    assert answer["ok"] is True, f"{case.title} as {caller}: {answer}"
    return "ok"


def table(outcomes: dict[str, list[str]]) -> str:
    """The matrix as text: a line for each RPC, a column for each member of the cast."""
    title_width = max(map(len, outcomes))
    lines = ["Who may call what. Made by tests/contract/test_roles.py from calls; columns:"]
    lines += [f"{number:>4}  {name}" for number, name in enumerate(CAST, 1)]
    lines += ["", " " * title_width + "".join(f"{n:>5}" for n in range(1, len(CAST) + 1))]
    for title, cells in outcomes.items():
        lines.append(title.ljust(title_width) + "".join(f"{cell:>5}" for cell in cells))
    return "\n".join(lines) + "\n"


def golden_rows() -> dict[str, list[str]]:
    """The rows of the golden file: the cells of each title."""
    rows = {}
    for line in GOLDEN.read_text("utf-8").splitlines()[len(CAST) + 3 :]:
        words = line.split()
        rows[" ".join(words[: -len(CAST)])] = words[-len(CAST) :]
    return rows


async def test_the_matrix_is_what_the_golden_file_says(stage: Stage) -> None:
    found = table(
        {
            case.title: [await outcome(stage, case, caller) for caller in CAST]
            for case in sorted(CASES, key=lambda case: case.title)
        }
    )
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(found, "utf-8")
    assert found == GOLDEN.read_text("utf-8"), (
        "if this is meant: UPDATE_GOLDEN=1, and read the diff"
    )


def test_the_golden_file_has_every_rpc() -> None:
    missing = set(RPCS) - set(golden_rows())
    assert not missing, "UPDATE_GOLDEN=1 pytest tests/contract/test_roles.py, and read the diff"


def test_nobody_unknown_is_let_in_anywhere() -> None:
    for title, cells in golden_rows().items():
        by_caller = dict(zip(CAST, cells, strict=True))
        assert by_caller["anonymous"] == "401", title
        if RPCS[title.partition(":")[0]].audience != "caller":
            for caller in ("nobody", "stranger", "expired key", "revoked key", "unknown key"):
                assert by_caller[caller] == "403", (title, caller)
            assert by_caller["other brand's key"] == "403", title


def test_the_service_may_call_everything() -> None:
    assert {cells[CAST.index("service")] for cells in golden_rows().values()} == {"ok"}


async def test_what_is_refused_stores_nothing(stage: Stage, dsn: str) -> None:
    golden = golden_rows()
    before = await contents(dsn)
    for case in CASES:
        for caller, cell in zip(CAST, golden[case.title], strict=True):
            if cell != "ok":
                assert await outcome(stage, case, caller) == cell
    assert await contents(dsn) == before


@pytest.mark.parametrize("name", [name for name, rpc in RPCS.items() if rpc.audience == "brand"])
async def test_an_unknown_brand_and_anothers_are_refused_in_the_same_words(
    stage: Stage, name: str
) -> None:
    brands = (str(stage.world.other_brand_id), "0190d1c2-0000-7000-8000-000000000000")
    for caller in ("owner", "key with all"):
        refusals = []
        for brand_id in brands:
            with pytest.raises(MintageError) as raised:
                await stage.call(name, caller, stage.examples(name)[0] | {"_brand_id": brand_id})
            refusals.append(raised.value)
        first, second = refusals
        assert first.kind is second.kind is FORBIDDEN
        assert (first.message, first.details, first.hint) == (
            second.message,
            second.details,
            second.hint,
        )


async def test_a_stranger_learns_nothing_of_his_arguments(stage: Stage) -> None:
    # 403 comes before the other arguments are looked at.
    for name, rpc in RPCS.items():
        if rpc.audience == "caller":
            continue
        with pytest.raises(MintageError) as raised:
            await stage.call(name, "stranger", {"_nonsense": 1})
        assert raised.value.kind is FORBIDDEN, name
