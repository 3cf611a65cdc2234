"""`mintage rpc` and `mintage webhook`: whatever the API can do, from the command line, as the service or as
a user.

Answers are printed as JSON. Exit codes: 0 done; 1 refused (the answer is printed, its reasons are told) or an
error of docs/errors.md; 2 wrong usage. Not here: the commands that watch what they begin (`cli`).
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from typing import Any, Final, cast
from uuid import UUID

import asyncpg
import click
import uvloop

from mintage.api.json_answer import json_bytes
from mintage.app import Runtime, open_runtime
from mintage.db.embedded import EmbeddedServerError
from mintage.db.migrate import SchemaError
from mintage.errors import MintageError
from mintage.operations.accounts import account_by_email
from mintage.operations.call import SERVICE, SYSTEM, Caller
from mintage.operations.checks import list_brands
from mintage.perform import perform
from mintage.rpcs import RPCS, Rpc
from mintage.rules.webhooks import WEBHOOK_DELIVERY_STATUSES, WEBHOOK_EVENT_TYPES
from mintage.secrets import SecretsError
from mintage.settings import SettingsError, read_settings

_EXPECTED: Final = (
    EmbeddedServerError,
    OSError,
    SchemaError,
    SecretsError,
    SettingsError,
    asyncpg.PostgresError,
)
_NO_BRAND: Final = UUID(int=0)
_brand = click.argument("brand_slug")
_as = click.option("--as", "email", help="Act as this user, with his role; else as the service.")


@click.command("rpc")
@click.argument("name", required=False)
@click.argument("pairs", nargs=-1, metavar="[ARGUMENT=VALUE]...")
@click.option("--brand", "brand_slug", help="Slug of the brand to work in.")
@click.option("--json", "text", help="Arguments as a JSON object, as the API takes it; - reads it.")
@click.option("--list", "is_list", is_flag=True, help="List the RPCs there are.")
@_as
def rpc_command(
    name: str | None,
    pairs: tuple[str, ...],
    brand_slug: str | None,
    text: str | None,
    is_list: bool,
    email: str | None,
) -> None:
    """Call the RPC NAME, as list_products limit=5. Its page in docs/api has its arguments."""
    if is_list:
        click.echo("\n".join(sorted(RPCS)))
        return
    rpc = RPCS.get(name or "")
    if rpc is None:
        raise click.UsageError(
            f"there is no RPC {name!r}; --list lists them" if name else "name an RPC"
        )
    _call(rpc, _arguments(rpc, pairs, text), brand_slug, email)


@click.group("webhook")
def webhook_commands() -> None:
    """Webhooks: servers that are told what happens in a brand."""


@webhook_commands.command("create")
@_brand
@click.argument("url")
@click.option(
    "--event",
    "event_types",
    multiple=True,
    type=click.Choice(WEBHOOK_EVENT_TYPES),
    help="An event to tell; any number, all by default.",
)
@click.option("--replace", "webhook_id", type=click.UUID, help="The webhook to replace.")
@_as
def webhook_create(
    brand_slug: str,
    url: str,
    event_types: tuple[str, ...],
    webhook_id: UUID | None,
    email: str | None,
) -> None:
    """Make a webhook, or replace one; its secret is printed this once."""
    raw: dict[str, object] = {
        "_url": url,
        "_event_types": list(event_types or WEBHOOK_EVENT_TYPES),
    }
    if webhook_id is not None:
        raw["_webhook_id"] = str(webhook_id)
    _call(RPCS["create_webhook"], raw, brand_slug, email)


@webhook_commands.command("list")
@_brand
@_as
def webhook_list(brand_slug: str, email: str | None) -> None:
    """List the webhooks of a brand."""
    _call(RPCS["list_webhooks"], {"_limit": 200}, brand_slug, email)


@webhook_commands.command("remove")
@_brand
@click.argument("webhook_id", type=click.UUID)
@_as
def webhook_remove(brand_slug: str, webhook_id: UUID, email: str | None) -> None:
    """Remove a webhook."""
    _call(RPCS["remove_webhook"], {"_webhook_id": str(webhook_id)}, brand_slug, email)


@webhook_commands.command("deliveries")
@_brand
@click.argument("webhook_id", type=click.UUID)
@click.option("--status", type=click.Choice(WEBHOOK_DELIVERY_STATUSES))
@_as
def webhook_deliveries(
    brand_slug: str, webhook_id: UUID, status: str | None, email: str | None
) -> None:
    """List what a webhook was told, newest first: 200 deliveries."""
    raw = {"_webhook_id": str(webhook_id), "_status": status, "_limit": 200}
    _call(RPCS["list_webhook_deliveries"], raw, brand_slug, email)


@webhook_commands.command("redeliver")
@_brand
@click.argument("delivery_id", type=click.UUID, required=False)
@click.option("--failed", "webhook_id", type=click.UUID, help="All of this webhook that failed.")
@click.option("--from", "from_", help="Of those, what was told from then on: 2026-01-31T12:00:00Z.")
@click.option("--to", help="Of those, what was told before then.")
@_as
def webhook_redeliver(
    brand_slug: str,
    delivery_id: UUID | None,
    webhook_id: UUID | None,
    from_: str | None,
    to: str | None,
    email: str | None,
) -> None:
    """Send a delivery again, or all of a webhook that failed, oldest first."""
    if (delivery_id is None) == (webhook_id is None):
        raise click.UsageError("name a delivery, or a webhook by --failed")
    given = {
        "_webhook_delivery_id": delivery_id and str(delivery_id),
        "_webhook_id": webhook_id and str(webhook_id),
        "_from": from_,
        "_to": to,
    }
    raw = {name: value for name, value in given.items() if value is not None}
    _call(RPCS["redeliver_webhook"], raw, brand_slug, email, more_of="redelivered")


def _arguments(rpc: Rpc, pairs: tuple[str, ...], text: str | None) -> dict[str, object]:
    """The raw arguments. Of an argument that is text a value is taken as it is, of others as JSON."""
    raw: dict[str, object] = {}
    if text is not None:
        try:
            given = json.loads(sys.stdin.read() if text == "-" else text)
        except (ValueError, RecursionError):
            raise click.BadParameter("--json must be a JSON object") from None
        if not isinstance(given, dict):
            raise click.BadParameter("--json must be a JSON object")
        raw |= given
    properties = rpc.arguments.model_json_schema(by_alias=True)["properties"]
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not name or not equals:
            raise click.BadParameter(f"{pair!r} must be ARGUMENT=VALUE, as limit=5")
        name = name if name.startswith("_") else f"_{name}"
        raw[name] = value if _is_text(properties.get(name, {})) else _read(value)
    return raw


def _is_text(schema: Mapping[str, Any]) -> bool:
    if any(_is_text(each) for each in schema.get("anyOf", ())):
        return True
    choices = schema.get("enum", [schema["const"]] if "const" in schema else ())
    return schema.get("type") == "string" or any(isinstance(each, str) for each in choices)


def _read(value: str) -> object:
    """JSON, or text where it is none: the check of the arguments then says what would be right."""
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def _call(
    rpc: Rpc,
    raw: Mapping[str, object],
    brand_slug: str | None,
    email: str | None,
    *,
    more_of: str | None = None,
) -> None:
    """Call it and print the answer. `more_of`: the count that is added up while the answer `has_more`."""
    try:
        answer = uvloop.run(_performed(rpc, raw, brand_slug, email, more_of))
    except MintageError as error:
        told = {"code": error.kind.code, "message": error.message}
        told |= {"details": error.details or "", "hint": error.hint or ""}
        click.echo(json.dumps(told, ensure_ascii=False), err=True)
        sys.exit(1)
    except _EXPECTED as problem:
        click.echo(f"mintage: {problem}", err=True)
        sys.exit(1)
    click.echo(json.dumps(json.loads(json_bytes(answer)), indent=2, ensure_ascii=False))
    if not answer["ok"]:
        reasons: Any = answer.get("blocking_reasons") or [answer.get("error")]
        for reason in reasons:
            if isinstance(reason, Mapping):
                click.echo(f"mintage: {reason['code']}: {reason['message']}", err=True)
        sys.exit(1)


async def _performed(
    rpc: Rpc,
    raw: Mapping[str, object],
    brand_slug: str | None,
    email: str | None,
    more_of: str | None,
) -> Mapping[str, object]:
    settings = read_settings(os.environ)
    async with open_runtime(settings, application="command", may_migrate=False) as runtime:
        if brand_slug is not None:
            raw = {"_brand_id": str(await _brand_id(runtime, brand_slug))} | dict(raw)
        caller = SERVICE if email is None else await _user(runtime, email)
        answer = await perform(runtime.platform, caller, rpc, raw, "command")
        while more_of is not None and answer.get("has_more"):
            more = await perform(runtime.platform, caller, rpc, raw, "command")
            total = cast("int", answer[more_of]) + cast("int", more.get(more_of, 0))
            answer = {**more, more_of: total}
        return answer


async def _brand_id(runtime: Runtime, slug: str) -> UUID:
    for each in await list_brands(runtime.platform.transactions(SYSTEM, "command")):
        if each.slug == slug:
            return each.id
    raise click.ClickException(f"there is no brand {slug!r}; `mintage brand create` makes one")


async def _user(runtime: Runtime, email: str) -> Caller:
    async with runtime.platform.transactions(SYSTEM, "command").call(_NO_BRAND) as call:
        account = await account_by_email(call, email)
    if account is None:
        raise click.ClickException(f"there is no user {email!r}; `mintage user set` makes one")
    return Caller("user", account.id)
