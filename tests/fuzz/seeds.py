"""Right requests for every door, the platform that they are sent to, and its secrets.

A seed is made anew each time it is drawn: ids stay, idempotency keys and names do not.
`test_every_route_has_a_seed_that_is_right` says which route lacks one.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode
from uuid import UUID, uuid4

from mintage.app import Doors, Runtime, open_doors
from mintage.console.cookies import COOKIE, Cookies
from mintage.db.queries import query
from mintage.operations import accounts
from mintage.operations.call import ANONYMOUS, Call
from mintage.operations.pack_execution import process_payload_pack
from mintage.operations.passwords import hash_password
from mintage.rpcs import RPCS
from mintage.rules.roles import SCOPES
from mintage.secrets import Secrets, new_secrets_text, parse_secrets
from mintage.settings import Limits, read_settings
from mintage.storage import open_pack_store
from mintage.tokens import ClientToken, Session, Tokens, now_s, service_key
from tests.contract.stage import Stage, allowed_caller, build_stage
from tests.fuzz.asking import Request
from tests.support.keys import manifest_key
from tests.support.world import GTIN_TABLE, World

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from mintage.perform import Platform

PLATFORM_HOST = b"mint.example.com"
BRAND_HOST = b"acme.example.com"
MEMBERS = ("owner", "admin", "editor", "viewer", "stranger")
LIMITS = Limits(
    job_lease_s=5.0,
    backoff_s=(0.0, 0.0),
    calls_a_minute=10_000_000,
    misses_a_minute_max=1_000_000,
    body_timeout_s=5.0,
)
Seed = Callable[[], Request]


@dataclass(frozen=True)
class Target:
    """The doors, and what the seeds name. `sessions` and `tokens` by member."""

    application: ASGIApp
    stage: Stage
    secrets: Secrets
    issuer: str
    passwords: dict[str, str]
    serials: list[str]
    rival_serials: list[str]
    pack_path: str
    refresh_token: str
    client: tuple[str, str]
    sessions: dict[str, Session] = field(default_factory=dict)

    @property
    def world(self) -> World:
        return self.stage.world

    def token(self, who: str) -> str | None:
        """The bearer token of a member of the cast."""
        tokens = Tokens(self.secrets, self.issuer, 60)
        if who == "service":
            return service_key(self.secrets)
        if who == "api key":
            key = self.stage.keys["key with all"]
            assert key.id is not None
            client = ClientToken(key.id, self.world.brand_id, frozenset(SCOPES))
            return tokens.make_client_token(client, issued_at=now_s(), expires_at=now_s() + 86_400)
        if who not in self.sessions:
            return None
        session = self.sessions[who]
        return tokens.make_session_token(
            user_id=session.user_id,
            session_id=session.session_id,
            email=f"{who}@example.com",
            issued_at=now_s(),
            expires_at=now_s() + 86_400,
        )

    def canaries(self) -> dict[str, bytes]:
        """What no answer may have: nobody is entitled to it."""
        found = {f"password of {who}": text.encode() for who, text in self.passwords.items()}
        found |= {f"secret {n}": text for n, text in enumerate(sorted(self.secrets.texts))}
        found |= {
            "a private key": b"PRIVATE KEY",
            "a password's hash": b"$argon2id$",
            "the service key": service_key(self.secrets).encode(),
            "a client's secret": self.client[1].encode(),
            "a refresh token": self.refresh_token.encode(),
            "a refresh token's hash": b"refresh_hash",
        }
        for who in MEMBERS:
            token = self.token(who)
            assert token is not None
            found[f"session of {who}"] = token.rpartition(".")[0].encode()
        return found

    def rival_canaries(self) -> dict[str, bytes]:
        """What belongs to the other brand: for all but its owner, its host and the service."""
        return {f"serial {serial}": serial.encode() for serial in self.rival_serials}


@asynccontextmanager
async def open_target(
    platform: Platform, world: World, dsn: str, folder: Path
) -> AsyncIterator[Target]:
    """Every door over a filled database, and nothing but the doors: no worker."""
    platform = replace(platform, limits=LIMITS)
    world = world.with_platform(platform)
    stage = await build_stage(world)
    settings = replace(
        read_settings({"MINTAGE_DATA": str(folder), "MINTAGE_URL": "https://mint.example.com"}),
        limits=LIMITS,
    )
    store, secrets = open_pack_store(None, folder), parse_secrets(new_secrets_text())
    mine = await world.submit(stage.mine.product_id, 3)
    await world.run(mine["mint_job_id"])
    rivals = await _minted_by_rival(world)
    transactions = platform.transactions(world.callers["service"], "fuzz")
    while (
        await process_payload_pack(transactions, store, manifest_key=manifest_key())
    ).result != "idle":
        pass
    packs = (await world.rpc("list_payload_packs", status="completed"))["packs"]
    passwords = {who: f"canary-{who}-{uuid4().hex}" for who in MEMBERS}
    hashes = {who: await hash_password(password) for who, password in passwords.items()}
    async with platform.database.pool.acquire() as connection:
        for who, password_hash in hashes.items():
            statement = "update app_user set password_hash = $1 where id = $2"
            await connection.execute(statement, password_hash, world.user_ids[who])
    made = await world.rpc("create_api_key", name="fuzz", scopes=["mint:read"])
    runtime = Runtime(settings, dsn, platform, secrets, store)
    async with open_doors(runtime, Doors()) as application:
        target = Target(
            application,
            stage,
            secrets,
            f"{settings.platform_url}/auth/v1",
            passwords,
            await _serials(world, "owner", mine),
            await _serials(world, "stranger", rivals),
            packs[0]["storage_path"],
            (await _opened(world, "owner")).refresh_token,
            (made["client_id"], made["client_secret"]),
        )
        await sign_everybody_in(target)
        yield target


async def sign_everybody_in(target: Target) -> None:
    """Sessions that hold: mutated requests end some."""
    for who in MEMBERS:
        opened = await _opened(target.world, who)
        target.sessions[who] = Session(target.world.user_ids[who], opened.id)


async def _opened(world: World, who: str) -> accounts.OpenSession:
    async with world.platform.database.transaction(ANONYMOUS.identity(None)) as connection:
        now = await connection.fetchval(query("access", "now"))
        call = Call(connection, ANONYMOUS, None, None, now, world.platform.limits, "fuzz")
        account = accounts.SignInAccount(world.user_ids[who], f"{who}@example.com", "", now, now)
        return await accounts.open_session(call, account)


async def _minted_by_rival(world: World) -> dict[str, Any]:
    product_id = await world.product("stranger")
    submitted = await world.rpc(
        "submit_mint_request",
        "stranger",
        product_id=product_id,
        requested_quantity=3,
        identity_mode="serial",
        activation_mode="first_scan",
    )
    await world.run(submitted["mint_job_id"])
    return submitted


async def _serials(world: World, who: str, submitted: dict[str, Any]) -> list[str]:
    listed = await world.rpc("list_mint_units", who, mint_batch_id=submitted["mint_batch_id"])
    return [unit["serial_number"] for unit in listed["units"]]


def request(
    target: Target,
    method: str,
    path: str,
    who: str = "nobody",
    /,
    *,
    pairs: dict[str, Any] | None = None,
    content: object = None,
    form: dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
    host: bytes = PLATFORM_HOST,
) -> Request:
    """A request as a client of `who` sends it; the console's pages get a cookie, all others a token."""
    sent = [(b"host", host), (b"user-agent", b"fuzz/1.0"), (b"accept", b"*/*")]
    is_console, body = path.startswith("/console"), b""
    token = target.token(who)
    if is_console and who in target.sessions:
        cookie = Cookies(target.secrets, is_https=True).session_token(target.sessions[who])
        sent += [
            (b"cookie", f"{COOKIE}={cookie}".encode()),
            (b"origin", b"https://" + PLATFORM_HOST),
        ]
    elif token is not None:
        sent.append((b"authorization", f"Bearer {token}".encode()))
    if content is not None:
        body = json.dumps(content, default=str).encode()
        sent.append((b"content-type", b"application/json"))
    elif form is not None:
        if is_console and who in target.sessions:
            session = target.sessions[who]
            form = {"form_token": Cookies(target.secrets, is_https=True).form_token(session)} | form
        body = urlencode(form, doseq=True).encode()
        sent.append((b"content-type", b"application/x-www-form-urlencoded"))
    sent += [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    target_bytes = quote(path, safe="/:~!$&'()*+,;=@%").encode()
    if pairs:
        target_bytes += b"?" + urlencode({k: v for k, v in pairs.items() if v is not None}).encode()
    return Request(method, target_bytes, tuple(sent), body, who)


def seeds_of(target: Target) -> dict[str, Seed]:
    """Every seed by a name that says its door and route."""
    doors = (_rpcs, _api, _resolver, _console, _forms, _forms_of_settings)
    return {name: seed for door in doors for name, seed in door(target)}


def _rpcs(target: Target) -> Iterator[tuple[str, Seed]]:
    brand = {"_brand_id": str(target.world.brand_id)}

    def body(name: str) -> dict[str, Any]:
        given = dict(target.stage.examples(name)[0])
        return given | (brand if RPCS[name].audience == "brand" else {})

    def seed(method: str, name: str) -> Seed:
        path, who = f"/rest/v1/rpc/{name}", allowed_caller(name)
        if method == "GET":
            return lambda: request(target, "GET", path, who, pairs=body(name))
        return lambda: request(target, "POST", path, who, content=body(name))

    for name, rpc in RPCS.items():
        yield f"rpc {name}", seed("POST", name)
        if rpc.is_read_only:
            yield f"rpc GET {name}", seed("GET", name)
    yield (
        "function",
        lambda: request(
            target,
            "POST",
            "/functions/v1/mint-api-v1",
            "api key",
            content={k.removeprefix("_"): v for k, v in body("submit_mint_request").items()},
        ),
    )


def _api(target: Target) -> Iterator[tuple[str, Seed]]:
    def seed(method: str, path: str, who: str = "nobody", /, **more: Any) -> tuple[str, Seed]:
        return f"{method} {path}", lambda: request(target, method, path, who, **more)

    client_id, client_secret = target.client
    password = {"email": "owner@example.com", "password": target.passwords["owner"]}
    client = {
        "grant_type": "client_credentials",
        "client_id": client_id,
        "client_secret": client_secret,
    }
    yield (
        "password grant",
        seed("POST", "/auth/v1/token", pairs={"grant_type": "password"}, content=password)[1],
    )
    yield "client grant", seed("POST", "/auth/v1/token", form=client)[1]
    refresh = {"refresh_token": target.refresh_token}
    yield (
        "refresh grant",
        seed("POST", "/auth/v1/token", pairs={"grant_type": "refresh_token"}, content=refresh)[1],
    )
    yield seed("GET", "/auth/v1/user", "owner")
    yield seed("POST", "/auth/v1/logout", "viewer", pairs={"scope": "local"})
    for path in (
        "/auth/v1/settings",
        "/auth/v1/.well-known/jwks.json",
        "/.well-known/mintage-keys.json",
    ):
        yield seed("GET", path)
    for path in (
        "/openapi.json",
        "/docs",
        "/docs/api/list_products",
        "/healthz",
        "/readyz",
        "/metrics",
        "/",
    ):
        yield seed("GET", path)
    storage, file = "/storage/v1/object", target.pack_path
    yield seed("POST", f"{storage}/sign/payload-packs/{file}", "owner", content={"expiresIn": 60})
    yield seed(
        "POST", f"{storage}/sign/payload-packs", "owner", content={"expiresIn": 60, "paths": [file]}
    )
    yield seed("GET", f"{storage}/sign/payload-packs/{file}", pairs={"token": "a.b.c"})
    for form in ("", "/authenticated", "/info", "/info/authenticated"):
        yield seed(
            "GET", f"{storage}{form}/payload-packs/{file}", "owner", headers={"range": "bytes=0-9"}
        )


def _resolver(target: Target) -> Iterator[tuple[str, Seed]]:
    mine = target.stage.mine
    paths = {
        "serial": f"/01/0{GTIN_TABLE}/21/{target.serials[0]}",
        "lot": f"/01/0{GTIN_TABLE}/10/A",
        "gtin": f"/01/0{GTIN_TABLE}",
        "unit": f"/mu/{mine.unit_id}",
        "batch": f"/mb/{mine.mint_batch_id}",
        "lot id": f"/ml/{mine.mint_lot_id}",
        "product": f"/p/{mine.product_id}",
        "description": "/.well-known/gs1resolver",
        "compressed": "/AQYACgfJgb",
    }
    for name, path in paths.items():
        for kind in ("text/html", "application/linkset+json"):
            yield (
                f"resolver {name} {kind}",
                lambda p=path, k=kind: request(  # type: ignore[misc]
                    target,
                    "GET",
                    p,
                    host=BRAND_HOST,
                    pairs={"linkType": "gs1:pip", "17": "271231"},
                    headers={"accept": k, "accept-language": "de, en;q=0.5"},
                ),
            )


def _console(target: Target) -> Iterator[tuple[str, Seed]]:
    mine, home = target.stage.mine, "/console/b/acme/"

    def page(path: str, who: str = "owner", /, **pairs: Any) -> tuple[str, Seed]:
        return f"GET {path}", lambda: request(target, "GET", path, who, pairs=pairs)

    def form(path: str, who: str = "owner", /, **fields: Any) -> tuple[str, Seed]:
        return f"POST {path}", lambda: request(target, "POST", path, who, form=fields)

    for path in ("/console", "/console/", "/console/sign-in", "/console/static/console.css"):
        yield page(path)
    yield form(
        "/console/sign-in",
        "nobody",
        email="owner@example.com",
        password=target.passwords["owner"],
        next=home,
    )
    yield form("/console/sign-out", "viewer")
    yield form("/console/theme", theme="dark")
    for path in (
        "",
        "running",
        "mint",
        "batches",
        "units",
        "exports",
        "products",
        "products/new",
        "products/import",
    ):
        yield page(home + path, status="minted", cursor="")
    for path in ("activity", "activity.csv", "activity/scans", "activity/scans.csv"):
        yield page(
            home + path, **{"from": "2026-01-01", "to": "2099-01-01", "type": "mint_requested"}
        )
    yield page(f"{home}search", q="SKU")
    yield page(f"{home}settings")
    for path in (
        f"batches/{mine.mint_batch_id}",
        f"batches/{mine.mint_batch_id}/progress",
        f"units/{mine.unit_id}",
        f"units/{mine.unit_id}/symbol.svg",
        f"exports/{mine.export_group_id}",
        f"exports/{mine.export_group_id}/progress",
        f"exports/of-pack/{mine.export_group_id}",
        f"products/{mine.product_id}",
        f"download/{target.pack_path}",
    ):
        yield page(home + path)
    yield page(f"{home}exports/new", mint_batch_id=mine.mint_batch_id, format="labels_pdf")


def _forms(target: Target) -> Iterator[tuple[str, Seed]]:
    mine, home = target.stage.mine, "/console/b/acme/"

    def form(path: str, who: str = "owner", /, **fields: Any) -> tuple[str, Seed]:
        return f"POST {path}", lambda: request(target, "POST", path, who, form=fields)

    export = {
        "mint_batch_id": mine.mint_batch_id,
        "format": "csv",
        "profile": "",
        "option_ecc": "M",
    }
    yield form(f"{home}exports/new", **export)
    yield form(f"{home}exports/preview", **export | {"format": "qr_svg"})
    minted = {
        "product_id": mine.product_id,
        "production_batch_id": mine.product_batch_id,
        "quantity": "3",
        "identity_mode": "serial",
        "activation_mode": "first_scan",
        "serials": "",
        "lots": "",
        "idempotency_key": "",
    }
    yield form(f"{home}mint", **minted)
    yield form(f"{home}mint/check", **minted)
    yield form(f"{home}batches/{mine.mint_batch_id}/status", status="exported", reason="printed")
    yield form(f"{home}batches/{mine.mint_batch_id}/retry", mint_job_id=mine.failed_job_id)
    yield form(f"{home}units/{mine.unit_id}/revoke", reason="lost")
    yield (
        "POST new product",
        lambda: request(
            target,
            "POST",
            f"{home}products/new",
            "owner",
            form={"sku": uuid4().hex[:9], "name": "Elm", "gtin": ""},
        ),
    )
    yield form(f"{home}products/import", table="sku,name,gtin\r\nA-1,Oak,\r\n", step="import")


def _forms_of_settings(target: Target) -> Iterator[tuple[str, Seed]]:
    mine, home = target.stage.mine, "/console/b/acme/"

    def form(path: str, who: str = "owner", /, **fields: Any) -> tuple[str, Seed]:
        return f"POST {path}", lambda: request(target, "POST", path, who, form=fields)

    product = f"{home}products/{mine.product_id}"
    yield form(f"{product}/update", name="Oak table", description="", image_url="")
    yield form(f"{product}/identifiers", identifier_type="sku", raw_value="A-3")
    yield form(
        f"{product}/links",
        link_type="gs1:pip",
        href="https://example.com/a",
        title="A",
        is_default="yes",
    )
    yield form(f"{product}/links/remove", link_id=mine.link_id)
    yield form(f"{product}/production-batches", batch_number="N-1", quantity="10", status="READY")
    yield form(
        f"{product}/production-batches/update",
        product_batch_id=mine.product_batch_id,
        quantity="1000",
    )
    yield form(f"{home}settings", name="Acme", default_identity_mode="serial", strata="1000")
    yield form(f"{home}settings/members", email="new@example.com", role="viewer")
    yield form(f"{home}settings/members/remove", user_id=mine.user_id)
    yield form(f"{home}settings/keys", name="ERP", scopes=["mint:read"], expires_at="2099-01-01")
    yield form(f"{home}settings/keys/rotate", api_key_id=UUID(int=1))
    yield form(f"{home}settings/keys/revoke", api_key_id=mine.api_key_id, reason="lost")
    hook = f"{home}settings/webhooks"
    yield form(hook, url="https://example.com/hook", event_types=["mint_job.completed"])
    yield form(f"{hook}/remove", webhook_id=mine.webhook_id)
    yield form(f"{hook}/redeliver", webhook_delivery_id=mine.webhook_delivery_id)
