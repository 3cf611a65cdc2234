"""The console's texts and files: none is missing, none is left over, and those of others are whole."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from mintage.console.texts import field_name, text, texts
from mintage.rules import lifecycle, roles

ROOT = Path(__file__).parents[2] / "src/mintage/console"
SOURCES = "\n".join(
    path.read_text("utf-8") for path in sorted(ROOT.rglob("*")) if path.suffix in {".html", ".py"}
)
# t("a.b"), text("a.b"), empty("a.b" and what their last part is put together with.
CALLS = re.compile(
    r"""(?:\bt|\btext|\bword|\bempty|\bhas_text)\(\s*f?["']([a-z0-9_.{}]+)["'](?:\s*~\s*([^,)]*))?"""
)


def test_every_text_that_a_page_names_is_there() -> None:
    known = set(texts())
    beginnings = {key.rpartition(".")[0] + "." for key in known}
    for key, rest in CALLS.findall(SOURCES):
        if "{" in key:
            continue
        if rest or key.endswith("."):
            assert any(beginning.startswith(key) for beginning in beginnings), key
        else:
            found = {key, f"{key}.title"} & known
            assert found, key


def test_no_text_is_left_over() -> None:
    named = {key for key, rest in CALLS.findall(SOURCES) if not rest and "{" not in key}
    put_together = {key for key, rest in CALLS.findall(SOURCES) if rest or key.endswith(".")}
    put_together |= {key.partition("{")[0] for key, _ in CALLS.findall(SOURCES) if "{" in key[1:]}
    put_together.discard("")
    others = set(re.findall(r'"([a-z_]+\.[a-z_.]+)"', SOURCES))
    for key in texts():
        beginning = key.rpartition(".")[0]
        is_named = (
            key in named | others
            or key.removesuffix("_one") in named
            or beginning in named | others
            or any(key.startswith(start) for start in put_together)
            or beginning.startswith(("error", "batch.nothing_next", "field", "subject", "change"))
        )
        assert is_named, key


def test_every_state_and_role_has_its_word() -> None:
    states = {
        *lifecycle.BATCH_STATUSES,
        *lifecycle.JOB_STATUSES,
        *lifecycle.PACK_STATUSES,
        *lifecycle.UNIT_STATUSES,
        *lifecycle.COMMERCIAL_STATUSES,
        *lifecycle.MINT_READINESS_STATUSES,
        *lifecycle.PRODUCT_BATCH_STATUSES,
        *lifecycle.IDENTIFIER_STATUSES,
        *lifecycle.SCAN_OUTCOMES,
        *lifecycle.SCAN_SEVERITIES,
    }
    for state in states:
        assert text(f"status.{state.lower()}")
    for event in lifecycle.EVENT_TYPES:
        assert text(f"event.{event}")
    for role in roles.BRAND_ROLES:
        assert text(f"role.{role}")
    for scope in roles.SCOPES:
        assert text(f"scope.{scope.replace(':', '_')}")


def test_a_count_of_one_has_its_own_words() -> None:
    assert text("mint.button", count=1) == "Mint 1 unit"
    assert text("mint.button", count=12345) == "Mint 12,345 units"


def test_files_of_others_are_what_was_copied() -> None:
    vendor = ROOT / "static/vendor"
    lines = (vendor / "HASHES.txt").read_text("utf-8").splitlines()
    listed = {name: digest for digest, name in (line.split("  ") for line in lines)}
    files = {path.name for path in vendor.iterdir()} - {"HASHES.txt"}
    assert files == set(listed)
    for name, digest in listed.items():
        assert hashlib.sha256((vendor / name).read_bytes()).hexdigest() == digest, name


def test_an_argument_is_told_as_a_person_reads_it() -> None:
    assert field_name("_requested_quantity") == "Quantity"
    assert field_name("_biz_location") == "Biz location"
