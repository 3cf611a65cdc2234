"""The examples of docs/clients.md, run as they stand against a demo.json such as `make demo` leaves."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.clients.javascript import FOLDER
from tests.clients.server import Served

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "clients.md").read_text("utf-8")
RUN_LIMIT_S = 60


@pytest.fixture
def demo(mintage: Served, tmp_path: Path) -> Path:
    """What of demo.json the examples read."""
    owner = mintage.people["owner"]
    facts = {
        "url": mintage.url,
        "anon_key": mintage.anon_key,
        "brand_id": mintage.brand_id,
        "products": [{"id": mintage.product_id}],
        "product_batches": [{"id": mintage.product_batch_id}],
        "users": [{"email": owner.email, "password": owner.password}],
    }
    path = tmp_path / "demo.json"
    path.write_text(json.dumps(facts), "utf-8")
    return path


def _example(language: str) -> str:
    (only,) = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    example: str = only
    return example


def _lines(command: list[str], program: str, demo: Path, folder: Path) -> list[str]:
    """What a program prints, which must succeed."""
    ended = subprocess.run(
        command,
        input=program,
        env=os.environ | {"DEMO": str(demo)},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=RUN_LIMIT_S,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.splitlines()


def _check(said: list[str]) -> None:
    assert said[0] == "COMPLETED 250"
    assert " ".join(said).count("/01/09506000134352/21/") == 3
    assert said[-1] == '"unit_id","resolver_url","serial_number","gtin","status","created_at"'


def test_the_example_in_javascript_runs_as_it_stands(supabase_js: str, demo: Path) -> None:
    _check(_lines([supabase_js, "--input-type=module"], _example("js"), demo, FOLDER))


def test_the_example_in_python_runs_as_it_stands(demo: Path, tmp_path: Path) -> None:
    _check(_lines([sys.executable, "-"], _example("python"), demo, tmp_path))
