"""`mintage secrets`: the process's keys are listed, rotated and removed.

Where the environment gives them (`MINTAGE_SECRETS`), a change is printed as the text to give instead. Not
here: what a change is (`key_rotation`), and keys to the API (`mintage key`).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import partial
from typing import TypeVar, cast

import click

from mintage.key_rotation import (
    KINDS,
    REMOVED_BY_DEFAULT,
    Kind,
    keys_of,
    prepared,
    rewrite,
    rotated,
    without_old,
)
from mintage.keyring import names_of
from mintage.secrets import (
    SecretsError,
    load_or_create_secrets,
    new_secrets_text,
    parse_secrets,
    read_secrets_text,
)
from mintage.settings import Settings, SettingsError, read_settings
from mintage.telemetry import configure_logs, logger

Result = TypeVar("Result")
_kinds = click.argument("kinds", nargs=-1, type=click.Choice(KINDS))


@click.group("secrets")
def secrets_commands() -> None:
    """The platform's own keys: what signs sessions, URLs, manifests."""


@secrets_commands.command("new")
def secrets_new() -> None:
    """Print random secrets, for MINTAGE_SECRETS or a file of mode 0600."""
    click.echo(new_secrets_text(), nl=False)


@secrets_commands.command("list")
def secrets_list() -> None:
    """List the keys: kind, id (`kid`), and whether it signs, will sign next, or only verifies."""
    for key in _told(lambda: keys_of(_text(_settings()))):
        click.echo(f"{key.kind:<12} {key.kid:<16} {key.state}")


@secrets_commands.command("prepare")
@_kinds
def secrets_prepare(kinds: tuple[str, ...]) -> None:
    """Make the next keys of KINDS (all by default): they verify and do not sign before `rotate`.

    For several machines: prepare, hand the file out, rotate, hand it out again.
    """
    _change("keys were prepared", partial(prepared, kinds=_chosen(kinds, KINDS)))


@secrets_commands.command("rotate")
@_kinds
def secrets_rotate(kinds: tuple[str, ...]) -> None:
    """New keys of KINDS (all by default) sign from now on; those of before verify until they are removed."""
    _change("keys were rotated", partial(rotated, kinds=_chosen(kinds, KINDS)))


@secrets_commands.command("remove-old")
@_kinds
def secrets_remove_old(kinds: tuple[str, ...]) -> None:
    """Remove the keys of KINDS that sign no more: what they signed is refused from now on.

    All but manifest and webhook by default: a manifest can be verified as long as its key is published, and
    a webhook's secret is sealed with the key of the day on which it was made.
    """
    _change("old keys were removed", partial(without_old, kinds=_chosen(kinds, REMOVED_BY_DEFAULT)))


def _chosen(kinds: tuple[str, ...], default: tuple[Kind, ...]) -> tuple[Kind, ...]:
    return cast("tuple[Kind, ...]", kinds) or default


def _change(done: str, change: Callable[[str], str]) -> None:
    settings = _told(_settings)
    if settings.secrets_text is not None:
        click.echo(_told(lambda: change(_text(settings))), nl=False)
        click.echo("Give this as MINTAGE_SECRETS and start the processes again.", err=True)
        return
    _told(lambda: load_or_create_secrets(settings.secrets_file))
    text = _told(lambda: rewrite(settings.secrets_file, change))
    configure_logs()
    logger("secrets").info(done, **names_of(parse_secrets(text)))
    for key in keys_of(text):
        click.echo(f"{key.kind:<12} {key.kid:<16} {key.state}")


def _text(settings: Settings) -> str:
    if settings.secrets_text is not None:
        return settings.secrets_text
    return read_secrets_text(settings.secrets_file)


def _settings() -> Settings:
    return read_settings(os.environ)


def _told(work: Callable[[], Result]) -> Result:
    try:
        return work()
    except (OSError, SecretsError, SettingsError) as problem:
        click.echo(f"mintage: {problem}", err=True)
        sys.exit(1)
