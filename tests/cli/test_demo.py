"""`mintage demo` and the other commands as a new user runs them: in processes of their own."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.long

MINTAGE = [sys.executable, "-m", "mintage"]


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*MINTAGE, *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def demo_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A demo that ran once, in a folder with a space and an umlaut."""
    folder = tmp_path_factory.mktemp("demo") / "Möbel data"
    finished = run("demo", "--once", "--json", "--port", str(free_port()), "--data", str(folder))
    assert finished.returncode == 0, finished.stderr
    assert json.loads(finished.stdout) == json.loads((folder / "demo.json").read_text("utf-8"))
    return folder


def facts_of(folder: Path) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((folder / "demo.json").read_text("utf-8"))
    return facts


def test_demo_json_has_the_documented_facts_and_is_private(demo_dir: Path) -> None:
    facts = facts_of(demo_dir)
    assert set(facts) == {
        "url",
        "anon_key",
        "service_key",
        "brand_id",
        "brand_slug",
        "products",
        "product_batches",
        "users",
        "mint_batch_id",
    }
    assert [set(product) for product in facts["products"]] == [{"id", "sku", "gtin"}] * 3
    assert all(product["gtin"].startswith("9506000") for product in facts["products"])
    assert all(batch["status"] == "READY" for batch in facts["product_batches"])
    assert [user["role"] for user in facts["users"]] == ["owner", "admin", "editor", "viewer"]
    assert stat.S_IMODE((demo_dir / "demo.json").stat().st_mode) == 0o600


def test_the_invariants_hold_after_the_demo(demo_dir: Path) -> None:
    finished = run("check", MINTAGE_DATA=str(demo_dir))
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "invariants hold in 1 brands" in finished.stdout


def test_a_batch_is_exported_in_a_format_with_its_options(demo_dir: Path) -> None:
    facts = facts_of(demo_dir)
    asked = ("export", facts["brand_slug"], facts["mint_batch_id"], "--format")
    data = {"MINTAGE_DATA": str(demo_dir)}
    written = run(*asked, "nfc", "--option", "chip=ntag215", **data)
    assert written.returncode == 0, written.stderr
    paths = written.stdout.split()
    assert [path.rpartition(".")[2] for path in paths] == ["csv", "csv", "csv", "json"]
    lines = (demo_dir / "payload-packs" / paths[0]).read_text("utf-8").splitlines()
    assert (len(lines), lines[0].split(",")[2]) == (10_001, '"ndef_hex"')
    refused = run(*asked, "rfid", "--option", "scheme=sgtin-96", **data)
    assert refused.returncode == 1
    assert "gcp_length" in refused.stderr
    assert "SGTIN-96 holds numbers" in refused.stderr
    assert run(*asked, "rfid", "--option", "filter_value", **data).returncode == 2


def test_a_second_start_goes_on_with_its_data_and_serves_until_it_is_stopped(
    demo_dir: Path,
) -> None:
    before = facts_of(demo_dir)
    port = free_port()
    process = subprocess.Popen(
        [*MINTAGE, "demo", "--no-browser", "--port", str(port), "--data", str(demo_dir)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout is not None
        printed = []
        for line in process.stdout:
            printed.append(line)
            if "Serving at" in line:
                break
        else:
            pytest.fail("".join(printed))
        after = facts_of(demo_dir)
        assert after["url"] == f"http://localhost:{port}"
        unchanged = ("brand_id", "products", "users", "mint_batch_id", "service_key")
        assert {name: after[name] for name in unchanged} == {
            name: before[name] for name in unchanged
        }
        request = urllib.request.Request(
            f"{after['url']}/rest/v1/rpc/list_mint_batches?_brand_id={after['brand_id']}",
            headers={"authorization": f"Bearer {after['service_key']}"},
        )
        with urllib.request.urlopen(request, timeout=20) as response:
            batches = json.load(response)["batches"]
        assert [batch["minted_quantity"] for batch in batches] == [25_000]
    finally:
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=60)
    assert process.returncode == 0, rest
    assert "Stopping in order" in rest


def test_a_second_demo_on_a_directory_in_use_is_refused_by_a_sentence(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    process = subprocess.Popen(
        [*MINTAGE, "demo", "--no-browser", "--port", str(free_port()), "--data", str(folder)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + 60
        while not (folder / "demo.json").exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        second = run("demo", "--once", "--port", str(free_port()), "--data", str(folder))
        assert second.returncode == 1
        assert "using this data directory" in second.stderr
        assert "Traceback" not in second.stderr
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 0


def test_an_unknown_setting_is_refused_by_name() -> None:
    finished = run("check", MINTAGE_DATABSE_URL="postgresql://x/y")
    assert finished.returncode == 1
    assert "MINTAGE_DATABSE_URL is no setting of Mintage" in finished.stderr


def test_commands_make_a_brand_mint_and_export_with_a_server_of_their_own(tmp_path: Path) -> None:
    folder = str(tmp_path / "data")
    assert run("migrate", MINTAGE_DATA=folder).returncode == 0
    made = run(
        "brand", "create", "acme", "--name", "Acme", "--owner", "o@example.com", MINTAGE_DATA=folder
    )
    assert made.returncode == 0, made.stderr
    assert len(json.loads(made.stdout)["password"]) >= 20
    again = run(
        "brand", "create", "acme", "--name", "Acme", "--owner", "o@example.com", MINTAGE_DATA=folder
    )
    assert again.returncode == 1
    assert "acme is taken" in again.stderr
    hosted = run("host", "set", "acme", "https://id.acme.example", "--primary", MINTAGE_DATA=folder)
    assert json.loads(hosted.stdout)["host"]["base_url"] == "https://id.acme.example"
    unknown = run("user", "set", "rival", "x@example.com", "viewer", MINTAGE_DATA=folder)
    assert unknown.returncode == 1
    assert "there is no brand 'rival'" in unknown.stderr
