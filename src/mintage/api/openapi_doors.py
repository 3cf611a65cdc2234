"""The paths of the OpenAPI document that are no RPC: mint-api-v1, sign-in, files, this document itself.

Every route of `api.routes` is here or an RPC; a test holds the two against each other.
"""

from __future__ import annotations

from typing import Final

from mintage.api.openapi_models import (
    AuthError,
    AuthSettings,
    ClientToken,
    FileInfo,
    FunctionBlocked,
    FunctionError,
    GrantError,
    MintApiAnswer,
    PublicKeys,
    RpcError,
    Session,
    SignedUrl,
    SignedUrlOfMany,
    StorageError,
    User,
)
from mintage.api.openapi_responses import error_answers, json_answer
from mintage.api.openapi_schemas import Json, reference

_BEARER: Final[list[Json]] = [{"bearer": []}]
_FILES: Final[list[Json]] = [{"bearer": []}, {"api_key": ["exports:read"]}]
_NOBODY: Final[list[Json]] = []
_BODY_ERRORS: Final = (400, 408, 413, 415, 429, 500, 503)
_BUCKET: Final = {
    "name": "bucket",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "enum": ["payload-packs"]},
}
_PATH: Final = {
    "name": "path",
    "in": "path",
    "required": True,
    "description": "A pack's `storage_path`; its slashes are sent as they are",
    "schema": {
        "type": "string",
        "pattern": r"^[0-9a-f-]{36}/[0-9a-f-]{36}/[0-9a-z-]{6,40}\.[a-z0-9]{1,8}$",
    },
}
_EXPIRES_IN: Final = {
    "description": "Seconds; clients that send it as text are understood",
    "oneOf": [
        {"type": "integer", "minimum": 1, "maximum": 300},
        {"type": "string", "pattern": "^([1-9][0-9]?|[12][0-9]{2}|300)$"},
        {"type": "null"},
    ],
    "default": 300,
}


def door_paths() -> Json:
    """Every path that is no RPC's."""
    return {
        "/functions/v1/mint-api-v1": {"post": _mint_api()},
        "/auth/v1/token": {"post": _token()},
        "/auth/v1/user": {"get": _user()},
        "/auth/v1/logout": {"post": _logout()},
        "/auth/v1/settings": {"get": _auth_settings()},
        "/auth/v1/.well-known/jwks.json": {"get": _jwks()},
        "/storage/v1/object/sign/{bucket}": {"post": _sign_many()},
        "/storage/v1/object/sign/{bucket}/{path}": {"post": _sign(), "get": _signed_download()},
        "/storage/v1/object/info/{bucket}/{path}": {"get": _info("file_info")},
        "/storage/v1/object/info/authenticated/{bucket}/{path}": {
            "get": _info("file_info_authenticated")
        },
        "/storage/v1/object/{bucket}/{path}": {"get": _download("download_file")},
        "/storage/v1/object/authenticated/{bucket}/{path}": {
            "get": _download("download_file_authenticated")
        },
        "/.well-known/mintage-keys.json": {"get": _manifest_keys()},
        "/openapi.json": {"get": _openapi()},
        "/docs": {"get": _page("documentation", [])},
        "/docs/{path}": {"get": _page("documentation_page", [_page_path()])},
    }


def _body(schema: Json, *media_types: str) -> Json:
    types = media_types or ("application/json",)
    return {"required": True, "content": {each: {"schema": schema} for each in types}}


def _mint_api() -> Json:
    key = {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "Instead of `idempotency_key` in the body",
        "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    }
    return {
        "operationId": "mint_api_v1",
        "tags": ["Minting"],
        "summary": "Submit a mint request and run its first cycle",
        "externalDocs": {"url": "/docs/api/mint-api-v1"},
        "security": [{"bearer": []}, {"api_key": ["mint:write"]}],
        "parameters": [key],
        "requestBody": _body({"$ref": "#/components/schemas/MintApiRequest"}),
        "responses": {
            "200": json_answer(reference(MintApiAnswer), "Submitted"),
            **error_answers([FunctionError], (401, 403, 409, *_BODY_ERRORS)),
            **error_answers([FunctionBlocked], [422]),
        },
    }


def _token() -> Json:
    grants = {
        "name": "grant_type",
        "in": "query",
        "description": "May be in the body instead",
        "schema": {
            "type": "string",
            "enum": ["password", "refresh_token", "client_credentials"],
        },
    }
    body = {
        "type": "object",
        "properties": {
            "grant_type": grants["schema"],
            "email": {"type": "string", "maxLength": 254},
            "password": {"type": "string", "maxLength": 256},
            "refresh_token": {"type": "string"},
            "client_id": {"type": "string"},
            "client_secret": {"type": "string"},
            "scope": {"type": "string"},
        },
    }
    answers = {"oneOf": [reference(Session), reference(ClientToken)]}
    return {
        "operationId": "token",
        "tags": ["Sign-in"],
        "summary": "Sign in, refresh a session, or exchange an API key",
        "description": "`password` takes `email` and `password`; `refresh_token` takes `refresh_token`; "
        "`client_credentials` takes `client_id` and `client_secret`, in the body or by HTTP Basic.",
        "externalDocs": {"url": "/docs/api/auth"},
        "security": _NOBODY,
        "parameters": [grants],
        "requestBody": _body(body, "application/json", "application/x-www-form-urlencoded"),
        "responses": {
            "200": json_answer(answers, "The tokens"),
            **error_answers([AuthError], (408, 413, 415, 429, 500, 503)),
            **error_answers([AuthError, GrantError], [400, 401]),
        },
    }


def _user() -> Json:
    return {
        "operationId": "user",
        "tags": ["Sign-in"],
        "summary": "The account of the session",
        "externalDocs": {"url": "/docs/api/auth"},
        "security": _BEARER,
        "responses": {
            "200": json_answer(reference(User), "The account"),
            **error_answers([AuthError], (401, 403, 429, 500, 503)),
        },
    }


def _logout() -> Json:
    scope = {
        "name": "scope",
        "in": "query",
        "description": "Which sessions end: all, this one, or all others",
        "schema": {"type": "string", "enum": ["global", "local", "others"], "default": "global"},
    }
    return {
        "operationId": "logout",
        "tags": ["Sign-in"],
        "summary": "End sessions",
        "externalDocs": {"url": "/docs/api/auth"},
        "security": _BEARER,
        "parameters": [scope],
        "responses": {
            "204": {
                "description": "Ended",
                "headers": {"X-Request-Id": {"$ref": "#/components/headers/RequestId"}},
            },
            **error_answers([AuthError], (400, 401, 429, 500, 503)),
        },
    }


def _auth_settings() -> Json:
    return _public("auth_settings", "Which kinds of signing in there are", reference(AuthSettings))


def _jwks() -> Json:
    return _public("jwks", "The public keys that verify sessions (RFC 7517)", reference(PublicKeys))


def _manifest_keys() -> Json:
    summary = "The public keys that verify group manifests (RFC 7517, RFC 8037)"
    return {
        "operationId": "manifest_keys",
        "tags": ["Files"],
        "summary": summary,
        "externalDocs": {"url": "/docs/formats"},
        "security": _NOBODY,
        "responses": {
            "200": json_answer(reference(PublicKeys), summary),
            **error_answers([RpcError], (429, 500)),
        },
    }


def _public(operation_id: str, summary: str, schema: Json) -> Json:
    return {
        "operationId": operation_id,
        "tags": ["Sign-in"],
        "summary": summary,
        "externalDocs": {"url": "/docs/api/auth"},
        "security": _NOBODY,
        "responses": {
            "200": json_answer(schema, summary),
            **error_answers([AuthError], (429, 500)),
        },
    }


def _storage(operation_id: str, summary: str, security: list[Json], answers: Json) -> Json:
    return {
        "operationId": operation_id,
        "tags": ["Files"],
        "summary": summary,
        "externalDocs": {"url": "/docs/api/payload_pack_downloads"},
        "security": security,
        "parameters": [_BUCKET, _PATH],
        "responses": answers,
    }


def _sign() -> Json:
    answers = {
        "200": json_answer(reference(SignedUrl), "The signed URL, relative to `/storage/v1`"),
        **error_answers([StorageError], (401, 404, *_BODY_ERRORS)),
    }
    body = _body({"type": "object", "properties": {"expiresIn": _EXPIRES_IN}})
    operation = _storage("sign_file", "Sign the URL of one file", _FILES, answers)
    return operation | {"requestBody": body}


def _sign_many() -> Json:
    rows = {"type": "array", "items": reference(SignedUrlOfMany)}
    answers = {
        "200": json_answer(rows, "A row for each path, in the order asked for"),
        **error_answers([StorageError], (401, 404, *_BODY_ERRORS)),
    }
    paths = {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 200}
    body: Json = {
        "type": "object",
        "required": ["paths"],
        "properties": {"expiresIn": _EXPIRES_IN, "paths": paths},
    }
    operation = _storage("sign_files", "Sign the URLs of several files", _FILES, answers)
    return operation | {"parameters": [_BUCKET], "requestBody": _body(body)}


def _info(operation_id: str) -> Json:
    answers = {
        "200": json_answer(reference(FileInfo), "What is known of the file"),
        **error_answers([StorageError], (401, 404, 429, 500, 503)),
    }
    return _storage(operation_id, "What is known of a file", _FILES, answers)


def _download(operation_id: str) -> Json:
    return _storage(operation_id, "Download a file", _FILES, _file_answers(401))


def _signed_download() -> Json:
    token = {
        "name": "token",
        "in": "query",
        "required": True,
        "description": "As it is in the signed URL",
        "schema": {"type": "string", "minLength": 1},
    }
    operation = _storage(
        "download_signed_file", "Download by a signed URL", _NOBODY, _file_answers(400)
    )
    elsewhere = {
        "description": "The file is in the object store, where this URL leads for a while",
        "headers": {
            "X-Request-Id": {"$ref": "#/components/headers/RequestId"},
            "Location": {"schema": {"type": "string", "format": "uri"}},
        },
    }
    operation["responses"] = operation["responses"] | {"307": elsewhere}
    return operation | {"parameters": [_BUCKET, _PATH, token]}


def _file_answers(refused: int) -> Json:
    """A file, whole or a range of it, always as an attachment."""
    file = {
        "description": "The file, as an attachment",
        "headers": {
            "X-Request-Id": {"$ref": "#/components/headers/RequestId"},
            "ETag": {"schema": {"type": "string"}, "description": "Its SHA-256"},
            "Content-Disposition": {"schema": {"type": "string"}},
        },
        "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}},
    }
    errors = error_answers([StorageError], (refused, 404, 429, 500, 503))
    behind_the_end = {"416": errors["404"] | {"description": "The range begins behind the end"}}
    partial = file | {"description": "The range that was asked for"}
    return {"200": file, "206": partial, **errors, **behind_the_end}


def _openapi() -> Json:
    return {
        "operationId": "openapi",
        "tags": ["Documentation"],
        "summary": "This document",
        "security": _NOBODY,
        "responses": {
            "200": json_answer({"type": "object"}, "OpenAPI 3.1"),
            **error_answers([RpcError], (429, 500)),
        },
    }


def _page(operation_id: str, parameters: list[Json]) -> Json:
    page = {
        "description": "A page",
        "headers": {"X-Request-Id": {"$ref": "#/components/headers/RequestId"}},
        "content": {"text/html": {"schema": {"type": "string"}}},
    }
    statuses = (404, 429, 500) if parameters else (429, 500)
    return {
        "operationId": operation_id,
        "tags": ["Documentation"],
        "summary": "The documentation" if not parameters else "A page of the documentation",
        "security": _NOBODY,
        "parameters": parameters,
        "responses": {"200": page, **error_answers([RpcError], statuses)},
    }


def _page_path() -> Json:
    return {
        "name": "path",
        "in": "path",
        "required": True,
        "description": "As the index links it",
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$"},
    }
