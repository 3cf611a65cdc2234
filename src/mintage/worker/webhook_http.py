"""The request of a webhook: to an address that was looked at, and to no other (SECURITY, SSRF).

The host's name is resolved once and every address of it must be one that may be called; the connection is
made to such an address itself, with TLS for the name. No redirect is followed, no proxy of the environment
used, no more than `Limits.webhook_answer_bytes_max` of an answer read. Not here: which URLs and addresses may
be called (`rules.webhook_urls`).
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

import httpx2

from mintage.operations.retry_after import RETRY_AFTER_STATUSES
from mintage.operations.webhook_sending import WebhookAnswer, WebhookRequest
from mintage.rules.webhook_urls import (
    WebhookTarget,
    WebhookUrlProblem,
    literal_address,
    may_be_called,
    read_webhook_url,
)
from mintage.rules.webhooks import DeliveryFailure
from mintage.settings import Limits

Address = IPv4Address | IPv6Address
Resolve = Callable[[str, int], Awaitable[Sequence[Address]]]
ADDRESSES_MAX: Final = 3
EXCERPT_CHARACTERS_MAX: Final = 200
_GONE: Final = 410


class _Failed(Exception):
    """The request was not made, or came to nothing."""

    def __init__(self, failure: DeliveryFailure) -> None:
        self.failure: DeliveryFailure = failure
        super().__init__(failure)


async def resolve_by_system(host: str, port: int) -> list[Address]:
    """The addresses of `host`, as the system's resolver knows them. Raises `OSError`."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(ip_address(entry[4][0]) for entry in found))


@dataclass(frozen=True, slots=True)
class WebhookSender:
    """Makes requests of webhooks. `trusted`: certificates that are believed; by default the system's."""

    limits: Limits
    resolve: Resolve = resolve_by_system
    trusted: ssl.SSLContext | None = field(default=None, repr=False)

    async def send(self, request: WebhookRequest) -> WebhookAnswer:
        """What became of `request`; nothing is raised for what the receiver or the network does."""
        try:
            async with asyncio.timeout(self.limits.webhook_timeout_s):
                target = read_webhook_url(request.url, self.limits.webhook_private_hosts)
                return await self._post(target, await self._addresses(target), request)
        except _Failed as failed:
            return WebhookAnswer(failure=failed.failure)
        except WebhookUrlProblem:
            return WebhookAnswer(failure="ADDRESS_REFUSED")
        except (TimeoutError, httpx2.TimeoutException):
            return WebhookAnswer(failure="TIMEOUT")
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError):
            return WebhookAnswer(failure="CONNECTION_FAILED")

    async def _addresses(self, target: WebhookTarget) -> Sequence[Address]:
        """Those to connect to. One that may not be called refuses them all: a name is trusted or not."""
        literal = literal_address(target.host)
        try:
            found = [literal] if literal else await self.resolve(target.host, target.port)
        except (OSError, UnicodeError):
            raise _Failed("NAME_NOT_RESOLVED") from None
        if not found:
            raise _Failed("NAME_NOT_RESOLVED")
        is_named = target.is_named_by_operator
        if not all(may_be_called(address, is_named_by_operator=is_named) for address in found):
            raise _Failed("ADDRESS_REFUSED")
        return found[:ADDRESSES_MAX]

    async def _post(
        self, target: WebhookTarget, addresses: Sequence[Address], request: WebhookRequest
    ) -> WebhookAnswer:
        trusted = self.trusted if self.trusted is not None else _trusted_by_system()
        async with httpx2.AsyncClient(
            verify=trusted,
            follow_redirects=False,
            trust_env=False,
            timeout=httpx2.Timeout(
                self.limits.webhook_timeout_s, connect=self.limits.webhook_connect_timeout_s
            ),
        ) as client:
            for address in addresses:
                try:
                    return await self._post_to(client, target, address, request)
                except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
                    failure = error
            if _is_of_tls(failure):
                raise _Failed("TLS_FAILED")
            raise failure

    async def _post_to(
        self,
        client: httpx2.AsyncClient,
        target: WebhookTarget,
        address: Address,
        request: WebhookRequest,
    ) -> WebhookAnswer:
        host = f"[{address}]" if address.version == 6 else str(address)
        async with client.stream(
            "POST",
            f"{target.scheme}://{host}:{target.port}{target.path}",
            content=request.body,
            headers={
                **request.headers,
                "host": target.authority,
                "accept-encoding": "identity",
                "connection": "close",
            },
            extensions={"sni_hostname": target.host},
        ) as response:
            return await self._read(response)

    async def _read(self, response: httpx2.Response) -> WebhookAnswer:
        status = response.status_code
        if response.is_success:
            return WebhookAnswer(answer_code=status)
        if 300 <= status < 400:
            return WebhookAnswer(answer_code=status, failure="REDIRECTED")
        body = bytearray()
        try:
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) >= self.limits.webhook_answer_bytes_max:
                    break
        except httpx2.HTTPError:
            pass  # What was read of it will do: it is for people.
        failure: DeliveryFailure = "GONE" if status == _GONE else "HTTP_STATUS"
        said = response.headers.get("retry-after")
        retry_after = said if status in RETRY_AFTER_STATUSES else None
        return WebhookAnswer(status, failure, _excerpt(bytes(body)), retry_after)


@cache
def _trusted_by_system() -> ssl.SSLContext:
    """The system's certificates, or those of SSL_CERT_FILE. Reading them takes 25 ms: once is enough."""
    return httpx2.create_ssl_context()


def _excerpt(body: bytes) -> str | None:
    """The beginning of an answer, as one line of printable text."""
    text = body[: 4 * EXCERPT_CHARACTERS_MAX].decode("utf-8", "replace")
    shown = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(shown.split())[:EXCERPT_CHARACTERS_MAX] or None


def _is_of_tls(error: BaseException | None) -> bool:
    """True if what could not be connected failed in TLS, in a certificate for another name for example."""
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return True
        error = error.__cause__ or error.__context__
    return False
