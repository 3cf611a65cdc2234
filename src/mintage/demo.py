"""`mintage demo`: the main job on a fresh machine, with data to look at (SPEC §10).

A brand with four people, three products and READY production batches; 25,000 units minted, exported and
downloaded; three of them scanned, over HTTP, as consumers and print vendors would. `demo.json` says where
everything is. A second start on the same directory goes on with its data.
"""

from __future__ import annotations

import asyncio
import csv
import hashlib
import io
import json
import os
import time
import urllib.error
import urllib.request
import webbrowser
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

from rich.console import Console
from rich.markup import escape

from mintage.app import Runtime
from mintage.operations.call import SERVICE
from mintage.perform import perform
from mintage.rpcs import RPCS
from mintage.rules.gs1 import check_digit
from mintage.settings import Settings
from mintage.tokens import anon_key, service_key
from mintage.watch import Api, watch_minting, watch_packs

BRAND_SLUG: Final = "demo"
UNITS: Final = 25_000
SCANS: Final = 3
FILE_NAME: Final = "demo.json"
EMAIL_HOST: Final = "example.com"
PHONE: Final = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1"
)
ROLES: Final = ("owner", "admin", "editor", "viewer")
PRODUCTS: Final = (
    ("TABLE-OAK", "Oak table", "950600013435", 100_000),
    ("CHAIR-ASH", "Ash chair", "950600013436", 50_000),
    ("LAMP-BRASS", "Brass lamp", "950600013437", None),
)
"""SKU, name, GTIN-13 without its check digit (GS1's example prefix 9506000), production batch quantity."""
_FACTS: Final = (
    "url",
    "anon_key",
    "service_key",
    "brand_id",
    "brand_slug",
    "products",
    "product_batches",
    "users",
    "mint_batch_id",
)


class DemoFailed(RuntimeError):
    """The demo did not show what it promises; the message says what is wrong."""


@dataclass(frozen=True, slots=True)
class Told:
    """What happened in this start, for the summary."""

    was_new: bool
    minted: int
    mint_s: float
    packs: list[dict[str, Any]]
    scans: list[tuple[str, str]]


async def run_demo(runtime: Runtime, url: str, console: Console) -> tuple[dict[str, Any], Told]:
    """Make what is missing, mint, export, download and scan; writes demo.json and gives it.

    The doors answer at `url` and a worker runs. Raises `DemoFailed`.
    """
    path = runtime.settings.data_dir / FILE_NAME
    known = await asyncio.to_thread(_read_facts, path)
    was_new = known is None
    if known is None:
        console.print("[bold]Making a brand[/] with four people, three products and their batches")
        known = await _make_brand(runtime)
    facts: dict[str, Any] = known | {
        "url": url,
        "anon_key": anon_key(runtime.secrets),
        "service_key": service_key(runtime.secrets),
    }
    api = Api(runtime.platform, SERVICE, UUID(facts["brand_id"]))
    await api.call("set_brand_host", base_url=url, is_primary=True)
    await asyncio.to_thread(_write_facts, path, facts)
    started = time.perf_counter()
    if facts["mint_batch_id"] is None:
        console.print(
            f"[bold]Minting {UNITS:,} identities[/] of {PRODUCTS[0][1]}, in cycles of 20,000"
        )
        facts["mint_batch_id"] = await _submit(api, facts)
        await asyncio.to_thread(_write_facts, path, facts)
    batch = await watch_minting(api, UUID(facts["mint_batch_id"]), console)
    mint_s = time.perf_counter() - started
    packs = await _completed_packs(api, facts["mint_batch_id"])
    if not packs:
        console.print("[bold]Exporting packs[/] for a print vendor, 10,000 units each")
        requested = await api.call("request_payload_packs", mint_batch_id=facts["mint_batch_id"])
        packs = await watch_packs(api, requested["export_group_id"], console)
    await _download_first(facts, packs[0])
    console.print(f"[bold]Scanning {SCANS}[/] of them, as a phone would")
    listed = await api.call("list_mint_units", mint_batch_id=facts["mint_batch_id"], limit=SCANS)
    urls = [unit["resolver_url"] for unit in listed["units"]]
    scans = [await asyncio.to_thread(_scan, scanned_url) for scanned_url in urls]
    return facts, Told(was_new, batch["minted_quantity"], mint_s, packs, scans)


def print_summary(console: Console, facts: dict[str, Any], told: Told, settings: Settings) -> None:
    """What happened and where to look, for a person."""
    url, owner = facts["url"], facts["users"][0]
    bucket = settings.storage_url or str(settings.data_dir / "payload-packs")
    rate = f", {told.minted / told.mint_s:,.0f} a second" if told.was_new else ""
    size = sum(pack["byte_size"] for pack in told.packs)
    files = sum(pack["format"] == "csv" for pack in told.packs)
    lines = [
        ("minted", f"{told.minted:,} units{rate}; every serial unguessable and unique"),
        (
            "packs",
            f"{files} CSV files and their signed manifest, {size:,} bytes; one downloaded, its sha256 as "
            "stated",
        ),
        *(("scan", f"{scanned}  [green]{outcome}[/]") for scanned, outcome in told.scans),
        ("", ""),
        ("open", told.scans[0][0]),
        ("console", f"{url}/console/"),
        ("sign in", f"{owner['email']}  password {owner['password']}"),
        ("API", f"{url}/rest/v1/rpc/list_mint_batches"),
        ("a pack", escape(f"{bucket}/{told.packs[0]['storage_path']}")),
        ("all else", escape(f"{settings.data_dir / FILE_NAME}  (keys, ids, the other people)")),
    ]
    console.print()
    for label, text in lines:
        # Not wrapped: each of these is there to be copied.
        console.print(f"  [dim]{label:<9}[/]{text}", soft_wrap=True)


def port_of_before(data_dir: Path) -> int | None:
    """The port of the start before on this directory: its printed codes point there."""
    facts = _read_facts(data_dir / FILE_NAME)
    return None if facts is None else urlsplit(facts["url"]).port


def open_browser(told: Told) -> None:
    """Show the page that a scanned code leads to, where there is a screen."""
    if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or os.name == "nt":
        webbrowser.open(told.scans[0][0])


async def _make_brand(runtime: Runtime) -> dict[str, Any]:
    owner_email = f"owner@{EMAIL_HOST}"
    made = await perform(
        runtime.platform,
        SERVICE,
        RPCS["create_brand"],
        {"_slug": BRAND_SLUG, "_name": "Demo Furniture", "_owner_email": owner_email},
        "demo",
    )
    api = Api(runtime.platform, SERVICE, UUID(str(made["brand_id"])))
    users = [{"email": owner_email, "password": made["password"], "role": "owner"}]
    for role in ROLES[1:]:
        email = f"{role}@{EMAIL_HOST}"
        member = await api.call("set_brand_member", email=email, role=role)
        users.append({"email": email, "password": member["password"], "role": role})
    products, product_batches = [], []
    for sku, name, digits, quantity in PRODUCTS:
        product, product_batch = await _make_product(api, sku, name, digits, quantity)
        products.append(product)
        product_batches.append(product_batch)
    return {
        "brand_id": str(api.brand_id),
        "brand_slug": BRAND_SLUG,
        "products": products,
        "product_batches": product_batches,
        "users": users,
        "mint_batch_id": None,
    }


async def _make_product(
    api: Api, sku: str, name: str, digits: str, quantity: int | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    gtin = digits + check_digit(digits)
    product = (await api.call("create_product", sku=sku, name=name, gtin=gtin))["product"]
    patch = {"commercial_status": "ACTIVE", "mint_readiness_status": "READY"}
    await api.call("update_product", product_id=product["id"], patch=patch)
    answer = await api.call(
        "create_product_batch",
        product_id=product["id"],
        batch_number=f"{sku.split('-', maxsplit=1)[0]}-2026-01",
        quantity=quantity,
        status="READY",
    )
    made = answer["product_batch"]
    product_batch = {
        "id": str(made["id"]),
        "product_id": str(product["id"]),
        "batch_number": made["batch_number"],
        "quantity": made["quantity"],
        "status": made["status"],
    }
    return {"id": str(product["id"]), "sku": sku, "gtin": gtin}, product_batch


async def _submit(api: Api, facts: dict[str, Any]) -> str:
    submitted = await api.call(
        "submit_mint_request",
        product_id=facts["products"][0]["id"],
        product_batch_id=facts["product_batches"][0]["id"],
        requested_quantity=UNITS,
        identity_mode="serial",
        activation_mode="first_scan",
        idempotency_key="demo",
    )
    if not submitted["ok"]:
        raise DemoFailed(f"the mint request was refused: {submitted['blocking_reasons']}")
    return str(submitted["mint_batch_id"])


async def _completed_packs(api: Api, mint_batch_id: str) -> list[dict[str, Any]]:
    packs = await api.all_rows(
        "list_payload_packs", "packs", mint_batch_id=mint_batch_id, status="completed"
    )
    return sorted(packs, key=lambda pack: (pack["created_at"], pack["pack_index"]))


async def _download_first(facts: dict[str, Any], pack: dict[str, Any]) -> None:
    """Sign and fetch the first pack over HTTP, as a member; it must be what was stated."""
    body = await asyncio.to_thread(_download, facts, pack["storage_path"])
    if hashlib.sha256(body).hexdigest() != pack["sha256"]:
        raise DemoFailed(f"pack {pack['pack_index']} does not have the sha256 that is stated")
    rows = list(csv.reader(io.StringIO(body.decode("utf-8"), newline="")))
    if len(rows) != 1 + pack["unit_count"]:
        raise DemoFailed(f"pack {pack['pack_index']} has {len(rows) - 1} rows")


def _download(facts: dict[str, Any], storage_path: str) -> bytes:
    url, viewer = facts["url"], facts["users"][-1]
    signed_in = _post(
        f"{url}/auth/v1/token?grant_type=password",
        {"email": viewer["email"], "password": viewer["password"]},
    )
    signed = _post(
        f"{url}/storage/v1/object/sign/payload-packs/{storage_path}",
        {"expiresIn": 60},
        token=signed_in["access_token"],
    )
    with urllib.request.urlopen(f"{url}/storage/v1{signed['signedURL']}", timeout=30) as response:  # noqa: S310
        content: bytes = response.read()
    return content


def _post(url: str, body: dict[str, Any], token: str | None = None) -> dict[str, Any]:
    headers = {"content-type": "application/json"}
    if token is not None:
        headers["authorization"] = f"Bearer {token}"
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)  # noqa: S310
    with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
        answer: dict[str, Any] = json.load(response)
    return answer


class _StayHere(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_arguments: Any, **_more: Any) -> None:
        return None


def _scan(url: str) -> tuple[str, str]:
    """Scan one code: its URL, and what the resolver answered."""
    request = urllib.request.Request(url, headers={"user-agent": PHONE})  # noqa: S310
    try:
        urllib.request.build_opener(_StayHere).open(request, timeout=30)
    except urllib.error.HTTPError as answer:
        if answer.code == 307:
            with urllib.request.urlopen(answer.headers["location"], timeout=30) as page:  # noqa: S310
                return url, f"307, then {page.status}: genuine"
        return url, f"{answer.code}: {answer.reason}"
    raise DemoFailed(f"{url} did not redirect")


def _read_facts(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    facts: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return facts


def _write_facts(path: Path, facts: dict[str, Any]) -> None:
    """Whole or not at all, readable by its owner only: it holds keys and passwords."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.touch(mode=0o600)
    draft.write_text(json.dumps({name: facts[name] for name in _FACTS}, indent=2) + "\n", "utf-8")
    draft.replace(path)
