"""The files of ops/ that start Mintage: what they name is there."""

from __future__ import annotations

import re
import shutil
import subprocess
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml

from mintage.cli import cli
from mintage.listening import DRAIN_S
from mintage.settings import SETTINGS, Limits
from tests.embedded.support import needs

OPS = Path(__file__).parents[2] / "ops"
SYSTEMD = sorted((OPS / "systemd").iterdir())
TEXTS = sorted(
    path for path in OPS.rglob("*") if path.suffix not in {".json", ".lock"} and path.is_file()
)
# Compose's own variables, for the database beside Mintage.
NOT_SETTINGS = {"MINTAGE_DATABASE_PASSWORD"}


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_every_variable_that_a_file_sets_is_a_setting(path: Path) -> None:
    named = set(re.findall(r"\bMINTAGE_[A-Z_]+", path.read_text("utf-8")))
    assert named - NOT_SETTINGS <= {row.variable for row in SETTINGS}


def test_units_are_as_systemd_wants_them(tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    needs(program is not None, "systemd-analyze")
    assert program is not None
    for path in SYSTEMD:
        # It looks whether the program is there.
        text = path.read_text("utf-8").replace("/opt/mintage/bin/mintage", "/bin/true")
        (tmp_path / path.name).write_text(text, "utf-8")
    units = [str(tmp_path / path.name) for path in SYSTEMD if path.suffix == ".service"]
    checked = subprocess.run(
        [program, "verify", *units], capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stderr) == (0, "")


def test_units_and_containers_run_commands_that_there_are() -> None:
    started = [
        line.split()[1]
        for path in SYSTEMD
        for line in path.read_text("utf-8").splitlines()
        if line.startswith("ExecStart=")
    ]
    assert len(started) == 4
    services = _compose()["services"]
    started += [each["command"][0] for each in services.values() if "command" in each]
    assert len(started) == 8
    assert set(started) <= set(cli.commands)


def test_the_target_wants_units_that_there_are() -> None:
    wanted = re.findall(r"mintage-\w+@", (OPS / "systemd" / "mintage.target").read_text("utf-8"))
    assert {f"{each}.service" for each in wanted} == {
        path.name for path in SYSTEMD if "@" in path.name
    }


def test_a_resolver_has_the_time_it_takes_to_stop() -> None:
    takes_s = DRAIN_S + Limits().scan_stop_wait_s
    unit = (OPS / "systemd" / "mintage-resolver@.service").read_text("utf-8")
    found = re.search(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE)
    assert found is not None
    assert int(found[1]) > takes_s, "systemd kills it while scans wait to be written"
    grace = _compose()["services"]["resolver"]["stop_grace_period"]
    assert int(grace.removesuffix("s")) > takes_s, (
        "the engine kills it while scans wait to be written"
    )


def test_the_proxy_that_is_trusted_is_the_gateway_of_composes_network() -> None:
    example = (OPS / "container" / "mintage.env.example").read_text("utf-8")
    trusted = re.search(r"^MINTAGE_TRUSTED_PROXIES=(.+)$", example, re.MULTILINE)
    (network,) = _compose()["networks"]["default"]["ipam"]["config"]
    assert trusted is not None
    assert trusted[1] == network["gateway"]
    assert ip_address(network["gateway"]) in ip_network(network["subnet"])


def test_what_an_image_is_built_from_is_not_left_out() -> None:
    ignored = (OPS.parent / ".dockerignore").read_text("utf-8").splitlines()
    for name in _copied():
        top = name if name.startswith("ops/") else name.split("/")[0]
        assert f"!{'ops/container' if top.startswith('ops/container/') else top}" in ignored
    assert "*" in ignored


def test_services_wait_for_what_there_is() -> None:
    compose = _compose()
    services = compose["services"]
    for each in services.values():
        assert set(each.get("depends_on", {})) <= set(services)
        assert {volume.partition(":")[0] for volume in each["volumes"]} <= set(compose["volumes"])
    assert all(services[name]["env_file"] == "mintage.env" for name in ("web", "work", "migrate"))
    dockerfile = OPS.parent / services["web"]["build"]["dockerfile"]
    assert dockerfile.is_file()


def test_what_the_image_copies_is_there() -> None:
    assert len(_copied()) == 9
    assert all((OPS.parent / name).exists() for name in _copied())


def _copied() -> list[str]:
    lines = (OPS / "container" / "Containerfile").read_text("utf-8").splitlines()
    return [
        name
        for line in lines
        if line.startswith("COPY ") and "--from" not in line
        for name in line.split()[1:-1]
    ]


def _compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((OPS / "container" / "compose.yaml").read_text("utf-8"))
    return found
