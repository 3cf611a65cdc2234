"""Settings of a foreign issuer: what goes together, and which URL keys are read from."""

from __future__ import annotations

import pytest

from mintage.settings import Settings, SettingsError, read_settings

ISSUER = {
    "MINTAGE_FOREIGN_ISSUER": "https://login.example.com",
    "MINTAGE_FOREIGN_AUDIENCE": "mintage",
}
JWKS = "https://login.example.com/.well-known/jwks.json"
SECRET = "lGv7cXJxq0mYy2yqZ3wQ5R8tB1nK4uHs"


def read(**more: str) -> Settings:
    named = {f"MINTAGE_FOREIGN_{name.upper()}": given for name, given in more.items()}
    return read_settings({"MINTAGE_URL": "https://mint.example.com"} | ISSUER | named)


def test_an_issuer_signs_by_a_secret_or_by_keys() -> None:
    by_secret, by_keys = read(jwt_secret=SECRET), read(jwks_url=JWKS)
    assert by_secret.foreign_issuer is not None
    assert (by_secret.foreign_issuer.jwt_secret, by_secret.foreign_issuer.jwks_url) == (
        SECRET,
        None,
    )
    assert by_keys.foreign_issuer is not None
    assert (by_keys.foreign_issuer.jwt_secret, by_keys.foreign_issuer.jwks_url) == (None, JWKS)
    assert by_keys.limits.foreign_issuer == "https://login.example.com"
    assert SECRET not in repr(by_secret)
    for more in ({}, {"jwt_secret": SECRET, "jwks_url": JWKS}):
        with pytest.raises(SettingsError, match="never by both"):
            read(**more)


def test_without_any_of_them_there_is_no_foreign_issuer() -> None:
    settings = read_settings({})
    assert (settings.foreign_issuer, settings.limits.foreign_issuer) == (None, "")
    assert read_settings(dict.fromkeys(ISSUER, "")).foreign_issuer is None


@pytest.mark.parametrize("missing", ISSUER)
def test_issuer_and_audience_go_together(missing: str) -> None:
    given = {name: value for name, value in ISSUER.items() if name != missing}
    with pytest.raises(SettingsError, match="go together"):
        read_settings(given | {"MINTAGE_FOREIGN_JWKS_URL": JWKS})


@pytest.mark.parametrize("issuer", ["https://mint.example.com/auth/v1", "mintage"])
def test_the_platforms_own_issuer_is_no_foreign_one(issuer: str) -> None:
    with pytest.raises(SettingsError, match="own issuer"):
        read(issuer=issuer, jwks_url=JWKS)


@pytest.mark.parametrize(
    "url",
    [
        JWKS,
        "https://login.example.com:8443/keys?a=b",
        "http://localhost:9000/keys",
        "http://127.0.0.1:9000/keys",
        "http://[::1]:9000/keys",
    ],
)
def test_keys_are_read_over_https_or_from_this_machine(url: str) -> None:
    foreign = read(jwks_url=url).foreign_issuer
    assert foreign is not None
    assert foreign.jwks_url == url


@pytest.mark.parametrize(
    "url",
    [
        "http://login.example.com/keys",
        "http://localhost.evil.example/keys",
        "http://127.0.0.1.evil.example/keys",
        "http://127.0.0.1@evil.example/keys",
        "https://user:word@login.example.com/keys",
        "https://login.example.com/keys#a",
        "https:///keys",
        "https://[::1/keys",
        "https://login.example.com:x/keys",
        "https://login.example.com:0/keys",
        "file:///etc/passwd",
        "ftp://login.example.com/keys",
        "login.example.com/keys",
        "https://login.example.com/\nkeys",
    ],
)
def test_keys_are_read_from_nowhere_else(url: str) -> None:
    with pytest.raises(SettingsError, match="MINTAGE_FOREIGN_JWKS_URL"):
        read(jwks_url=url)
