"""The country of a scan: from a file that the operator brings, and from nowhere else."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest

from mintage.operations.countries import open_countries
from mintage.resolver.scan_buffer import ScanBuffer
from mintage.settings import SettingsError
from tests.resolver.desk import Desk
from tests.support.country_file import write_country_file
from tests.support.world import GTIN_TABLE, World

RECORDS: dict[str, object] = {
    "203.0.113.0/24": {"country": {"iso_code": "DE"}},
    "198.51.100.128/25": {"country": "FR"},
    "192.0.2.0/24": {"country_code": "US"},
    "2001:db8::/32": {"country": {"iso_code": "JP"}},
    "100.64.0.0/10": {"continent": {"code": "EU"}},
    "233.252.0.0/24": {"country": {"iso_code": "Germany"}},
}


@pytest.mark.parametrize(
    ("address", "country"),
    [
        ("203.0.113.9", "DE"),
        ("198.51.100.200", "FR"),
        ("198.51.100.1", None),
        ("192.0.2.255", "US"),
        ("2001:db8:1::1", "JP"),
        ("2001:db9::1", None),
        ("100.64.0.1", None),
        ("233.252.0.1", None),
    ],
)
def test_the_file_says_the_country_of_an_address(
    tmp_path: Path, address: str, country: str | None
) -> None:
    countries = open_countries(write_country_file(tmp_path / "c.mmdb", RECORDS))
    assert countries.of(ip_address(address)) == country


def test_without_a_file_or_an_address_there_is_no_country(tmp_path: Path) -> None:
    assert open_countries(None).of(ip_address("203.0.113.9")) is None
    countries = open_countries(write_country_file(tmp_path / "c.mmdb", RECORDS))
    assert countries.of(None) is None


@pytest.mark.parametrize("content", [None, b"", b"ip,country\n", bytes(100)])
def test_a_file_that_is_none_stops_the_start(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "c.mmdb"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError, match=r"MINTAGE_COUNTRY_FILE.*must be a file"):
        open_countries(path)


async def test_a_scan_has_the_country_of_its_whole_address(desk: Desk, tmp_path: Path) -> None:
    countries = open_countries(write_country_file(tmp_path / "c.mmdb", RECORDS))
    buffer = ScanBuffer(desk.resolver.database, desk.resolver.limits, countries)
    there = replace(desk, resolver=replace(desk.resolver, scan_buffer=buffer), buffer=buffer)
    minted = await desk.world.minted(2)
    urls = await desk.urls(minted["mint_batch_id"])
    for url, address in zip(urls, ("198.51.100.200", "198.51.100.1"), strict=True):
        async with there.phone(address) as phone:
            await phone.get(url)
    await there.settle()
    scans = await desk.fetch("select host(ip_prefix) as prefix, country from scan_event order by 2")
    assert [tuple(scan) for scan in scans] == [("198.51.100.0", "FR"), ("198.51.100.0", None)]


async def test_a_scan_that_is_reported_has_a_country_too(world: World, tmp_path: Path) -> None:
    countries = open_countries(write_country_file(tmp_path / "c.mmdb", RECORDS))
    there = world.with_platform(replace(world.platform, countries=countries))
    product_id = await world.product(gtin=GTIN_TABLE)
    for address in ("198.51.100.200", "100.64.0.1"):
        await there.rpc(
            "record_scan_event",
            "service",
            gtin=GTIN_TABLE,
            lot_code="UNKNOWN",
            context={"ip": address},
        )
    listed = (await world.rpc("list_scan_events", product_id=product_id))["scan_events"]
    assert {scan["country"] for scan in listed} == {"FR", None}
