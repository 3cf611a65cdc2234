"""`/openapi.json`: the whole contract as OpenAPI 3.1, generated from the table of RPCs and its models.

Built once, when it is first asked for, in a thread. Not here: the parts (`openapi_rpcs`,
`openapi_doors`, `openapi_schemas`, `openapi_responses`).
"""

from __future__ import annotations

import asyncio
from functools import cache
from importlib.metadata import version
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from mintage.api.door import Door
from mintage.api.endpoint import method_refusal
from mintage.api.json_answer import json_bytes
from mintage.api.openapi_doors import door_paths
from mintage.api.openapi_responses import COMPONENT_HEADERS
from mintage.api.openapi_rpcs import rpc_paths
from mintage.api.openapi_schemas import Json, component_schemas
from mintage.rules.roles import SCOPES

_READING: Final = ("GET", "HEAD")
_DESCRIPTION: Final = (
    "A self-hosted minting platform for item-level product identity.\n\n"
    "Every function is `POST /rest/v1/rpc/<name>` with a JSON object of named arguments; those that only "
    "read take `GET` and `HEAD` with a query too. What the rules of minting refuse is a 200 with "
    "`ok: false`; an error says which arguments are wrong and what would be right. An `apikey` header is "
    "accepted and grants nothing.\n\nPages for people: [/docs](/docs)."
)


async def openapi_json(_door: Door, request: Request) -> Response:
    """`GET /openapi.json`."""
    if (refusal := method_refusal(request, _READING)) is not None:
        raise refusal
    headers = {"cache-control": "public, max-age=300"}
    content = await asyncio.to_thread(_document_bytes)
    return Response(content, headers=headers, media_type="application/json; charset=utf-8")


@cache
def _document_bytes() -> bytes:
    return json_bytes(openapi_document())


def openapi_document() -> Json:
    """The document as a JSON object, made anew on each call."""
    schemas = component_schemas()
    schemas["MintApiRequest"] = _without_underscores(schemas["SubmitMintRequest"])
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Mintage",
            "version": version("mintage"),
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "externalDocs": {"url": "/docs"},
        "paths": rpc_paths() | door_paths(),
        "components": {
            "schemas": schemas,
            "headers": COMPONENT_HEADERS,
            "securitySchemes": _security_schemes(),
        },
    }


def _without_underscores(schema: Json) -> Json:
    """The body of mint-api-v1: the arguments of submit_mint_request, named without the underscore."""
    return schema | {
        "properties": {
            name.removeprefix("_"): inner for name, inner in schema["properties"].items()
        },
        "required": [name.removeprefix("_") for name in schema["required"]],
    }


def _security_schemes() -> Json:
    return {
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "A session's access token, the service key, or a foreign issuer's token",
        },
        "api_key": {
            "type": "oauth2",
            "description": "An API key, exchanged for a token of 15 minutes",
            "flows": {
                "clientCredentials": {
                    "tokenUrl": "/auth/v1/token?grant_type=client_credentials",
                    "scopes": {scope: f"what {scope} is asked for" for scope in SCOPES},
                }
            },
        },
    }
