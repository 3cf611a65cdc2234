"""A webhook's request goes to an address that may be called, and to no other (SECURITY, SSRF)."""

from __future__ import annotations

import asyncio
import datetime
import ssl
from collections.abc import Sequence
from ipaddress import IPv4Address, ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from mintage.operations.webhook_sending import WebhookAnswer, WebhookRequest
from mintage.settings import Limits
from mintage.worker.webhook_http import Address, WebhookSender
from tests.support.webhooks import HOST, answer, receiver, to_loopback

LOOPBACK = IPv4Address("127.0.0.1")
NAMED = Limits(webhook_private_hosts=(HOST,))


def request_to(url: str) -> WebhookRequest:
    return WebhookRequest(url, {"content-type": "application/json", "webhook-id": "1"}, b"{}")


class Answering:
    """A resolver that answers each time the next of its lists, and counts how often it is asked."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def __call__(self, _host: str, _port: int) -> Sequence[Address]:
        self.asked += 1
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [ip_address(each) for each in found]


async def failure_of(url: str, resolve: Answering, limits: Limits | None = None) -> str | None:
    sender = WebhookSender(limits or Limits(), resolve=resolve)
    return (await sender.send(request_to(url))).failure


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "100.64.0.1",
        "169.254.169.254",
        "0.0.0.0",
        "224.0.0.1",
        "::1",
        "fe80::1",
        "fd00::1",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "2001::1",
    ],
)
async def test_a_name_that_leads_inside_is_not_called(address: str) -> None:
    for addresses in ([address], ["93.184.215.14", address]):
        resolve = Answering(addresses)
        assert await failure_of("https://example.com:9443/", resolve) == "ADDRESS_REFUSED"


async def test_a_name_is_resolved_once_so_rebinding_gains_nothing() -> None:
    async with receiver() as found:
        resolve = Answering(["127.0.0.1"], ["169.254.169.254"])
        sender = WebhookSender(NAMED, resolve=resolve)
        assert (await sender.send(request_to(found.url))).failure is None
        assert resolve.asked == 1
        assert (await sender.send(request_to(found.url))).failure == "ADDRESS_REFUSED"
    assert len(found.heads) == 1


async def test_link_local_is_not_called_even_if_the_host_is_named() -> None:
    failure = await failure_of(f"http://{HOST}/", Answering(["169.254.169.254"]), NAMED)
    assert failure == "ADDRESS_REFUSED"


@pytest.mark.parametrize("url", ["http://example.com/", "https://2130706433/", "https://a@b.c/"])
async def test_a_url_that_is_no_longer_allowed_is_not_called(url: str) -> None:
    resolve = Answering(["93.184.215.14"])
    assert await failure_of(url, resolve) == "ADDRESS_REFUSED"
    assert resolve.asked == 0


async def test_a_name_without_an_address_fails() -> None:
    assert await failure_of("https://example.com/", Answering([])) == "NAME_NOT_RESOLVED"
    sender = WebhookSender(Limits(), resolve=to_loopback)
    answered = await sender.send(request_to("https://example.com/"))
    assert answered.failure == "NAME_NOT_RESOLVED"


async def test_a_redirect_is_not_followed() -> None:
    async with receiver() as found, receiver() as other:
        found.answers = [answer(302, b"", f"location: {other.url}")]
        answered = await WebhookSender(NAMED, resolve=to_loopback).send(request_to(found.url))
        assert answered == WebhookAnswer(302, "REDIRECTED")
        assert other.heads == []


async def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiver() as found, receiver() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        answered = await WebhookSender(NAMED, resolve=to_loopback).send(request_to(found.url))
        assert answered.failure is None
        assert proxy.heads == []


async def test_a_receiver_that_does_not_answer_is_given_up() -> None:
    limits = Limits(webhook_private_hosts=(HOST,), webhook_timeout_s=0.2)
    async with receiver() as found:
        found.answers = [None]
        answered = await WebhookSender(limits, resolve=to_loopback).send(request_to(found.url))
        assert answered.failure == "TIMEOUT"


async def test_an_answer_without_end_is_read_for_a_while_only() -> None:
    served = 0
    over = asyncio.Event()

    async def handle(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal served
        try:
            writer.write(b"HTTP/1.1 500 Said\r\ncontent-length: 100000000000\r\n\r\n")
            while True:
                writer.write(b"x" * 65536)
                await writer.drain()
                served += 65536
        except ConnectionError:
            over.set()
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        sender = WebhookSender(NAMED, resolve=to_loopback)
        answered = await sender.send(request_to(f"http://{HOST}:{port}/"))
        await over.wait()
    assert (answered.answer_code, answered.failure) == (500, "HTTP_STATUS")
    assert answered.excerpt == "x" * 200
    assert served < 50_000_000


async def test_a_port_that_nobody_listens_on_is_a_failure() -> None:
    async with receiver() as found:
        url = found.url
    answered = await WebhookSender(NAMED, resolve=to_loopback).send(request_to(url))
    assert answered.failure == "CONNECTION_FAILED"


def _certificate(folder: Path, name: str) -> tuple[Path, ssl.SSLContext]:
    """A file with key and certificate for `name`, and what trusts it."""
    key = generate_private_key(SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    pem = certificate.public_bytes(Encoding.PEM)
    file = folder / f"{name}.pem"
    file.write_bytes(pem + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return file, ssl.create_default_context(cadata=pem.decode())


@pytest.mark.parametrize(("certified", "failure"), [(HOST, None), ("other.internal", "TLS_FAILED")])
async def test_the_certificate_is_that_of_the_name_although_an_address_is_called(
    tmp_path: Path, certified: str, failure: str | None
) -> None:
    file, trusted = _certificate(tmp_path, certified)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    asked: list[str | None] = []
    context.sni_callback = lambda _socket, name, _context: asked.append(name)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"{}")
            writer.write(answer(204))
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
    async with server:
        port = server.sockets[0].getsockname()[1]
        sender = WebhookSender(NAMED, resolve=to_loopback, trusted=trusted)
        answered = await sender.send(request_to(f"https://{HOST}:{port}/"))
    assert answered.failure == failure
    assert asked == [HOST]
