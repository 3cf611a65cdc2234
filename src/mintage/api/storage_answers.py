"""The storage door's answers: files (whole or a range, always an attachment) and its errors' shape.

Sources: RFC 9110 §14 (ranges), RFC 6266 (Content-Disposition); errors as Supabase's storage clients
read them: `statusCode`, `error` and `message`. Not here: the handlers (`api.storage`).
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Final

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from mintage.api.door import error_headers
from mintage.api.json_answer import json_response
from mintage.errors import FORBIDDEN, MintageError
from mintage.operations.downloads import PackFile, object_not_found
from mintage.storage import PackStore

_ERROR_WORDS: Final = {
    400: "InvalidRequest",
    401: "Unauthorized",
    404: "not_found",
    408: "RequestTimeout",
    413: "EntityTooLarge",
    415: "InvalidMimeType",
    429: "SlowDown",
    503: "ServiceUnavailable",
}
_RANGE: Final = re.compile(r"bytes=[ \t]*(?:([0-9]{1,18})-([0-9]{0,18})|-([0-9]{1,18}))[ \t]*")
_UNSAFE_NAME: Final = re.compile(r"[^A-Za-z0-9._ -]+")
_NAME_CHARACTERS_MAX: Final = 100


class RangeRefused(Exception):
    """None of the bytes asked for is there: 416."""


def storage_error(error: MintageError) -> Response:
    """`error` as storage clients read it. Forbidden is not found: a stranger learns nothing."""
    if error.kind is FORBIDDEN:
        error = object_not_found()
    word = _ERROR_WORDS.get(error.kind.status, "InternalError")
    message = error.message
    if error.problems:
        named = (f"{p.argument} {p.problem}: {p.hint}" for p in error.problems[:20])
        message = f"{error.kind.sentence}: {'; '.join(named)}"
        if any(problem.argument == "token" for problem in error.problems):
            word = "InvalidJWT"
    body = {"statusCode": str(error.kind.status), "error": word, "message": message}
    if error.hint:
        body["hint"] = error.hint
    return json_response(body, error.kind.status, error_headers(error))


async def file_response(store: PackStore, file: PackFile, request: Request) -> Response:
    """`file`, or the range of it that is asked for; without the bytes for HEAD."""
    try:
        part = byte_range(request.headers.get("range"), file.byte_size)
    except RangeRefused:
        return _range_refusal(file)
    if request.headers.get("if-range", _etag(file)) != _etag(file):
        part = None
    start, stop = part or (0, file.byte_size)
    headers = _headers(file, request) | {"content-length": str(stop - start)}
    if part is not None:
        headers["content-range"] = f"bytes {start}-{stop - 1}/{file.byte_size}"
    status = 200 if part is None else 206
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers)
    chunks = store.get(file.path, start, stop)
    # The first part is read before the answer begins: a file that is not there is an error then.
    first = await anext(chunks)
    return StreamingResponse(_joined(first, chunks), status, headers)


def byte_range(header: str | None, size: int) -> tuple[int, int] | None:
    """The one range (start, stop) that a Range header asks for, or None for the whole.

    A header that is malformed or asks for several ranges is ignored, as RFC 9110 §14.2 allows.
    Raises `RangeRefused` for a range that begins behind the end.
    """
    match = _RANGE.fullmatch(header or "")
    if match is None:
        return None
    first, last, suffix = match.groups()
    if suffix is not None:
        if int(suffix) == 0:
            raise RangeRefused
        return max(size - int(suffix), 0), size
    start = int(first)
    stop = min(int(last) + 1, size) if last else size
    if last and int(last) < start:
        return None
    if start >= size:
        raise RangeRefused
    return start, stop


async def _joined(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for chunk in rest:
        yield chunk


def _headers(file: PackFile, request: Request) -> dict[str, str]:
    return {
        "content-type": file.media_type,
        "content-disposition": f'attachment; filename="{_file_name(file, request)}"',
        "x-content-type-options": "nosniff",
        "content-security-policy": "sandbox; default-src 'none'",
        "cache-control": "private, no-store",
        "accept-ranges": "bytes",
        "etag": _etag(file),
        "last-modified": file.completed_at.strftime("%a, %d %b %Y %H:%M:%S GMT"),
    }


def _file_name(file: PackFile, request: Request) -> str:
    """The name that `?download=` asks for, as far as it is plain; else the pack's own."""
    asked = _UNSAFE_NAME.sub("_", request.query_params.get("download", ""))
    return asked[:_NAME_CHARACTERS_MAX].strip(" .") or file.file_name


def _etag(file: PackFile) -> str:
    return f'"{file.sha256}"'


def _range_refusal(file: PackFile) -> Response:
    body = {
        "statusCode": "416",
        "error": "InvalidRange",
        "message": f"The range is not satisfiable: the file has {file.byte_size} bytes",
    }
    return json_response(body, 416, {"content-range": f"bytes */{file.byte_size}"})
