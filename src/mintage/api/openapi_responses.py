"""Responses of the OpenAPI document: answers with their headers, and errors in the shape of each door."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from pydantic import BaseModel

from mintage.api.openapi_schemas import Json, reference

_REQUEST_ID: Final = {"$ref": "#/components/headers/RequestId"}
_TITLES: Final = {
    400: "Invalid input",
    401: "Not authenticated",
    403: "Forbidden",
    404: "Not found",
    408: "The body did not arrive in time",
    409: "Conflict",
    413: "Payload too large",
    415: "Unsupported media type",
    422: "Blocked by the rules of minting",
    429: "Too many requests",
    500: "Internal error",
    503: "Unavailable for a moment",
}
_WAITS: Final = frozenset({429, 503})

COMPONENT_HEADERS: Final[Json] = {
    "RequestId": {
        "description": "The id that this request is logged under: the caller's x-request-id, or a new one",
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"},
        "required": True,
    },
    "RetryAfter": {
        "description": "Seconds to wait",
        "schema": {"type": "integer", "minimum": 1},
        "required": True,
    },
    "WwwAuthenticate": {"schema": {"type": "string"}, "required": True},
    "Deprecation": {
        "description": "Since when the function is deprecated, in seconds of 1970 (RFC 9745)",
        "schema": {"type": "string", "pattern": "^@[0-9]+$"},
        "required": True,
    },
}


def json_answer(
    schema: Json,
    description: str,
    *,
    examples: Mapping[str, object] | None = None,
    headers: Mapping[str, Json] | None = None,
) -> Json:
    """A response of 200 with a JSON body."""
    media: Json = {"schema": schema}
    if examples:
        media["examples"] = {title: {"value": value} for title, value in examples.items()}
    return {
        "description": description,
        "headers": {"X-Request-Id": _REQUEST_ID, **(headers or {})},
        "content": {"application/json": media},
    }


def error_answers(
    models: Iterable[type[BaseModel]],
    statuses: Iterable[int],
    told: Mapping[int, Iterable[str]] | None = None,
) -> Json:
    """Responses for `statuses`, each one of `models`; `told` has more to say of some."""
    schemas = [reference(model) for model in models]
    schema = schemas[0] if len(schemas) == 1 else {"oneOf": schemas}
    answers = {}
    for status in sorted(statuses):
        headers: Json = {"X-Request-Id": _REQUEST_ID}
        if status in _WAITS:
            headers["Retry-After"] = {"$ref": "#/components/headers/RetryAfter"}
        if status == 401:
            headers["WWW-Authenticate"] = {"$ref": "#/components/headers/WwwAuthenticate"}
        sentences = list((told or {}).get(status, ())) or [_TITLES[status]]
        answers[str(status)] = {
            "description": "\n\n".join(sentences),
            "headers": headers,
            "content": {"application/json": {"schema": schema}},
        }
    return answers
