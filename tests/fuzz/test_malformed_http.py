"""What is no HTTP, over a real socket: it is refused or dropped, and the next request is answered."""

from __future__ import annotations

import asyncio
import random
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path

import pytest

from mintage.listening import server_config
from mintage.perform import Platform
from mintage.settings import Limits
from tests.api.test_request_body import serving
from tests.fuzz.seeds import open_target
from tests.support.world import World

PATIENT = Limits(header_timeout_s=5.0, body_timeout_s=5.0)
RIGHT = (
    b"POST /rest/v1/rpc/list_my_brands HTTP/1.1\r\nhost: mint.example.com\r\n"
    b"content-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
)
MALFORMED = (
    b"\0\0\0\0",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET\r\n\r\n",
    b"GET /\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET / HTTP/1.1\n\n",
    b"GET  /  HTTP/1.1\r\n\r\n",
    b"GET http://[ HTTP/1.1\r\nhost: a\r\n\r\n",
    b"GET http://evil.example/ HTTP/1.1\r\nhost: mint.example.com\r\n\r\n",
    b"GET /\xff\xfe HTTP/1.1\r\nhost: a\r\n\r\n",
    b"GET /a\0b HTTP/1.1\r\nhost: a\r\n\r\n",
    b"GET /a b HTTP/1.1\r\nhost: a\r\n\r\n",
    b"CONNECT mint.example.com:443 HTTP/1.1\r\nhost: a\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nhost a\r\n\r\n",
    b"GET / HTTP/1.1\r\n: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nhost: a\0b\r\n\r\n",
    b"GET / HTTP/1.1\r\nhost: a\r\n folded: b\r\n\r\n",
    b"GET / HTTP/1.1\r\nx a: b\r\n\r\n",
    b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n",
    b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 99999999999999999999\r\n\r\n",
    b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n{}",
    b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
    b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip\r\n\r\n",
    b"GET / HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
    b"sec-websocket-key: a\r\nsec-websocket-version: 13\r\n\r\n",
    b"GET /docs HTTP/1.1\r\nhost: a\r\nupgrade: h2c\r\nconnection: upgrade, http2-settings\r\n\r\n",
    RIGHT[:-1],
    RIGHT * 3 + b"GET",
    b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 5000 + b"\r\n",
)
MUTATED = 300
PATIENCE_S = 30


async def said(port: int, sent: bytes) -> bytes:
    """Everything that the server says to `sent` until it closes; it must close."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(sent)
        writer.write_eof()
        async with asyncio.timeout(PATIENCE_S):
            return await reader.read()
    except (ConnectionResetError, BrokenPipeError):
        return b""
    finally:
        writer.close()


def mutated(draw: random.Random) -> bytes:
    octets = bytearray(draw.choice((RIGHT, *MALFORMED))[:2000])
    for _ in range(draw.choice((1, 2, 8))):
        place = draw.randrange(len(octets))
        match draw.randrange(3):
            case 0:
                octets[place] = draw.randrange(256)
            case 1:
                del octets[place : place + draw.randrange(1, 9)]
                octets = octets or bytearray(b"\r")
            case _:
                octets[place:place] = draw.choice(
                    (b"\r", b"\n", b"\0", b":", b" ", b"\r\n\r\n", b"\xff")
                )
    return bytes(octets)


@pytest.mark.long
async def test_what_is_no_http_is_refused_and_the_next_request_is_answered(
    platform: Platform, world: World, dsn: str, tmp_path: Path
) -> None:
    draw = random.Random(1)  # noqa: S311 - the same in every run
    log = StringIO()
    with redirect_stderr(log):
        async with open_target(platform, world, dsn, tmp_path) as target:
            config = server_config(target.application, PATIENT)
            config.port = 0
            async with serving(config) as url:
                port = int(url.rpartition(":")[2])
                for sent in (*MALFORMED, *(mutated(draw) for _ in range(MUTATED))):
                    answer = await said(port, sent)
                    assert answer == b"" or answer.startswith(b"HTTP/1.1 "), (sent, answer)
                    assert not answer.startswith(b"HTTP/1.1 5"), (sent, answer)
                    assert b"Traceback" not in answer
                    assert (await said(port, RIGHT)).startswith(b"HTTP/1.1 401"), sent
    assert "Traceback" not in log.getvalue()
