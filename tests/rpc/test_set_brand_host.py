"""set_brand_host: where a brand's resolver URLs point; the operator's, who vouches for the host."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest

from mintage.errors import CONFLICT, FORBIDDEN, NOT_AUTHENTICATED
from tests.support.minting import rows
from tests.support.refusals import bad_arguments, payloads, raced, refused_with
from tests.support.world import World

RPC = "set_brand_host"


async def _set(world: World, base_url: str, caller: str = "service", **more: Any) -> Any:
    return (await world.rpc(RPC, caller, base_url=base_url, **more))["host"]


async def _hosts(world: World) -> dict[str, tuple[str, bool]]:
    """Base URL and primacy of the brand's hosts."""
    found = await rows(world, "select * from brand_host where brand_id = $1", world.brand_id)
    return {each["host"]: (each["base_url"], each["is_primary"]) for each in found}


async def _printed(world: World) -> str:
    """Scheme, host and port of a unit's URL."""
    (unit,) = (await world.rpc("list_mint_units", limit=1))["units"]
    parts = urlsplit(unit["resolver_url"])
    return f"{parts.scheme}://{parts.netloc}"


async def test_a_host_is_verified_by_the_operator_who_sets_it(world: World) -> None:
    answer = await world.rpc(RPC, "service", base_url="https://id.acme.example")
    assert list(answer) == ["ok", "host"]
    host = answer["host"]
    assert list(host) == ["host", "base_url", "is_primary", "verified_at"]
    assert host["verified_at"] is not None
    assert {key: host[key] for key in ("host", "base_url", "is_primary")} == {
        "host": "id.acme.example",
        "base_url": "https://id.acme.example",
        "is_primary": False,
    }
    assert set(await _hosts(world)) == {"acme.example.com", "id.acme.example"}


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("HTTPS://ID.Acme.Example/", "https://id.acme.example"),
        ("http://id.acme.example:8080", "http://id.acme.example:8080"),
        ("http://localhost:8080", "http://localhost:8080"),
        ("http://[::1]:8080", "http://[::1]:8080"),
    ],
)
async def test_a_base_url_is_kept_as_scheme_host_and_port(
    world: World, given: str, kept: str
) -> None:
    assert (await _set(world, given))["base_url"] == kept


async def test_another_primary_takes_the_place_of_the_first(world: World) -> None:
    await _set(world, "https://id.acme.example", is_primary=True)
    assert await _hosts(world) == {
        "acme.example.com": ("https://acme.example.com", False),
        "id.acme.example": ("https://id.acme.example", True),
    }
    await _set(world, "https://acme.example.com", is_primary=True)
    assert {host for host, (_, is_primary) in (await _hosts(world)).items() if is_primary} == {
        "acme.example.com"
    }


async def test_urls_are_built_from_the_primary_host(world: World) -> None:
    await world.minted(1)
    assert await _printed(world) == "https://acme.example.com"
    await _set(world, "https://other.acme.example")
    assert await _printed(world) == "https://acme.example.com"
    await _set(world, "https://id.acme.example:8443", is_primary=True)
    assert await _printed(world) == "https://id.acme.example:8443"


async def test_the_same_host_again_changes_its_base_url_and_stays_primary(world: World) -> None:
    first = await _set(world, "https://id.acme.example", is_primary=True)
    again = await _set(world, "http://id.acme.example:81")
    assert again == first | {"base_url": "http://id.acme.example:81"}
    assert len(await _hosts(world)) == 2


async def test_a_host_of_another_brand_is_taken(world: World) -> None:
    before = await _hosts(world)
    for url in ("https://rival.example.com", "http://RIVAL.example.com:81"):
        call = _set(world, url, is_primary=True)
        error = await refused_with(CONFLICT, call)
        assert [problem.argument for problem in error.problems] == ["_base_url"]
    assert await _hosts(world) == before
    assert await payloads(world, "settings_changed") == []


async def test_a_change_is_an_event(world: World) -> None:
    await _set(world, "https://id.acme.example")
    (payload,) = await payloads(world, "settings_changed")
    assert payload == {
        "subject": "host",
        "host": "id.acme.example",
        "base_url": "https://id.acme.example",
    }


@pytest.mark.parametrize(
    "bad",
    [
        None,
        "",
        7,
        "id.acme.example",
        "ftp://id.acme.example",
        "https://",
        "https:///path",
        "https://id.acme.example/path",
        "https://id.acme.example?query=1",
        "https://id.acme.example#fragment",
        "https://user@id.acme.example",
        "https://user:password@id.acme.example",
        "https://id.acme.example:99999",
        "https://id.acme.example:port",
        "https://[::1",
        "https://" + "a" * 300,
    ],
)
async def test_what_is_no_base_url_is_named(world: World, bad: object) -> None:
    before = await _hosts(world)
    problems = await bad_arguments(world.rpc(RPC, "service", base_url=bad))
    assert list(problems) == ["_base_url"]
    assert await _hosts(world) == before


@pytest.mark.parametrize("bad", ["true", 1, []])
async def test_a_primacy_that_is_neither_true_nor_false_is_named(world: World, bad: object) -> None:
    call = world.rpc(RPC, "service", base_url="https://id.acme.example", is_primary=bad)
    assert list(await bad_arguments(call)) == ["_is_primary"]


@pytest.mark.parametrize("caller", ["owner", "admin", "editor", "viewer", "stranger", "nobody"])
async def test_no_member_gives_a_brand_a_host(world: World, caller: str) -> None:
    call = world.rpc(RPC, caller, brand_id=world.brand_id, base_url="https://id.acme.example")
    await refused_with(FORBIDDEN, call)
    assert set(await _hosts(world)) == {"acme.example.com"}


async def test_an_anonymous_caller_gives_no_host(world: World) -> None:
    call = world.rpc(RPC, "anonymous", base_url="https://id.acme.example")
    await refused_with(NOT_AUTHENTICATED, call)


async def test_of_hosts_that_race_to_be_primary_one_is(world: World) -> None:
    names = [f"https://id{number}.example.com" for number in range(8)]
    answers, errors = await raced(
        *(world.rpc(RPC, "service", base_url=name, is_primary=True) for name in names)
    )
    assert (len(answers), errors) == (8, [])
    assert sum(is_primary for _, is_primary in (await _hosts(world)).values()) == 1


@pytest.mark.parametrize(
    "base_url",
    [
        "https://a b.example",
        "https://<script>",
        "https://a..b",
        "https://-a.example",
        "https://ä.example",
    ],
)
async def test_a_host_that_is_no_host_name_is_refused(world: World, base_url: str) -> None:
    assert list(await bad_arguments(world.rpc(RPC, "service", base_url=base_url))) == ["_base_url"]
