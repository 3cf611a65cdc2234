"""`/rest/v1/rpc/<name>`: every RPC of the table, by POST, the read-only ones by GET and HEAD too.

Order of checks (SPEC §2): size 413, media type 415, route 404, method 405, JWT 401, the body is one
object 400; then `perform` goes on. Not here: any decision about an RPC.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, time
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response

from mintage.api.door import Door, caller_or_anonymous, request_id_of
from mintage.api.endpoint import method_refusal
from mintage.api.json_answer import json_response
from mintage.api.json_body import printable_name, read_arguments, text_problem
from mintage.api.request_body import media_refusal, received_body
from mintage.errors import (
    INVALID_INPUT,
    NOT_AUTHENTICATED,
    RPC_NOT_FOUND,
    ArgumentProblem,
    MintageError,
    invalid_input,
)
from mintage.operations.arguments import raw_from_query
from mintage.operations.call import Caller
from mintage.perform import perform
from mintage.rpcs import RPCS, Rpc
from mintage.settings import Limits

_READING: Final = ("GET", "HEAD", "POST")
_WRITING: Final = ("POST",)
_QUERY_METHODS: Final = frozenset({"GET", "HEAD"})
_QUERY_PAIRS_MAX: Final = 50
_WITH_SERIALS: Final = frozenset({"submit_mint_request"})


async def call_rpc(door: Door, request: Request) -> Response:
    """Answer one call of an RPC."""
    limits = door.platform.limits
    rpc = RPCS.get(request.path_params["name"])
    caller = await caller_or_anonymous(door, request)
    refusal = _refusal(request, rpc, caller)
    async with received_body(
        request,
        door.big_bodies,
        limits,
        bytes_max=_bytes_max(rpc, limits),
        is_kept=refusal is None,
    ) as body:
        if refusal is not None or rpc is None:
            raise refusal or MintageError(RPC_NOT_FOUND)
        raw = await _raw_arguments(request, rpc, body, limits)
        answer = await perform(door.platform, caller, rpc, raw, request_id_of(request))
        return json_response(answer, headers=_deprecation(rpc))


def _deprecation(rpc: Rpc) -> dict[str, str]:
    """The header of a deprecated RPC's answers: since when, in seconds of 1970 (RFC 9745)."""
    if rpc.deprecated_since is None:
        return {}
    since = datetime.combine(rpc.deprecated_since, time(), UTC)
    return {"deprecation": f"@{since.timestamp():.0f}"}


def _bytes_max(rpc: Rpc | None, limits: Limits) -> int:
    if rpc is not None and rpc.name in _WITH_SERIALS:
        return limits.body_bytes_max_serials
    return limits.body_bytes_max


def _refusal(request: Request, rpc: Rpc | None, caller: Caller) -> MintageError | None:
    """The first of 415, 404, 405 and 401 that holds, by what stands above the body."""
    if (refusal := media_refusal(request)) is not None:
        return refusal
    if rpc is None:
        hint = "docs/api lists every function"
        return MintageError(RPC_NOT_FOUND, hint=hint)
    allowed = _READING if rpc.is_read_only else _WRITING
    if (refusal := method_refusal(request, allowed)) is not None:
        return refusal
    return MintageError(NOT_AUTHENTICATED) if caller.kind == "anonymous" else None


async def _raw_arguments(
    request: Request, rpc: Rpc, body: bytearray, limits: Limits
) -> Mapping[str, object]:
    if request.method not in _QUERY_METHODS:
        return await read_arguments(body, depth_max=limits.json_depth_max)
    if body:
        raise _bad_query("a GET call has no body")
    return raw_from_query(rpc.arguments, _query_pairs(request))


def _query_pairs(request: Request) -> list[tuple[str, str]]:
    try:
        pairs = parse_qsl(
            request.scope["query_string"].decode("utf-8"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_QUERY_PAIRS_MAX,
        )
    except UnicodeDecodeError:
        raise _bad_query("the query is no UTF-8") from None
    except ValueError:
        raise _bad_query(f"the query has more than {_QUERY_PAIRS_MAX} parts") from None
    problems = [
        ArgumentProblem(printable_name(name), *found)
        for name, value in pairs
        if (found := text_problem(name) or text_problem(value)) is not None
    ]
    if problems:
        raise invalid_input(problems)
    return pairs


def _bad_query(problem: str) -> MintageError:
    return MintageError(
        INVALID_INPUT,
        message=f"{INVALID_INPUT.sentence}: {problem}",
        hint="send the arguments as a query string, each once, percent-encoded UTF-8",
    )
