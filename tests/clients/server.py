"""A Mintage that serves, as an operator starts it, with people, a minted batch and its packs in it.

Everything is made over HTTP, as in life. What a client needs to know of it is in `Served`. Not here: clients.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx2

from mintage.secrets import Secrets, load_or_create_secrets
from mintage.settings import Limits
from mintage.tokens import Tokens, anon_key, now_s, service_key
from tests.clients.relay import Relay, relay_to
from tests.conftest import with_database
from tests.machines.processes import free_port
from tests.support.world import GTIN_TABLE

UNITS = 25
WAIT_LIMIT_S = 60
STRICT_CALLS_A_MINUTE = 10
ROLES = ("owner", "admin", "editor", "viewer")


@dataclass(frozen=True)
class Person:
    """Somebody who can sign in."""

    id: str
    email: str
    password: str


@dataclass(frozen=True)
class Served:
    """`people` by role, and "stranger", the owner of `foreign_brand_id`. `pack` is a row of the list."""

    url: str
    secrets: Secrets
    relay: Relay
    log: Path
    brand_id: str
    foreign_brand_id: str
    people: Mapping[str, Person]
    client_id: str
    client_secret: str
    product_id: str
    draft_product_id: str
    product_batch_id: str
    mint_batch_id: str
    pack: Mapping[str, Any]

    @property
    def anon_key(self) -> str:
        return anon_key(self.secrets)

    @property
    def service_key(self) -> str:
        return service_key(self.secrets)

    def token(self, person: str, *, lifetime_s: int, session_id: UUID | None = None) -> str:
        """An access token that ends in `lifetime_s`; negative for one that is over."""
        tokens = Tokens(self.secrets, f"{self.url}/auth/v1", Limits().clock_leeway_s)
        return tokens.make_session_token(
            user_id=UUID(self.people[person].id),
            session_id=session_id or uuid4(),
            email=self.people[person].email,
            issued_at=now_s() - 3600,
            expires_at=now_s() + lifetime_s,
        )

    def with_new_key(self) -> Served:
        """The same with an API key that nobody has used."""
        headers = {"Authorization": f"Bearer {self.service_key}"}
        with httpx2.Client(base_url=self.url, headers=headers) as client:
            made = _Desk(client, self.brand_id).rpc(
                "create_api_key", name="hasty", scopes=["mint:read"]
            )
        return replace(self, client_id=made["client_id"], client_secret=made["client_secret"])

    def exchanged(self) -> str:
        """A token for the API key, which no Supabase client has a method for."""
        key = {
            "grant_type": "client_credentials",
            "client_id": self.client_id,
            "client_secret": self.client_secret,
        }
        answer = httpx2.post(f"{self.url}/auth/v1/token", data=key).json()
        token: str = answer["access_token"]
        return token

    @contextmanager
    def away(self) -> Iterator[int]:
        """The database cannot be reached; at the end it is back, and known to be.

        Gives how long the server's log was before.
        """
        with self.relay.cut():
            yield self.log.stat().st_size
        headers = {"Authorization": f"Bearer {self.service_key}"}
        ready = f"{self.url}/rest/v1/rpc/list_products?_brand_id={self.brand_id}"
        _wait_for(lambda: httpx2.get(ready, headers=headers).status_code == 200)

    def wait_for_failure(self, rpc: str, since: int) -> None:
        """Until a call of `rpc` has failed and is logged; `since` is what `away` gave."""
        line = f"/rest/v1/rpc/{rpc}"
        _wait_for(lambda: line in self.log.read_bytes()[since:].decode("utf-8"))

    def submission(self, **changes: object) -> dict[str, Any]:
        """Arguments of a mint request, named as mint-api-v1 does."""
        return {
            "brand_id": self.brand_id,
            "product_id": self.product_id,
            "product_batch_id": self.product_batch_id,
            "requested_quantity": 3,
            "identity_mode": "serial",
            "activation_mode": "first_scan",
        } | changes

    def arguments(self, **changes: object) -> dict[str, Any]:
        """The same, named as the RPC does."""
        return {f"_{name}": value for name, value in self.submission(**changes).items()}


@contextmanager
def served(server_dsn: str, template: str) -> Iterator[Served]:
    """Serve until the context ends, on a database of its own."""
    with ExitStack() as stack:
        dsn = stack.enter_context(_database(server_dsn, template))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mintage-clients-")))
        relay = stack.enter_context(relay_to(dsn, folder))
        url = stack.enter_context(_process(relay.url, folder))
        secrets = load_or_create_secrets(folder / "data" / "secrets.json")
        yield _filled(url, secrets, relay, folder)


@contextmanager
def _database(server_dsn: str, template: str) -> Iterator[str]:
    name = f"test_{uuid4().hex[:12]}"
    asyncio.run(
        _execute(server_dsn, f"create database {name} template {template} strategy file_copy")
    )
    try:
        yield with_database(server_dsn, name)
    finally:
        asyncio.run(_execute(server_dsn, f"drop database if exists {name} with (force)"))


async def _execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@contextmanager
def strict(mintage: Served) -> Iterator[Served]:
    """Another process of the same platform, that takes ten calls a minute of whoever calls."""
    with (
        tempfile.TemporaryDirectory(prefix="mintage-strict-") as folder,
        _process(
            mintage.relay.url,
            Path(folder),
            # No worker: it would write packs into a folder of its own.
            "web",
            MINTAGE_SECRETS_FILE=str(mintage.log.parent / "data" / "secrets.json"),
            MINTAGE_CALLS_A_MINUTE=str(STRICT_CALLS_A_MINUTE),
        ) as url,
    ):
        yield replace(mintage, url=url)


@contextmanager
def _process(database_url: str, folder: Path, command: str = "serve", **more: str) -> Iterator[str]:
    """`mintage serve`, or another command that serves, answering; its URL."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environment = {name: value for name, value in os.environ.items() if "MINTAGE_" not in name} | {
        "MINTAGE_DATA": str(folder / "data"),
        "MINTAGE_DATABASE_URL": database_url,
        "MINTAGE_PORT": str(port),
        "MINTAGE_URL": url,
        **more,
    }
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "mintage", command],
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait_for(lambda: _answers(url, process, log))
            yield url
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _answers(url: str, process: subprocess.Popen[bytes], log: Path) -> bool:
    assert process.poll() is None, log.read_text("utf-8")
    try:
        return httpx2.get(f"{url}/auth/v1/settings").status_code == 200
    except httpx2.TransportError:
        return False


def _wait_for(is_so: Callable[[], object], *, pause_s: float = 0.05) -> None:
    """Wait for what must come about; the limit is only there to end a test that fails."""
    ends_at = time.monotonic() + WAIT_LIMIT_S
    while not is_so():
        assert time.monotonic() < ends_at
        time.sleep(pause_s)


@dataclass(frozen=True)
class _Desk:
    """RPCs of the service in one brand."""

    client: httpx2.Client
    brand_id: str

    def rpc(self, name: str, /, **arguments: object) -> dict[str, Any]:
        body = {"_brand_id": self.brand_id} | {f"_{key}": it for key, it in arguments.items()}
        return _called(self.client, name, body)


def _called(client: httpx2.Client, name: str, body: Mapping[str, object]) -> dict[str, Any]:
    response = client.post(f"/rest/v1/rpc/{name}", json=body)
    answer: dict[str, Any] = response.json()
    assert response.status_code == 200, answer
    assert answer["ok"], answer
    return answer


def _filled(url: str, secrets: Secrets, relay: Relay, folder: Path) -> Served:
    headers = {"Authorization": f"Bearer {service_key(secrets)}"}
    with httpx2.Client(base_url=url, headers=headers, timeout=30) as client:
        brand_id, owner = _brand(client, "acme", "owner@example.com")
        foreign_brand_id, stranger = _brand(client, "rival", "stranger@example.com")
        desk = _Desk(client, brand_id)
        people = {"owner": owner, "stranger": stranger}
        people |= {role: _member(desk, role) for role in ROLES if role != "owner"}
        product_id = _product(desk, sku="OAK-1", gtin=GTIN_TABLE)
        draft = desk.rpc("create_product", sku="ELM-1", name="Elm chair")["product"]["id"]
        product_batch = {"batch_number": "PB-7", "quantity": 1_000_000, "status": "READY"}
        made = desk.rpc("create_product_batch", product_id=product_id, **product_batch)
        key = desk.rpc("create_api_key", name="ERP", scopes=["mint:read", "mint:write"])
        mint_batch_id = _minted(desk, product_id)
        return Served(
            url=url,
            secrets=secrets,
            relay=relay,
            log=folder / "log",
            brand_id=brand_id,
            foreign_brand_id=foreign_brand_id,
            people=people,
            client_id=key["client_id"],
            client_secret=key["client_secret"],
            product_id=product_id,
            draft_product_id=draft,
            product_batch_id=made["product_batch"]["id"],
            mint_batch_id=mint_batch_id,
            pack=_exported(desk, mint_batch_id),
        )


def _brand(client: httpx2.Client, slug: str, email: str) -> tuple[str, Person]:
    body = {"_slug": slug, "_name": slug.title(), "_owner_email": email}
    made = _called(client, "create_brand", body)
    return made["brand_id"], Person(made["owner_user_id"], email, made["password"])


def _member(desk: _Desk, role: str) -> Person:
    email = f"{role}@example.com"
    made = desk.rpc("set_brand_member", email=email, role=role)
    return Person(made["user_id"], email, made["password"])


def _product(desk: _Desk, **changes: object) -> str:
    product_id: str = desk.rpc("create_product", name="Oak table", **changes)["product"]["id"]
    patch = {"commercial_status": "ACTIVE", "mint_readiness_status": "READY"}
    desk.rpc("update_product", product_id=product_id, patch=patch)
    return product_id


def _minted(desk: _Desk, product_id: str) -> str:
    submitted = desk.rpc(
        "submit_mint_request",
        product_id=product_id,
        requested_quantity=UNITS,
        identity_mode="serial",
        activation_mode="first_scan",
    )
    mint_batch_id: str = submitted["mint_batch_id"]

    def is_minted() -> bool:
        batch = desk.rpc("get_mint_batch_by_id", mint_batch_id=mint_batch_id)["batch"]
        return bool(batch["status"] == "minted")

    _wait_for(is_minted)
    return mint_batch_id


def _exported(desk: _Desk, mint_batch_id: str) -> Mapping[str, Any]:
    """The first pack of the batch, once it is written."""
    desk.rpc("request_payload_packs", mint_batch_id=mint_batch_id)

    def completed() -> list[dict[str, Any]]:
        page = desk.rpc("list_payload_packs", mint_batch_id=mint_batch_id, status="completed")
        packs: list[dict[str, Any]] = page["packs"]
        return packs

    _wait_for(completed)
    return next(pack for pack in completed() if pack["format"] == "csv")
