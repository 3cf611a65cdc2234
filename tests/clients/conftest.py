"""One running Mintage and one Node process for the tests of clients."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from tests.clients.javascript import Chain, Node, node_program, running_node
from tests.clients.python import Client, PythonClients, sign_in
from tests.clients.server import Served, served, strict


@pytest.fixture(scope="session")
def mintage(server_dsn: str, template: str) -> Iterator[Served]:
    with served(server_dsn, template) as found:
        yield found


@pytest.fixture(scope="session")
def strict_mintage(mintage: Served) -> Iterator[Served]:
    """Another process of the same platform, that takes few calls a minute."""
    with strict(mintage) as found:
        yield found


@pytest.fixture(scope="session")
def supabase_js() -> str:
    """Node's path. Asked for before anything is started that only it would use."""
    return node_program()


@pytest.fixture(scope="session")
def node(
    supabase_js: str, mintage: Served, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Node]:
    with running_node(supabase_js, mintage.url, tmp_path_factory.mktemp("node")) as found:
        yield found


@pytest.fixture
def away(mintage: Served) -> Iterator[None]:
    """The database is away while the test lasts."""
    with mintage.away():
        yield


@pytest.fixture
def js(mintage: Served, node: Node) -> Chain:
    """A supabase-js with the anon key: nobody yet."""
    return node.client(mintage.anon_key)


@pytest.fixture
def js_owner(mintage: Served, js: Chain) -> Chain:
    """A supabase-js with a session of the owner."""
    owner = mintage.people["owner"]
    asked = {"email": owner.email, "password": owner.password}
    assert js.auth.signInWithPassword(asked).answer().data["session"]
    return js


@pytest.fixture
def js_service(mintage: Served, node: Node) -> Chain:
    """A supabase-js with the service key."""
    return node.client(mintage.service_key)


@pytest_asyncio.fixture(params=["blocking", "awaiting"])
async def clients(request: pytest.FixtureRequest, mintage: Served) -> AsyncIterator[PythonClients]:
    """Makes clients of supabase-py, of either kind."""
    async with AsyncExitStack() as closing:
        yield PythonClients(request.param, mintage, closing)


@pytest_asyncio.fixture
async def py(clients: PythonClients, mintage: Served) -> Client:
    """A supabase-py with the anon key: nobody yet."""
    return await clients.make(mintage.anon_key)


@pytest_asyncio.fixture
async def py_owner(py: Client, mintage: Served) -> Client:
    """A supabase-py with a session of the owner."""
    assert (await sign_in(py, mintage)).session is not None
    return py


@pytest_asyncio.fixture
async def py_service(clients: PythonClients, mintage: Served) -> Client:
    """A supabase-py with the service key."""
    return await clients.make(mintage.service_key)


@pytest_asyncio.fixture
async def py_program(clients: PythonClients, mintage: Served) -> Client:
    """A supabase-py with the token of an API key."""
    return await clients.make(mintage.anon_key, token=mintage.exchanged())
