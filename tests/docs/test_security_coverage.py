"""tests/security_coverage.md names tests for each threat of docs/security.md, and these tests are there."""

from __future__ import annotations

import re

import pytest

from tests.docs.test_seed_coverage import CELL, ROOT, TEST, names_in

TABLE = (ROOT / "tests" / "security_coverage.md").read_text("utf-8")
PAGE = (ROOT / "docs" / "security.md").read_text("utf-8")
THREATS_MIN = 23
"""SECURITY has so many; the page may have more."""


def rows() -> list[tuple[str, str, str]]:
    """Each row of the table: threat, statement, the cell of its tests."""
    found = []
    for line in TABLE.splitlines():
        if line.startswith("| ") and not line.startswith("| threat |"):
            _, threat, statement, tests, _ = CELL.split(line)
            found.append((threat.strip(), statement.strip(), tests))
    return found


def threats_of_the_page() -> list[str]:
    section = PAGE.partition("\n## Threats and rules\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [CELL.split(line)[1].strip() for line in lines if not line.startswith("| threat |")]


def test_each_threat_of_the_page_is_taken_apart_in_the_table_and_no_other() -> None:
    threats = threats_of_the_page()
    assert len(threats) >= THREATS_MIN
    assert list(dict.fromkeys(threat for threat, _, _ in rows())) == threats


@pytest.mark.parametrize(("threat", "statement", "tests"), rows())
def test_a_statement_names_tests_that_there_are(threat: str, statement: str, tests: str) -> None:
    named = TEST.findall(tests)
    assert named, f"name a test that proves: {threat}: {statement}"
    missing = [f"{path}::{name}" for path, name in named if name not in names_in(path)]
    assert not missing, "the test was renamed or removed: name another that proves the statement"
    assert TEST.sub("", tests).replace("<br>", "").strip() == ""


def test_the_page_says_how_to_audit_report_and_rotate() -> None:
    headings = re.findall(r"^## (.+)$", PAGE, re.MULTILINE)
    for heading in ("How to report a vulnerability", "What is trusted", "Roles", "Rotating keys"):
        assert heading in headings
    assert "pip-audit --require-hashes --disable-pip -r requirements.lock" in PAGE
    for command in ("mintage secrets rotate", "mintage secrets remove-old", "mintage secrets list"):
        assert command in PAGE
