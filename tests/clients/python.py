"""supabase-py for tests: its two clients, the one that blocks and the one that awaits, called alike.

A test is written once, with `await settled(client.…)`, and runs with each. Not here: what is asserted.
"""

from __future__ import annotations

import inspect
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import httpx
import pytest
import supabase

from tests.clients.server import Served

# Its own classes hand each other an option of theirs that they call deprecated.
OWN_WARNINGS = "ignore:The '(timeout|verify|proxy)' parameter is deprecated:DeprecationWarning"
Kind: TypeAlias = Literal["blocking", "awaiting"]
Client: TypeAlias = Any
"""`supabase.Client` or `supabase.AsyncClient`: of one shape, with and without `await`."""


async def settled(value: Any) -> Any:
    """What a call of either client gives in the end."""
    return await value if inspect.isawaitable(value) else value


@dataclass(frozen=True)
class PythonClients:
    """Makes clients of one kind; their connections are closed at the end of a test."""

    kind: Kind
    mintage: Served
    closing: AsyncExitStack

    async def make(self, key: str, *, token: str | None = None) -> Client:
        """A client with `key`; `token` goes into every call in its place, as programs with an API key do."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        if self.kind == "blocking":
            session = self.closing.enter_context(httpx.Client(http2=True, follow_redirects=True))
            plain = supabase.ClientOptions(auto_refresh_token=False, httpx_client=session)
            plain.headers.update(headers)
            return supabase.create_client(self.mintage.url, key, plain)
        awaited = httpx.AsyncClient(http2=True, follow_redirects=True)
        await self.closing.enter_async_context(awaited)
        options = supabase.AsyncClientOptions(auto_refresh_token=False, httpx_client=awaited)
        options.headers.update(headers)
        return await supabase.acreate_client(self.mintage.url, key, options)


async def sign_in(client: Client, mintage: Served, person: str = "owner") -> Any:
    """The answer of a sign-in as `person`."""
    found = mintage.people[person]
    asked = {"email": found.email, "password": found.password}
    return await settled(client.auth.sign_in_with_password(asked))


async def failure(value: Any, kind: type[Exception]) -> Any:
    """The error that a call raises, exactly of `kind`; of the call itself or of what it awaits."""
    with pytest.raises(kind) as raised:
        await settled(value() if callable(value) else value)
    assert type(raised.value) is kind
    return raised.value
