"""A server on loopback that answers what an issuer's JWKS URL would, and counts how often it is asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm


@dataclass
class JwksServer:
    """`answer` is the whole HTTP answer; None lets the client wait. `asked` has the requests' heads."""

    url: str = ""
    answer: bytes | None = b""
    asked: list[str] = field(default_factory=list)

    def serve(self, *keys: dict[str, Any]) -> None:
        self.serve_body(json.dumps({"keys": list(keys)}).encode())

    def serve_body(self, body: bytes, status: str = "200 OK", *headers: str) -> None:
        head = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", "connection: close", *headers]
        self.answer = "\r\n".join([*head, "", ""]).encode() + body


@asynccontextmanager
async def jwks_server() -> AsyncIterator[JwksServer]:
    """A server that answers an empty set of keys until it is told otherwise."""
    found = JwksServer()
    found.serve()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            found.asked.append((await reader.readuntil(b"\r\n\r\n")).decode())
            if found.answer is None:
                await reader.read()
            else:
                writer.write(found.answer)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        found.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/jwks.json"
        yield found


def rsa_jwk(key: rsa.RSAPrivateKey, kid: str, **changes: object) -> dict[str, Any]:
    """The public JWK of an RSA key."""
    found = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return found | {"kid": kid, "use": "sig"} | changes


def ec_jwk(key: ec.EllipticCurvePrivateKey, kid: str, **changes: object) -> dict[str, Any]:
    """The public JWK of an elliptic curve key."""
    found = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return found | {"kid": kid, "use": "sig"} | changes
