"""`mintage secrets`: once in a process of its own, as its reader runs it."""

from __future__ import annotations

import json
import stat
from functools import partial
from pathlib import Path

from click.testing import CliRunner, Result

from mintage.cli_secrets import secrets_commands
from mintage.key_rotation import REMOVED_BY_DEFAULT, rewrite, without_old
from mintage.secrets import new_secrets_text, parse_secrets
from tests.cli.test_demo import run


def told_of(arguments: list[str], **environment: str) -> Result:
    return CliRunner(env=environment).invoke(secrets_commands, arguments)


def states(printed: str, kind: str) -> list[str]:
    return [line.split()[2] for line in printed.splitlines() if line.split()[0] == kind]


def test_keys_are_rotated_and_listed(tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"
    rotated = run("secrets", "rotate", MINTAGE_DATA=str(tmp_path))
    assert rotated.returncode == 0, rotated.stderr
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert states(rotated.stdout, "session") == ["signs", "verifies"]
    secrets = parse_secrets(path.read_text("utf-8"))
    for told in (rotated.stdout, rotated.stderr):
        assert not any(secret.decode() in told for secret in secrets.texts)
        assert "PRIVATE" not in told
    line = json.loads(rotated.stderr.splitlines()[-1])
    assert line["event"] == "keys were rotated"
    assert line["session"] == [key.kid for key in secrets.session_keys]
    rewrite(path, partial(without_old, kinds=REMOVED_BY_DEFAULT))
    listed = told_of(["list"], MINTAGE_DATA=str(tmp_path))
    assert states(listed.stdout, "session") == ["signs"]
    assert states(listed.stdout, "manifest") == ["signs", "verifies"]


def test_secrets_of_the_environment_are_changed_on_paper(tmp_path: Path) -> None:
    text = new_secrets_text()
    rotated = told_of(["rotate", "api"], MINTAGE_DATA=str(tmp_path), MINTAGE_SECRETS=text)
    assert rotated.exit_code == 0, rotated.stderr
    assert parse_secrets(rotated.stdout).api_secrets[1] == parse_secrets(text).api_secret
    assert list(tmp_path.iterdir()) == []


def test_without_a_file_there_is_nothing_to_list(tmp_path: Path) -> None:
    listed = told_of(["list"], MINTAGE_DATA=str(tmp_path))
    assert listed.exit_code == 1
    assert "secrets.json" in listed.stderr
    assert "Traceback" not in listed.stderr
