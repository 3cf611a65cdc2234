"""Statements by name from sql/queries/<noun>.sql.

A file holds statements that each begin with a line `-- name: <name>`; lines `-- role: <role>` say as
which database role the statement runs (default mintage_app): the test that prepares every query uses it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final

_NAME: Final = re.compile(r"^-- name: ([a-z][a-z0-9_]*)$")
_ROLE: Final = re.compile(r"^-- role: (mintage_[a-z]+)$")


@dataclass(frozen=True, slots=True)
class Statement:
    """One named statement: `noun.name`, its text, and the database role it is written for."""

    noun: str
    name: str
    text: str
    role: str


def query(noun: str, name: str) -> str:
    """The text of statement `name` in sql/queries/`noun`.sql; `KeyError` when there is none."""
    return statements(noun)[name].text


@cache
def statements(noun: str) -> dict[str, Statement]:
    """All statements of one file, by name."""
    text = resources.files("mintage").joinpath("sql", "queries", f"{noun}.sql").read_text("utf-8")
    return {statement.name: statement for statement in parse_statements(noun, text)}


def all_statements() -> list[Statement]:
    """Every statement of every file, ordered by file and place."""
    folder = resources.files("mintage").joinpath("sql", "queries")
    nouns = sorted(
        entry.name.removesuffix(".sql") for entry in folder.iterdir() if entry.name.endswith(".sql")
    )
    return [statement for noun in nouns for statement in statements(noun).values()]


def parse_statements(noun: str, text: str) -> list[Statement]:
    """`text` cut at its `-- name:` lines. `ValueError` for text before the first, or a name twice."""
    found: list[Statement] = []
    name: str | None = None
    role = "mintage_app"
    lines: list[str] = []

    def close() -> None:
        if name is None:
            if any(line.strip() and not line.startswith("--") for line in lines):
                raise ValueError(f"{noun}.sql: a statement before the first '-- name:' line")
            return
        if any(statement.name == name for statement in found):
            raise ValueError(f"{noun}.sql: the name {name} is there twice")
        found.append(Statement(noun, name, "\n".join(lines).strip().removesuffix(";"), role))

    for line in text.splitlines():
        if match := _NAME.match(line):
            close()
            name, role, lines = match.group(1), "mintage_app", []
        elif match := _ROLE.match(line):
            role = match.group(1)
        else:
            lines.append(line)
    close()
    return found
