"""`/storage/v1`: signed URLs and downloads of payload packs, as Supabase's storage clients ask (SPEC §2).

The one bucket is private, and nothing is public. Who may is decided by `perform`, in the brand that a
path begins with; here a path is only matched against the one form that paths have. Not here: which file
a path names (`operations.downloads`), and how it is sent (`api.storage_answers`).
"""

from __future__ import annotations

import re
from collections import defaultdict
from datetime import datetime
from typing import Final

from pydantic import ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from mintage.api.door import Door, caller_or_anonymous, request_id_of
from mintage.api.endpoint import Endpoint, Handler
from mintage.api.json_answer import json_response
from mintage.api.json_body import read_arguments
from mintage.api.request_body import media_refusal, received_body
from mintage.api.storage_answers import file_response, storage_error
from mintage.errors import FORBIDDEN, NOT_AUTHENTICATED, ROUTE_NOT_FOUND, UNAVAILABLE, MintageError
from mintage.operations import downloads
from mintage.operations.arguments import Arguments, parse_arguments
from mintage.operations.call import SYSTEM, Answer, Caller
from mintage.operations.downloads import PackFile, bad_token, files_of, object_not_found
from mintage.perform import perform
from mintage.permits import DownloadPermit, read_permit, sign_permit
from mintage.rpcs import Rpc
from mintage.storage import BUCKET, StorageFailure, StoreAway
from mintage.telemetry import logger

_FIND: Final = Rpc(
    downloads.find_pack_files, downloads.FindPackFiles, "exports:read", is_read_only=True
)
_DOWNLOAD: Final = Rpc(downloads.download_pack_file, downloads.DownloadPackFile, "exports:read")
_DOWNLOAD_SIGNED: Final = Rpc(
    downloads.download_signed_pack_file, downloads.DownloadSignedPackFile, "exports:read"
)
_log = logger("api")
_PATH: Final = re.compile(
    r"(?P<brand>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/[0-9a-f-]{36}/[0-9a-z-]{6,40}\.[a-z0-9]{1,8}"
)
_DIGITS: Final = re.compile(r"[0-9]{1,9}")
_TOKEN_CHARACTERS_MAX: Final = 2000
_READING: Final = frozenset({"GET", "HEAD"})
_MISSING: Final = "Either the object does not exist or you do not have access to it"
_HINT: Final = (
    "packs are signed and downloaded, never uploaded, moved or listed, and there is one bucket: "
    "POST /storage/v1/object/sign/payload-packs/<storage_path>"
)


class SignOne(Arguments):
    """The body of a signing call; what clients send for images (`transform`) is ignored."""

    model_config = ConfigDict(extra="ignore")

    expires_in: int = Field(
        default=300,
        ge=1,
        le=300,
        alias="expiresIn",
        description="an integer from 1 to 300, seconds",
    )


class SignMany(SignOne):
    """As `SignOne`, for several paths at once."""

    paths: list[str] = Field(
        min_length=1, max_length=200, alias="paths", description="a list of 1 to 200 storage paths"
    )


def storage_routes(door: Door) -> list[BaseRoute]:
    """The routes of this door, the more specific first."""
    handlers: tuple[tuple[str, Handler], ...] = (
        ("/object/sign/{bucket}", sign_many),
        ("/object/sign/{bucket}/{path:path}", sign_or_download_signed),
        ("/object/info/authenticated/{bucket}/{path:path}", file_info),
        ("/object/info/{bucket}/{path:path}", file_info),
        ("/object/authenticated/{bucket}/{path:path}", download),
        ("/object/{bucket}/{path:path}", download),
    )
    return [
        Route(f"/storage/v1{path}", Endpoint(door, handler, storage_error))
        for path, handler in handlers
    ]


async def sign_or_download_signed(door: Door, request: Request) -> Response:
    """POST signs one path: `{signedURL}`, relative to /storage/v1; GET and HEAD open a signed one."""
    if request.method in _READING:
        return await _download_signed(door, request)
    caller, content = await _posted(door, request)
    body = parse_arguments(SignOne, content)
    path, brand = _object_path(request)
    answer = await _find(door, request, caller, brand, [path])
    file = files_of(answer).get(path)
    if file is None:
        raise object_not_found()
    return json_response({"signedURL": _signed_url(door, caller, file, answer, body.expires_in)})


async def sign_many(door: Door, request: Request) -> Response:
    """Sign several paths: a list of `{error, path, signedURL}`, null where there is none."""
    caller, content = await _posted(door, request)
    body = parse_arguments(SignMany, content)
    by_brand: dict[str, list[str]] = defaultdict(list)
    for path in dict.fromkeys(body.paths):
        if match := _PATH.fullmatch(path):
            by_brand[match["brand"]].append(path)
    urls: dict[str, str] = {}
    for brand, paths in by_brand.items():
        try:
            answer = await _find(door, request, caller, brand, paths)
        except MintageError as error:
            if error.kind is not FORBIDDEN:
                raise
            continue
        for path, file in files_of(answer).items():
            urls[path] = _signed_url(door, caller, file, answer, body.expires_in)
    return json_response(
        [
            {
                "error": None if path in urls else _MISSING,
                "path": path,
                "signedURL": urls.get(path),
            }
            for path in body.paths
        ]
    )


async def download(door: Door, request: Request) -> Response:
    """A member's download; HEAD tells its headers and is no download."""
    caller = await _caller(door, request)
    path, brand = _object_path(request)
    raw = {"_brand_id": brand, "_path": path, "_is_recorded": request.method == "GET"}
    answer = await perform(door.platform, caller, _DOWNLOAD, raw, request_id_of(request))
    return await _sent(door, request, path, answer)


async def file_info(door: Door, request: Request) -> Response:
    """What is known of a file, in the storage clients' names."""
    caller = await _caller(door, request)
    path, brand = _object_path(request)
    file = files_of(await _find(door, request, caller, brand, [path])).get(path)
    if file is None:
        raise object_not_found()
    return json_response(
        {
            "id": file.pack_id,
            "name": file.path,
            "version": file.sha256,
            "bucket_id": BUCKET,
            "size": file.byte_size,
            "content_type": file.media_type,
            "cache_control": "private, no-store",
            "etag": f'"{file.sha256}"',
            "metadata": {},
            "last_modified": file.completed_at,
            "created_at": file.completed_at,
        }
    )


async def _download_signed(door: Door, request: Request) -> Response:
    """Whoever has the URL has the file; the token is all that is asked for."""
    _require_bucket(request)
    path, brand = _object_path(request)
    tokens = request.query_params.getlist("token")
    if len(tokens) != 1 or len(tokens[0]) > _TOKEN_CHARACTERS_MAX:
        raise bad_token("is missing" if not tokens else "is none")
    permit = read_permit(door.secrets.storage_keys, tokens[0])
    if permit is None or (permit.bucket, permit.path) != (BUCKET, path):
        raise bad_token("does not open this path")
    raw: dict[str, object] = {
        "_brand_id": brand,
        "_path": path,
        "_is_recorded": request.method == "GET",
        "_pack_id": str(permit.pack_id),
        "_expires_at_s": permit.expires_at_s,
        "_signer_type": permit.signer_type,
        "_signer_id": str(permit.signer_id) if permit.signer_id is not None else None,
    }
    answer = await perform(door.platform, SYSTEM, _DOWNLOAD_SIGNED, raw, request_id_of(request))
    url = await _url_of_the_store(door, request, path, answer, permit)
    if url is not None:
        # 307: the method and a Range go with it.
        return Response(status_code=307, headers={"location": url, "cache-control": "no-store"})
    return await _sent(door, request, path, answer)


async def _url_of_the_store(
    door: Door, request: Request, path: str, answer: Answer, permit: DownloadPermit
) -> str | None:
    """Where the brand lets a signed URL lead on to: the file in the store, for what is left of its time.

    None where it may not, where the store cannot sign, and where a name is asked for that the store
    does not know: then the file is served here.
    """
    file = files_of(answer).get(path)
    if file is None or not file.may_be_redirected or "download" in request.query_params:
        return None
    left_s = max(1, int(permit.expires_at_s - _now_of(answer).timestamp()))
    try:
        return await door.store.signed_url(
            path, "HEAD" if request.method == "HEAD" else "GET", left_s
        )
    except StorageFailure as failure:
        _log.warning("the store could not sign a URL", exc_info=failure)
        return None


def _no_route() -> MintageError:
    # Storage clients show their users the message alone.
    message = f"{ROUTE_NOT_FOUND.sentence}; {_HINT}"
    return MintageError(ROUTE_NOT_FOUND, message=message, hint=_HINT)


async def _caller(door: Door, request: Request) -> Caller:
    """The caller of a reading route: 404 for another method or bucket, then 401."""
    if request.method not in _READING:
        raise _no_route()
    _require_bucket(request)
    caller = await caller_or_anonymous(door, request)
    if caller.kind == "anonymous":
        raise MintageError(NOT_AUTHENTICATED)
    return caller


def _require_bucket(request: Request) -> None:
    if request.path_params["bucket"] != BUCKET:
        raise _no_route()


def _object_path(request: Request) -> tuple[str, str]:
    """The path, and the brand that it begins with. Only one spelling of it is ours."""
    path: str = request.path_params["path"]
    match = _PATH.fullmatch(path)
    as_sent: bytes = request.scope["raw_path"]
    if match is None or not as_sent.endswith(f"/{path}".encode("ascii")):
        raise object_not_found()
    return path, match["brand"]


async def _posted(door: Door, request: Request) -> tuple[Caller, dict[str, object]]:
    """The caller and the body of a signing call, in the order of checks of SPEC §2."""
    limits = door.platform.limits
    caller = await caller_or_anonymous(door, request)
    refusal = _posting_refusal(request, caller)
    async with received_body(
        request,
        door.big_bodies,
        limits,
        bytes_max=limits.body_bytes_max,
        is_kept=refusal is None,
    ) as body:
        if refusal is not None:
            raise refusal
        content = await read_arguments(body, depth_max=limits.json_depth_max)
    seconds = content.get("expiresIn")
    if isinstance(seconds, str) and _DIGITS.fullmatch(seconds):
        # supabase-py sends the number as text.
        content["expiresIn"] = int(seconds)
    return caller, content


def _posting_refusal(request: Request, caller: Caller) -> MintageError | None:
    if request.method != "POST" or request.path_params["bucket"] != BUCKET:
        return _no_route()
    if (refusal := media_refusal(request)) is not None:
        return refusal
    return MintageError(NOT_AUTHENTICATED) if caller.kind == "anonymous" else None


async def _find(
    door: Door, request: Request, caller: Caller, brand: str, paths: list[str]
) -> Answer:
    raw: dict[str, object] = {"_brand_id": brand, "_paths": paths}
    return await perform(door.platform, caller, _FIND, raw, request_id_of(request))


async def _sent(door: Door, request: Request, path: str, answer: Answer) -> Response:
    file = files_of(answer).get(path)
    if file is None:
        raise object_not_found()
    try:
        return await file_response(door.store, file, request)
    except StoreAway as failure:
        _log.warning("the store of packs does not answer", exc_info=failure)
        message = "Unavailable: the store of packs is away for a moment, try again"
        raise MintageError(UNAVAILABLE, message=message, retry_after_s=5) from None


def _now_of(answer: Answer) -> datetime:
    now = answer["now"]
    if not isinstance(now, datetime):
        raise TypeError("an answer with a time is due")
    return now


def _signed_url(door: Door, caller: Caller, file: PackFile, answer: Answer, lifetime_s: int) -> str:
    now = _now_of(answer)
    permit = DownloadPermit(
        bucket=BUCKET,
        path=file.path,
        pack_id=file.pack_id,
        signed_at_s=now.timestamp(),
        expires_at_s=now.timestamp() + lifetime_s,
        signer_type=caller.kind,
        signer_id=caller.id,
    )
    token = sign_permit(door.secrets.storage_keys, permit)
    return f"/object/sign/{BUCKET}/{file.path}?token={token}"
