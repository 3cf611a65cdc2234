"""What is done to a right request: one to four changes, each of its part, drawn by a seeded `Random`.

Targets stay ASCII without blanks, as a server's parser lets them through; what it would not let through is
sent over a socket (`test_malformed_http`).
"""

# ruff: noqa: E501 - tables of values
from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote_from_bytes

from tests.fuzz.asking import Request

METHODS = (
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "QUERY", "get",
)  # fmt: skip
TEXTS = (
    "", " ", "\0", "a\0b", "null", "None", "true", "-1", "0", "1e400", "NaN", "9" * 30, "-9223372036854775809",
    "2147483648", "9223372036854775808", "%", "%00", "%2e%2e/", "../../../../etc/passwd", "..\\..\\", "'", "\"",
    "' or 1=1 --", "\\", "$1", "{}", "[]", "{{7*7}}", "${7*7}", "<script>alert(1)</script>", "\r\nset-cookie: a=b",
    "\ud800", "\udfff", "é", "É" * 300, "İ", "ß", "\u200b", "\ufeff", "\u2028", "𝟙𝟚𝟛", "٣", "𐀀", "A" * 5000, "=1+1", "@a",
    "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff", "2026-13-45T99:99:99Z",
    "0000-01-01T00:00:00Z", "9999-12-31T23:59:59.999999+23:59", "-infinity", "infinity", "now", "today", "2026-11-24",
    "2026-11-24T12:00:00+99:99", "https://example.com/", "http://[", "http://[::1", "javascript:alert(1)", "//evil.example",
    "a@b", "a@b.c" * 60, "(" * 200, "1970-01-01T00:00:00Z", "09506000134352", "9506000134352", "\t", "\n", "\x7f", "\x1b[31m",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, 2**64, -(2**63) - 1, 10**400, 0.0, -0.0, 1.5, 100.0, 1e308, float("inf"),
    float("nan"), [], {}, [None], [[]], {"": None}, {"a": {"b": []}}, [1, "1", None], list(range(1001)),
)  # fmt: skip
HEADERS: tuple[tuple[bytes, tuple[bytes, ...]], ...] = (
    (b"content-encoding", (b"gzip", b"identity", b"br, gzip", b"")),
    (b"content-type", (
        b"", b"application/json", b"application/json; charset=utf-16", b"application/json;charset=\xff", b"text/plain",
        b"application/x-www-form-urlencoded", b"multipart/form-data", b"multipart/form-data; boundary=", b"a", b"/",
        b"multipart/form-data; boundary=x", b'multipart/form-data; boundary="' + b"x" * 300, b"application/json, text/html",
        b"application/x-www-form-urlencoded; charset=utf-7",
    )),
    (b"content-length", (b"0", b"-1", b"99999999999999999999", b"abc", b"1, 2", b"")),
    (b"range", (
        b"bytes=0-0", b"bytes=-1", b"bytes=-0", b"bytes=5-1", b"bytes=0-99999999999999999999", b"bytes=0-0,1-1", b"bytes=",
        b"bytes=a-b", b"lines=1-2", b"bytes=" + b"0-1," * 500, b"bytes=\xb2-", b"bytes=1", b"bytes=--1",
    )),
    (b"if-range", (b'"x"', b"x", b"Tue, 24 Nov 2026 12:00:00 GMT")),
    (b"if-none-match", (b"*", b'"x"', b'W/"x", "y"', b"x", b'"')),
    (b"if-modified-since", (b"Tue, 24 Nov 2026 12:00:00 GMT", b"never")),
    (b"accept", (
        b"", b"*/*", b"application/linkset+json", b"application/ld+json", b"text/html;q=a", b"text/html;q=1e999", b"a/b;q=-1",
        b"application/json;q=0", b"," * 500, b"text/html; q", b"*/*;q=0.0001, text/*;q=NaN", b"\xff/\xff",
    )),
    (b"accept-language", (b"", b"de-CH;q=x", b"*", b"\xff", b"en;q=1e999", b"x" * 900, b",;,;q=", b"de;q=NaN, en")),
    (b"host", (
        b"", b"acme.example.com", b"rival.example.com", b"acme.example.com:99999", b"[", b"[::1]:x", b"ACME.EXAMPLE.COM.",
        b"a b", b"\xff", b"localhost", b"x" * 300, b"acme.example.com\0", b"user@acme.example.com", b"evil.example",
    )),
    (b"origin", (b"null", b"http://[", b"https://evil.example", b"\xff", b"https://mint.example.com:x", b"")),
    (b"sec-fetch-site", (b"cross-site", b"none", b"x")),
    (b"referer", (b"http://[", b"https://evil.example/", b"\xff")),
    (b"x-forwarded-for", (b"", b"127.0.0.1", b",,,", b"\xff", b"::1, 192.0.2.1", b"a" * 900, b"fe80::1%eth0")),
    (b"x-forwarded-proto", (b"https", b"gopher", b"\xff")),
    (b"x-forwarded-host", (b"evil.example", b"[")),
    (b"forwarded", (b"for=192.0.2.1;host=evil.example", b"for=[")),
    (b"x-request-id", (b"", b"a b", b"\xff", b"x" * 65, b"a\tb")),
    (b"idempotency-key", (b"", b"x" * 300, b"\xff", b"a\0b", b"k")),
    (b"prefer", (b"count=exact", b"return=representation", b"params=single-object")),
    (b"x-form-token", (b"", b"\xff", b"x" * 5000)),
    (b"hx-request", (b"true", b"false")),
    (b"hx-current-url", (b"http://[", b"\xff")),
    (b"user-agent", (b"", b"\xff" * 50, b"Googlebot/2.1", b"x" * 5000, b"Mozilla/5.0 (" + b"(" * 500)),
    (b"cookie", (b"", b";;;", b"mintage_console=", b"mintage_console=a.b.c; mintage_console=d", b"=", b"\xff=\xff", b"mintage_theme=x")),
    (b"authorization", (
        b"", b"Bearer", b"Bearer ", b"Bearer a.b.c", b"bearer \xff", b"Basic Og==", b"Basic \xff", b"Basic bWs6", b"Bearer " + b"a" * 9000,
        b"Bearer eyJhbGciOiJub25lIn0.e30.", b"Bearer eyJhbGciOiJIUzI1NiIsImtpZCI6WzFdfQ.e30.AA", b"Bearer eyJhbGciOiJIUzI1NiJ9.bnVsbA.AA",
    )),
    (b"access-control-request-headers", (b"a, b", b"\xff", b"a" * 2000, b"a\nb")),
    (b"access-control-request-method", (b"POST",)),
    (b"expect", (b"100-continue", b"x")),
    (b"transfer-encoding", (b"chunked", b"gzip, chunked")),
    (b"connection", (b"close", b"upgrade")),
    (b"upgrade", (b"websocket", b"h2c")),
)  # fmt: skip

Mutation = Callable[[random.Random, Request, Sequence[Request]], Request]


def mutated(draw: random.Random, request: Request, others: Sequence[Request]) -> Request:
    """`request` with one to four changes; `others` lend their parts."""
    for _ in range(draw.choice((1, 1, 2, 2, 3, 4))):
        request = draw.choices(MUTATIONS, WEIGHTS)[0](draw, request, others)
    return request


def _path(draw: random.Random, request: Request, others: Sequence[Request]) -> Request:
    path, mark, query = request.target.partition(b"?")
    segments = path.split(b"/")[1:]
    place = draw.randrange(len(segments))
    match draw.randrange(12):
        case 0:
            segments[place] = _quoted(draw.choice(TEXTS))
        case 1:
            segments.insert(
                place,
                draw.choice(
                    (b"", b".", b"..", b"%2e%2e", b"%2f", b"%5c", b"%00", b"%ff", b"%0a", b";a=b")
                ),
            )
        case 2:
            del segments[place]
        case 3:
            segments.insert(place, segments[place])
        case 4:
            segments[place] = b"".join(b"%%%02x" % octet for octet in segments[place]) or b"%20"
        case 5:
            segments[place] = segments[place].swapcase()
        case 6:
            segments[place] = _octets(draw, segments[place])
        case 7:
            other = draw.choice(others).target.partition(b"?")[0].split(b"/")[1:]
            segments[place] = draw.choice(other)
        case 8:
            segments.append(draw.choice((b"", b"..", b"a", _quoted(draw.choice(TEXTS)))))
        case 9:
            segments = [
                *segments[:place],
                draw.choice(others).target.partition(b"?")[0].lstrip(b"/"),
            ]
        case 10:
            segments = segments[:place]
        case _:
            segments[place] = segments[place] * draw.choice((2, 50, 500))
    target = b"/" + b"/".join(segments)
    return replace(request, target=target[:12_000] + mark + query)


def _query(draw: random.Random, request: Request, others: Sequence[Request]) -> Request:
    path, _, query = request.target.partition(b"?")
    pairs = query.split(b"&") if query else []
    name = draw.choice(pairs).partition(b"=")[0] if pairs else b"a"
    match draw.randrange(8):
        case 0:
            pairs.append(name + b"=" + _quoted(draw.choice(TEXTS)))
        case 1:
            pairs = [pair for pair in pairs if draw.random() < 0.5]
        case 2:
            pairs = [
                name + b"=" + _quoted(draw.choice(TEXTS)) if pair.startswith(name) else pair
                for pair in pairs
            ]
        case 3:
            pairs.append(
                draw.choice(
                    (
                        b"%",
                        b"%zz",
                        b"=",
                        b"&",
                        b"a=%ff%fe",
                        b"a[]=1",
                        b"a=1;b=2",
                        b"%00=%00",
                        b"?",
                        b"+",
                    )
                )
            )
        case 4:
            pairs += draw.choice(others).target.partition(b"?")[2].split(b"&")
        case 5:
            pairs = [name + b"=" + b"a" * draw.choice((100, 9000))]
        case 6:
            pairs += [b"p%d=%d" % (number, number) for number in range(draw.choice((60, 1200)))]
        case _:
            pairs = [_octets(draw, b"&".join(pairs))]
    return replace(request, target=(path + b"?" + b"&".join(pairs))[:14_000])


def _header(draw: random.Random, request: Request, _others: Sequence[Request]) -> Request:
    headers = list(request.headers)
    name, values = draw.choice(HEADERS)
    match draw.randrange(6):
        case 0 if headers:
            del headers[draw.randrange(len(headers))]
        case 1 if headers:
            headers.append(draw.choice(headers))
        case 2:
            headers.append((name, draw.choice(values)))
        case 3 if headers:
            place = draw.randrange(len(headers))
            known = dict(HEADERS)
            key = headers[place][0]
            headers[place] = (key, draw.choice(known.get(key, (b"", b"\xff"))))
        case _:
            headers = [pair for pair in headers if pair[0] != name]
            headers.append((name, draw.choice(values)))
    return replace(request, headers=tuple(headers))


def _method(draw: random.Random, request: Request, _others: Sequence[Request]) -> Request:
    return replace(request, method=draw.choice(METHODS))


def _credentials(draw: random.Random, request: Request, others: Sequence[Request]) -> Request:
    names = {b"authorization", b"cookie"}
    other = draw.choice(others)
    kept = [pair for pair in request.headers if pair[0] not in names]
    lent = [pair for pair in other.headers if pair[0] in names]
    return replace(request, headers=(*kept, *lent), who=other.who)


def _json(draw: random.Random, request: Request, others: Sequence[Request]) -> Request:
    try:
        content = json.loads(request.body)
    except (ValueError, RecursionError):
        return _body(draw, request, others)
    if not isinstance(content, dict) or not content:
        return replace(request, body=_dumped(draw.choice(VALUES)))
    name = draw.choice(list(content))
    match draw.randrange(8):
        case 0:
            del content[name]
        case 1:
            content[draw.choice((*TEXTS, "_limit", "_cursor", "_brand_id", "__proto__"))] = _value(
                draw
            )
        case 2:
            text = _dumped(content)
            return replace(
                request, body=text[:-1] + b"," + _dumped(name) + b":" + _dumped(_value(draw)) + b"}"
            )
        case 3:
            content[name] = [content[name]] * draw.choice((1, 2, 300))
        case 4:
            return replace(request, body=b'{"a":' * draw.choice((17, 2000)) + b"1")
        case 5 if isinstance(content[name], dict | list) and content[name]:
            inner = content[name]
            key = (
                draw.choice(list(inner)) if isinstance(inner, dict) else draw.randrange(len(inner))
            )
            inner[key] = _value(draw)
        case _:
            content[name] = _value(draw)
    return replace(request, body=_dumped(content))


def _form(draw: random.Random, request: Request, others: Sequence[Request]) -> Request:
    pairs = request.body.split(b"&")
    place = draw.randrange(len(pairs))
    name = pairs[place].partition(b"=")[0]
    if name == b"form_token" and draw.random() < 0.8:
        return replace(request, body=request.body + b"&a=" + _quoted(draw.choice(TEXTS)))
    pairs[place] = name + b"=" + _quoted(draw.choice(TEXTS))
    if draw.random() < 0.2:
        pairs += draw.choice(others).body.split(b"&")[:5]
    return replace(request, body=b"&".join(pairs))


def _content(draw: random.Random, request: Request, others: Sequence[Request]) -> Request:
    kind = dict(request.headers).get(b"content-type", b"")
    if kind.startswith(b"application/x-www-form"):
        return _form(draw, request, others)
    if kind.startswith(b"application/json"):
        return _json(draw, request, others)
    return _body(draw, request, others)


def _body(draw: random.Random, request: Request, others: Sequence[Request]) -> Request:
    body = request.body
    match draw.randrange(9):
        case 0:
            body = b""
        case 1:
            body = body[: draw.randrange(len(body) + 1)]
        case 2:
            body = b"\xef\xbb\xbf" + body
        case 3:
            body = body.decode("latin-1").encode("utf-16")
        case 4:
            body = gzip.compress(body)
        case 5:
            body = draw.choice(others).body
        case 6:
            body = body + body
        case 7:
            body = draw.choice(
                (
                    b"[]",
                    b"null",
                    b"1",
                    b'""',
                    b"{",
                    b"\0",
                    b"{}",
                    b"--x\r\n",
                    b"--x\r\n\r\n\r\n--x--\r\n",
                    b"[" * 5000,
                )
            )
        case _:
            place = draw.randrange(len(body) + 1)
            body = body[:place] + _octets(draw, body[place : place + 20]) + body[place + 20 :]
    return replace(request, body=body)


def _delivery(draw: random.Random, request: Request, _others: Sequence[Request]) -> Request:
    if draw.random() < 0.15:
        return replace(request, ends_early=True)
    cuts = tuple(draw.randrange(len(request.body) + 1) for _ in range(draw.choice((1, 3, 40))))
    return replace(request, cuts=cuts)


def _octets(draw: random.Random, text: bytes) -> bytes:
    """Some octets of `text` are others; what a target may not hold is percent-encoded."""
    octets = bytearray(text or b"a")
    for _ in range(draw.choice((1, 2, 5))):
        octets[draw.randrange(len(octets))] = draw.randrange(256)
    return quote_from_bytes(bytes(octets), safe="%/?&=+;,:@!$'()*-._~").encode()


def _quoted(text: str) -> bytes:
    return quote_from_bytes(text.encode("utf-8", "surrogatepass"), safe="").encode()


def _value(draw: random.Random) -> Any:
    return draw.choice(VALUES) if draw.random() < 0.4 else draw.choice(TEXTS)


def _dumped(content: Any) -> bytes:
    return json.dumps(content).encode()


MUTATIONS: tuple[Mutation, ...] = (
    _path,
    _query,
    _header,
    _method,
    _credentials,
    _content,
    _body,
    _delivery,
)
WEIGHTS = (4, 4, 5, 1, 2, 9, 2, 1)
