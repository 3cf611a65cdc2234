"""ops/nginx as it is shipped, in a real nginx, before `mintage web` and `mintage resolver`."""

from __future__ import annotations

import asyncio
import json
import shutil
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest

from tests.conftest import with_database
from tests.embedded.support import needs
from tests.machines.processes import IPHONE, Machines, free_port, machines, until
from tests.machines.servers import ask
from tests.support.certificates import self_signed

pytestmark = pytest.mark.long
NGINX = Path("/usr/sbin/nginx")
OPS = Path(__file__).parents[2] / "ops" / "nginx"
PLATFORM, RESOLVER = "mint.example.com", "acme.id.example.com"
MAIN = """daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
worker_processes 1;
events {{ worker_connections 128; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  {site}
}}
"""


@asynccontextmanager
async def _nginx(folder: Path, web: str, resolver: str) -> AsyncIterator[tuple[int, int]]:
    """The shipped files with this test's ports and certificates; its ports for http and https."""
    http, https = free_port(), free_port()
    certificate = self_signed(folder / "all.pem", PLATFORM, "*.id.example.com")
    site = (OPS / "mintage.conf").read_text("utf-8")
    for shipped, here in (
        ("127.0.0.1:8080", web.removeprefix("http://")),
        ("127.0.0.1:8090", resolver.removeprefix("http://")),
        ("listen 80 ", f"listen 127.0.0.1:{http} "),
        ("listen 443 ", f"listen 127.0.0.1:{https} "),
        ("/etc/nginx/mintage-proxy.conf", str(OPS / "mintage-proxy.conf")),
        ("/etc/mintage/tls/mint.pem", str(certificate)),
        ("/etc/mintage/tls/mint.key", str(certificate)),
        ("/etc/mintage/tls/id.pem", str(certificate)),
        ("/etc/mintage/tls/id.key", str(certificate)),
    ):
        assert shipped in site
        site = site.replace(shipped, here)
    configuration = folder / "nginx.conf"
    configuration.write_text(MAIN.format(folder=folder, site=site), "utf-8")
    process = await asyncio.create_subprocess_exec(
        str(NGINX), "-c", str(configuration), "-p", str(folder)
    )

    async def listens() -> bool:
        assert process.returncode is None, (folder / "error.log").read_text("utf-8")
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", https)
        except OSError:
            return False
        writer.close()
        return True

    try:
        await until(listens)
        yield http, https
    finally:
        process.terminate()
        await process.wait()


@asynccontextmanager
async def _platform(server_dsn: str, folder: Path) -> AsyncIterator[Machines]:
    name = f"test_{uuid4().hex[:12]}"
    await ask(server_dsn, f"create database {name}")
    try:
        async with machines(
            folder,
            MINTAGE_DATABASE_URL=with_database(server_dsn, name),
            MINTAGE_URL=f"https://{PLATFORM}",
            MINTAGE_RESOLVER_DOMAIN="id.example.com",
            MINTAGE_TRUSTED_PROXIES="127.0.0.1",
        ) as fleet:
            await fleet.done("migrate")
            yield fleet
    finally:
        await ask(server_dsn, f"drop database {name} with (force)")


async def test_the_shipped_proxy_serves_people_programs_and_scans(
    server_dsn: str, tmp_path: Path
) -> None:
    needs(NGINX.exists() or shutil.which("nginx") is not None, "nginx")
    tmp_path.chmod(0o755)
    async with _platform(server_dsn, tmp_path) as fleet:
        web, resolver = await asyncio.gather(fleet.serve("web"), fleet.serve("resolver"))
        fleet.start("mintage", "work")
        service = await fleet.service(web)
        async with service.client() as client, _nginx(tmp_path, web, resolver) as (http, https):
            brand = await fleet.brand(client)
            minted = await brand.rpc(
                "submit_mint_request",
                product_id=await brand.product(),
                requested_quantity=3,
                identity_mode="serial",
                activation_mode="first_scan",
            )
            await brand.until_minted(minted["mint_batch_id"])
            printed, *_ = await brand.resolver_urls(minted["mint_batch_id"], 1)
            assert printed.startswith(f"https://{RESOLVER}/01/")
            await _scanned(printed, http, https, tmp_path)
            await _signed_in(fleet, https, tmp_path)
            asked_by = await _asked_by(fleet)
    # The phone's own claim is not believed: the proxy says who asks.
    assert asked_by == "127.0.0.0/24"


def _visitor(folder: Path) -> httpx2.AsyncClient:
    trusting = ssl.create_default_context(cafile=str(folder / "all.pem"))
    return httpx2.AsyncClient(verify=trusting, headers={"User-Agent": IPHONE})


async def _scanned(printed: str, http: int, https: int, folder: Path) -> None:
    path = printed.removeprefix(f"https://{RESOLVER}")
    headers = {
        "Host": RESOLVER,
        "X-Forwarded-For": "198.51.100.7",
        "X-Forwarded-Host": "evil.example",
    }
    async with _visitor(folder) as visitor:
        plain = await visitor.get(f"http://127.0.0.1:{http}{path}", headers={"Host": RESOLVER})
        answer = await visitor.get(
            f"https://127.0.0.1:{https}{path}",
            headers=headers,
            extensions={"sni_hostname": RESOLVER},
        )
    assert (plain.status_code, plain.headers["location"]) == (308, printed)
    assert answer.status_code == 307
    assert answer.headers["location"].startswith(f"https://{RESOLVER}/p/")
    assert "max-age" in answer.headers["strict-transport-security"]


async def _asked_by(fleet: Machines) -> str:
    """Who scanned, once it is written: that is after the answer."""
    found: object = None

    async def is_written() -> bool:
        nonlocal found
        dsn = fleet.environment["MINTAGE_DATABASE_URL"]
        found = await ask(dsn, "select ip_prefix::text from scan_event")
        return found is not None

    await until(is_written)
    return str(found)


async def _signed_in(fleet: Machines, https: int, folder: Path) -> None:
    told = json.loads(await fleet.done("user", "set", "acme", "viewer@example.com", "viewer"))
    form = {"email": "viewer@example.com", "password": told["password"]}
    headers = {"Host": PLATFORM, "Origin": f"https://{PLATFORM}"}
    base, named = f"https://127.0.0.1:{https}", {"sni_hostname": PLATFORM}
    async with _visitor(folder) as visitor:
        health = await visitor.get(f"{base}/readyz", headers=headers, extensions=named)
        signed = await visitor.post(
            f"{base}/console/sign-in", data=form, headers=headers, extensions=named
        )
    assert health.json()["ok"] is True
    assert signed.status_code == 303, signed.text
    assert "secure" in signed.headers["set-cookie"].lower()
