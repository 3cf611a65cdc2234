"""`/functions/v1/mint-api-v1`: submit, and one cycle at once (SPEC §5).

The kick is a head start and nothing more: whatever becomes of it, the submit has committed and its
answer stands. Not here: what a submit or a cycle does (`operations`).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from mintage.api.door import Door, caller_or_anonymous, error_headers, request_id_of
from mintage.api.endpoint import log_unexpected, method_refusal
from mintage.api.json_answer import json_response
from mintage.api.json_body import read_arguments
from mintage.api.request_body import media_refusal, received_body
from mintage.errors import NOT_AUTHENTICATED, ArgumentProblem, MintageError, invalid_input
from mintage.operations import mint_submission
from mintage.operations.arguments import SubmitMintRequest
from mintage.operations.call import SERVICE, Answer, Call, Caller
from mintage.perform import perform
from mintage.rpcs import RPCS, Rpc

ALLOWED: Final = ("POST",)
_SUBMIT: Final = Rpc(
    mint_submission.submit_mint_request_with_head_start, SubmitMintRequest, "mint:write"
)
_CYCLE: Final = RPCS["process_mint_job_batch"]
_FINISHED: Final = frozenset({"COMPLETED", "FAILED"})
_BLOCKED_STATUS: Final = 422
_KEY: Final = "_idempotency_key"
_UNDERSCORE: Final = re.compile(r"(?<!\w)_(?=\w)")
_NAMED_PROBLEMS_MAX: Final = 20


async def mint_api_v1(door: Door, request: Request) -> Response:
    """Submit a mint request and run its first cycle."""
    limits = door.platform.limits
    caller = await caller_or_anonymous(door, request)
    refusal = _refusal(request, caller)
    async with received_body(
        request,
        door.big_bodies,
        limits,
        bytes_max=limits.body_bytes_max_serials,
        is_kept=refusal is None,
    ) as body:
        if refusal is not None:
            raise refusal
        content = await read_arguments(body, depth_max=limits.json_depth_max)
        # The argument names of the function are the RPC's without the underscore.
        raw = {f"_{name}": value for name, value in content.items()}
        rpc = _with_header_key(request, raw)
        submitted = await perform(door.platform, caller, rpc, raw, request_id_of(request))
    if not submitted["ok"]:
        return _blocked(submitted)
    return json_response(await _kicked(door, request, submitted))


def function_error(error: MintageError) -> Response:
    """`error` in the function's envelope, naming arguments as the function does."""
    message = error.message
    if error.problems:
        named = (
            f"{p.argument} {p.problem} ({p.hint})" for p in error.problems[:_NAMED_PROBLEMS_MAX]
        )
        message = f"{error.kind.sentence}: {'; '.join(named)}"
    body = {
        "ok": False,
        "error": {"code": error.kind.function_code, "message": _UNDERSCORE.sub("", message)},
    }
    return json_response(body, error.kind.status, error_headers(error))


def _refusal(request: Request, caller: Caller) -> MintageError | None:
    if (refusal := media_refusal(request)) is not None:
        return refusal
    if (refusal := method_refusal(request, ALLOWED)) is not None:
        return refusal
    return MintageError(NOT_AUTHENTICATED) if caller.kind == "anonymous" else None


def _with_header_key(request: Request, raw: dict[str, object]) -> Rpc:
    """The RPC to perform; a key of the header is taken into `raw` where the body has none."""
    try:
        keys = {
            value.encode("latin-1").decode("utf-8")
            for value in request.headers.getlist("idempotency-key")
        }
    except UnicodeDecodeError:
        return _refusing_key("is no UTF-8 in the Idempotency-Key header")
    in_body = raw.get(_KEY)
    if in_body is None and len(keys) == 1:
        raw[_KEY] = keys.pop()
        return _SUBMIT
    if len(keys) > 1 or (keys and isinstance(in_body, str) and in_body not in keys):
        return _refusing_key("differs from the Idempotency-Key header")
    return _SUBMIT


def _refusing_key(problem: str) -> Rpc:
    """A row whose function refuses: `perform` calls it only once membership has been checked."""

    async def submit(_call: Call, _arguments: SubmitMintRequest) -> Answer:
        raise invalid_input([ArgumentProblem(_KEY, problem, "send the key once, in one place")])

    return replace(_SUBMIT, function=submit)


def _blocked(answer: Answer) -> Response:
    body = {
        "ok": False,
        "error": {
            "code": "PREFLIGHT_BLOCKED",
            "message": "The rules of minting refuse this request; blocking_reasons says why",
        },
        "blocking_reasons": answer["blocking_reasons"],
    }
    return json_response(body, _BLOCKED_STATUS)


async def _kicked(door: Door, request: Request, submitted: Answer) -> Mapping[str, object]:
    """The answer after the kick: the job's status is the cycle's where this call's cycle
    committed."""
    cycle: Answer = {}
    if submitted["status"] not in _FINISHED:
        cycle = await _kick(door, request, str(submitted["mint_job_id"]))
    processed = cycle.get("units_created")
    is_kicked = bool(cycle.get("ok")) and isinstance(processed, int) and processed > 0
    return {
        "ok": True,
        "mint_job_id": submitted["mint_job_id"],
        "mint_batch_id": submitted["mint_batch_id"],
        "status": cycle["status"] if is_kicked else submitted["status"],
        "is_duplicate": submitted["is_duplicate"],
        "kicked": is_kicked,
        "processed_count": processed if is_kicked else 0,
    }


async def _kick(door: Door, request: Request, job_id: str) -> Answer:
    """One cycle of the job as the service; an empty answer where it failed or took too long."""
    limits = door.platform.limits
    raw = {"_mint_job_id": job_id, "_batch_size": limits.cycle_units_max}
    try:
        async with asyncio.timeout(limits.kick_timeout_s):
            return await perform(door.platform, SERVICE, _CYCLE, raw, request_id_of(request))
    except Exception as error:  # noqa: BLE001 - the scheduler goes on with the job
        log_unexpected("a kick did not commit", error, request)
        return {}
