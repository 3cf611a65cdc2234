"""One request, read: method, path and query as sent, who asks from where, and what he would like.

Headers are walked once; what only a page needs is worked out when a page is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import quote

from mintage.operations.user_agents import AgentClass, agent_class
from mintage.resolver.origins import Origin, TrustedProxies
from mintage.resolver.texts import Language, language_of

if TYPE_CHECKING:
    from starlette.types import Scope

_JOINED: Final = b", "


class Asking(NamedTuple):
    """One request, read. `path` and `query` are as sent, escapes and all."""

    method: str
    path: str
    query: bytes
    origin: Origin
    headers: Mapping[bytes, bytes]
    user_agent: str
    agent: AgentClass

    @property
    def is_scan(self) -> bool:
        """Only a GET of a person, or of a program that may stand for one, is a scan."""
        return self.method == "GET" and self.agent != "bot"

    @property
    def accept(self) -> str:
        """The Accept header; empty if there is none."""
        return self.headers.get(b"accept", b"").decode("latin-1")

    @property
    def accept_language(self) -> str:
        """The Accept-Language header; empty if there is none."""
        return self.headers.get(b"accept-language", b"").decode("latin-1")

    @property
    def language(self) -> Language:
        """The language of a page for whoever asks."""
        return language_of(self.accept_language)


def read_request(scope: Scope, proxies: TrustedProxies) -> Asking:
    """The request of an ASGI scope; a header that is there twice has both values, by comma."""
    headers: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        headers[name] = headers[name] + _JOINED + value if name in headers else value
    raw_path: bytes | None = scope.get("raw_path")
    path = raw_path.partition(b"?")[0].decode("latin-1") if raw_path else quote(scope["path"])
    user_agent = headers.get(b"user-agent", b"").decode("latin-1")
    client = scope.get("client")
    return Asking(
        scope["method"],
        path,
        scope.get("query_string", b""),
        proxies.origin_of(client[0] if client else None, headers),
        headers,
        user_agent,
        agent_class(user_agent),
    )
