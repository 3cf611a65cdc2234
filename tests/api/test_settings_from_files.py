"""Settings that hold a secret, read from a file that NAME_FILE names."""

from __future__ import annotations

from pathlib import Path

import pytest

from mintage.settings import FROM_FILES, SettingsError, read_settings

URL = "postgresql://mintage:swordfish@db.example.com:5432/mintage"
VALUES = {
    "MINTAGE_DATABASE_URL": URL,
    "MINTAGE_DIRECT_DATABASE_URL": URL,
    "MINTAGE_REPLICA_URL": URL,
    "MINTAGE_METRICS_TOKEN": "0123456789abcdef01234567",
    "MINTAGE_FOREIGN_JWT_SECRET": "lGv7cXJxq0mYy2yqZ3wQ5R8tB1nK4uHs",
}
WITH = {
    "MINTAGE_DATABASE_URL": URL,
    "MINTAGE_FOREIGN_ISSUER": "https://login.example.com",
    "MINTAGE_FOREIGN_AUDIENCE": "mintage",
}


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
@pytest.mark.parametrize("name", FROM_FILES)
def test_a_secret_in_a_file_is_as_good_as_in_the_environment(
    name: str, end: str, tmp_path: Path
) -> None:
    others = {each: value for each, value in WITH.items() if each != name}
    if name != "MINTAGE_FOREIGN_JWT_SECRET":
        others = {each: value for each, value in others.items() if "FOREIGN" not in each}
    file = tmp_path / "secret"
    file.write_bytes(f"{VALUES[name]}{end}".encode())
    by_file = read_settings(others | {f"{name}_FILE": str(file)})
    assert by_file == read_settings(others | {name: VALUES[name]})


def test_a_setting_and_its_file_do_not_go_together(tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text(URL)
    given = {"MINTAGE_DATABASE_URL": URL, "MINTAGE_DATABASE_URL_FILE": str(file)}
    with pytest.raises(
        SettingsError, match="one of MINTAGE_DATABASE_URL and MINTAGE_DATABASE_URL_"
    ):
        read_settings(given)


def test_a_file_that_gives_no_value_stops_the_start_and_is_named(tmp_path: Path) -> None:
    empty, binary = tmp_path / "empty", tmp_path / "binary"
    empty.write_text("\n")
    binary.write_bytes(b"\xff\xfe")
    for path, reason in (
        (tmp_path / "away", "No such file"),
        (tmp_path, "Is a directory"),
        (empty, "is empty"),
        (binary, "not UTF-8"),
    ):
        with pytest.raises(SettingsError, match=reason) as refused:
            read_settings({"MINTAGE_METRICS_TOKEN_FILE": str(path)})
        assert str(path) in str(refused.value)


def test_what_a_file_holds_is_checked_like_any_value(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("short")
    with pytest.raises(SettingsError, match="MINTAGE_METRICS_TOKEN must be 24 to 200") as refused:
        read_settings({"MINTAGE_METRICS_TOKEN_FILE": str(file)})
    assert "short" not in str(refused.value)


def test_there_are_no_files_for_other_settings(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="MINTAGE_PORT_FILE is no setting"):
        read_settings({"MINTAGE_PORT_FILE": str(tmp_path)})


def test_the_page_of_settings_names_every_file() -> None:
    page = (Path(__file__).parents[2] / "docs" / "settings.md").read_text("utf-8")
    assert set(VALUES) == set(FROM_FILES)
    assert all(f"`{name}_FILE`" in page for name in FROM_FILES)
