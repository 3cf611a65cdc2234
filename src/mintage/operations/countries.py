"""The country of an address, from a file in MaxMind's format that the operator brings.

Countries are those of ISO 3166-1, two letters. Nothing is asked of anybody: the file is on this machine.
Not here: how much of an address is kept (`scanning`), and where the file is (`settings`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Final

import maxminddb

from mintage.settings import SettingsError
from mintage.telemetry import logger

_CODE: Final = re.compile("[A-Z]{2}")


@dataclass(frozen=True, slots=True)
class Countries:
    """Says the country of an address; without a file, of none."""

    reader: maxminddb.Reader | None = None
    has_ipv6: bool = False

    def of(self, address: IPv4Address | IPv6Address | None) -> str | None:
        """Two letters, or None where the file does not say, or cannot be read there."""
        if self.reader is None or address is None:
            return None
        if address.version == 6 and not self.has_ipv6:
            return None
        try:
            record = self.reader.get(address)
        except (maxminddb.InvalidDatabaseError, ValueError) as error:
            _tell_once(type(error).__name__)
            return None
        return _country_of(record)


NO_COUNTRIES: Final = Countries()


@cache
def _tell_once(error: str) -> None:
    logger("countries").error("the file of countries is damaged", error=error)


def open_countries(path: Path | None) -> Countries:
    """The countries of the file at `path`. Raises `SettingsError` for what cannot be read as one."""
    if path is None:
        return NO_COUNTRIES
    try:
        reader = maxminddb.open_database(path)
    except (OSError, ValueError, maxminddb.InvalidDatabaseError) as error:
        raise SettingsError(
            f"MINTAGE_COUNTRY_FILE={str(path)!r} cannot be read ({type(error).__name__}): it must be a "
            "file in MaxMind's format (.mmdb) with countries, or be left out"
        ) from None
    return Countries(reader, has_ipv6=reader.metadata().ip_version == 6)


def _country_of(record: object) -> str | None:
    """The country of a record as MaxMind and DB-IP write it (`country.iso_code`), or flat (`country`)."""
    if not isinstance(record, dict):
        return None
    country = record.get("country", record.get("country_code"))
    if isinstance(country, dict):
        country = country.get("iso_code")
    return country if isinstance(country, str) and _CODE.fullmatch(country) else None
