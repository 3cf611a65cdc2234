"""`GET /.well-known/mintage-keys.json`: the public keys that verify group manifests.

Not here: what signs (`packs.signed_manifest`), and the keys of sessions (`auth`).
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from mintage.api.door import Door
from mintage.api.endpoint import method_refusal
from mintage.api.json_answer import json_response
from mintage.packs.signed_manifest import public_keys


async def manifest_keys(door: Door, request: Request) -> Response:
    """A JWK set of Ed25519 keys (RFC 7517, RFC 8037), those that sign no more included."""
    if (refusal := method_refusal(request, ("GET", "HEAD"))) is not None:
        raise refusal
    keys = public_keys(door.secrets.manifest_keys)
    return json_response(keys, headers={"cache-control": "public, max-age=600"})
