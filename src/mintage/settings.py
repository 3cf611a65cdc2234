"""Every setting and every limit of Mintage; the only reader of the environment.

Not here: secrets' files (`secrets.py` makes and reads them) and brand settings (rows of `brand`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Limits:
    """What one call, page, cycle or name may take at most (SPEC §9). Tests shorten the leases."""

    request_quantity_max: int = 1_000_000
    cycle_units_max: int = 20_000
    pack_units: int = 10_000
    signed_url_lifetime_s_max: int = 300
    attempts_max: int = 3
    backoff_s: tuple[float, ...] = (5.0, 20.0)
    job_lease_s: float = 60.0
    pack_lease_s: float = 600.0
    packs_at_once: int = 4
    workshop_processes: int = 2
    steps_stop_wait_s: float = 60.0
    page_rows_max: int = 200
    page_rows_default: int = 20
    page_rows_default_long: int = 50
    status_filter_rows_max: int = 20_000
    body_bytes_max: int = 1024 * 1024
    body_bytes_max_serials: int = 32 * 1024 * 1024
    big_bodies_max: int = 2
    body_timeout_s: float = 60.0
    header_timeout_s: float = 10.0
    head_bytes_max: int = 64 * 1024
    head_lines_max: int = 100
    url_bytes_max: int = 16 * 1024
    json_depth_max: int = 16
    idempotency_key_characters_max: int = 255
    kick_timeout_s: float = 10.0
    kick_head_start_s: float = 1.0
    poll_interval_s: float = 0.5
    tries_max: int = 50
    password_characters_min: int = 8
    password_characters_max: int = 256
    access_token_lifetime_s: int = 3600
    refresh_token_lifetime_s: int = 30 * 86400
    session_kept_days: int = 30
    client_token_lifetime_s: int = 900
    clock_leeway_s: int = 60
    statement_timeout_s: int = 30
    resolver_statement_timeout_s: int = 3
    replica_lag_s_max: float = 10.0
    preflight_kept_days: int = 30
    calls_a_minute: int = 600
    calls_share_max: int = 30
    calls_counted_first_max: int = 10
    callers_counted_max: int = 50_000
    misses_a_minute_max: int = 60
    miss_addresses_max: int = 50_000
    questions_waiting_max: int = 10_000
    hosts_asked_at_once_max: int = 3
    activations_together_max: int = 500
    scans_waiting_max: int = 10_000
    scan_flush_max: int = 1_000
    scan_flush_interval_s: float = 0.1
    scan_retry_interval_s: float = 0.5
    scan_stop_wait_s: float = 10.0
    scans_kept_days: int = 400
    store_retry_s: float = 30.0
    store_retries_max: int = 5
    store_pause_s: float = 5.0
    store_pause_s_max: float = 60.0
    webhooks_max: int = 20
    webhook_sends_at_once: int = 8
    webhook_sends_at_once_each: int = 2
    webhook_connect_timeout_s: float = 5.0
    webhook_timeout_s: float = 15.0
    webhook_answer_bytes_max: int = 64 * 1024
    webhook_lease_s: float = 60.0
    webhook_retry_s: tuple[float, ...] = (5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)
    webhook_disable_days: int = 5
    webhook_deliveries_kept_days: int = 30
    webhook_old_secret_s: int = 86400
    webhook_redeliveries_max: int = 1_000
    webhook_private_hosts: tuple[str, ...] = ()
    resolver_base_url: str = "http://{slug}.localhost"
    foreign_issuer: str = ""


class SettingsError(ValueError):
    """A setting that cannot be used, with what would be right."""


@dataclass(frozen=True, slots=True)
class ForeignIssuer:
    """An issuer whose tokens are taken: HS256 by `jwt_secret`, or RS256 and ES256 by `jwks_url`."""

    issuer: str
    audience: str
    jwt_secret: str | None = field(default=None, repr=False)
    jwks_url: str | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """The process's settings. `database_url` None means: the embedded PostgreSQL in `data_dir`."""

    data_dir: Path
    database_url: str | None
    postgres_bin_dir: Path | None
    host: str
    port: int
    platform_url: str
    resolver_domain: str
    storage_url: str | None
    pool_connections: int
    trusted_proxies: frozenset[str]
    country_file: Path | None
    secrets_file: Path
    limits: Limits = field(default_factory=Limits)
    foreign_issuer: ForeignIssuer | None = None
    secrets_text: str | None = field(default=None, repr=False)
    direct_database_url: str | None = None
    replica_url: str | None = None
    metrics_listen: tuple[str, int] | None = None
    metrics_token: str | None = field(default=None, repr=False)
    traces_endpoint: str | None = None


@dataclass(frozen=True, slots=True)
class SettingDoc:
    """One environment variable: `docs/settings.md` has a row for each, and a test compares them."""

    variable: str
    default: str
    meaning: str


SETTINGS: Final = (
    SettingDoc("MINTAGE_DATA", "~/.mintage", "data directory: embedded PostgreSQL, packs, secrets"),
    SettingDoc(
        "MINTAGE_DATABASE_URL", "", "PostgreSQL 15 to 18 to use instead of the embedded one"
    ),
    SettingDoc(
        "MINTAGE_DIRECT_DATABASE_URL",
        "",
        "the same database past a pooler, for migrations and NOTIFY",
    ),
    SettingDoc("MINTAGE_REPLICA_URL", "", "a streaming replica that the resolver reads from"),
    SettingDoc(
        "MINTAGE_POSTGRES_BIN", "", "folder of other PostgreSQL programs for the embedded one"
    ),
    SettingDoc("MINTAGE_HOST", "127.0.0.1", "address to listen on"),
    SettingDoc("MINTAGE_PORT", "8080", "port to listen on"),
    SettingDoc("MINTAGE_URL", "http://localhost:PORT", "the platform's public base URL"),
    SettingDoc(
        "MINTAGE_RESOLVER_DOMAIN", "localhost", "domain under which a brand gets {slug}.DOMAIN"
    ),
    SettingDoc("MINTAGE_STORAGE_URL", "", "where packs are kept, when not in the data directory"),
    SettingDoc("MINTAGE_POOL_CONNECTIONS", "10", "PostgreSQL connections a process"),
    SettingDoc(
        "MINTAGE_CALLS_A_MINUTE", "600", "calls taken of one caller in one brand in a minute"
    ),
    SettingDoc(
        "MINTAGE_TRUSTED_PROXIES", "", "addresses whose X-Forwarded-* are believed, by comma"
    ),
    SettingDoc("MINTAGE_SCANS_KEPT_DAYS", "400", "days that scan events are kept, 31 to 3650"),
    SettingDoc("MINTAGE_COUNTRY_FILE", "", "MaxMind-format file for the country of a scan"),
    SettingDoc(
        "MINTAGE_SECRETS_FILE", "DATA/secrets.json", "file with the signing keys and secrets"
    ),
    SettingDoc("MINTAGE_SECRETS", "", "the text of such a file, where no file is to be had"),
    SettingDoc(
        "MINTAGE_WEBHOOK_PRIVATE_HOSTS",
        "",
        "hosts, by comma, that webhooks may call over http and at private addresses",
    ),
    SettingDoc(
        "MINTAGE_METRICS_LISTEN", "", "host:port that answers /metrics, /healthz and /readyz alone"
    ),
    SettingDoc(
        "MINTAGE_METRICS_TOKEN", "", "bearer token with which the doors answer /metrics as well"
    ),
    SettingDoc("MINTAGE_FOREIGN_ISSUER", "", "`iss` of another issuer whose tokens are taken"),
    SettingDoc("MINTAGE_FOREIGN_AUDIENCE", "", "`aud` that its tokens must have"),
    SettingDoc(
        "MINTAGE_FOREIGN_JWT_SECRET", "", "secret of at least 32 bytes, when it signs by HS256"
    ),
    SettingDoc(
        "MINTAGE_FOREIGN_JWKS_URL", "", "https URL of its keys, when it signs by RS256 or ES256"
    ),
)

FROM_FILES: Final = (
    "MINTAGE_DATABASE_URL",
    "MINTAGE_DIRECT_DATABASE_URL",
    "MINTAGE_REPLICA_URL",
    "MINTAGE_METRICS_TOKEN",
    "MINTAGE_FOREIGN_JWT_SECRET",
)
"""Settings that hold a secret: NAME_FILE names a file with the value instead, as containers are given."""
_OWN_ISSUER: Final = "mintage"
_LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_HOST_NAME: Final = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*"
)
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/=-]{24,200}")
_NOT_OURS: Final = ("MINTAGE_TEST_", "MINTAGE_BENCH_")


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Settings from `environment`. Raises `SettingsError` with what would be right."""
    known = {row.variable for row in SETTINGS} | {f"{name}_FILE" for name in FROM_FILES}
    for name in sorted(environment):
        if name.startswith("MINTAGE_") and name not in known and not name.startswith(_NOT_OURS):
            raise SettingsError(f"{name} is no setting of Mintage; docs/settings.md lists them all")
    environment = {**environment, **_values_of_files(environment)}
    data_dir = Path(environment.get("MINTAGE_DATA") or "~/.mintage").expanduser().absolute()
    port = _integer(environment, "MINTAGE_PORT", 8080, 0, 65535)
    host = environment.get("MINTAGE_HOST") or "127.0.0.1"
    platform_url = _base_url(
        "MINTAGE_URL", environment.get("MINTAGE_URL") or f"http://localhost:{port}"
    )
    resolver_domain = (environment.get("MINTAGE_RESOLVER_DOMAIN") or "localhost").lower()
    postgres_bin = environment.get("MINTAGE_POSTGRES_BIN")
    country_file = environment.get("MINTAGE_COUNTRY_FILE")
    secrets_file = environment.get("MINTAGE_SECRETS_FILE")
    secrets_text = environment.get("MINTAGE_SECRETS")
    if secrets_file and secrets_text:
        raise SettingsError("give one of MINTAGE_SECRETS and MINTAGE_SECRETS_FILE")
    foreign = _foreign_issuer(environment, platform_url)
    return Settings(
        data_dir=data_dir,
        database_url=_database_url(environment, "MINTAGE_DATABASE_URL"),
        postgres_bin_dir=Path(postgres_bin).expanduser() if postgres_bin else None,
        host=host,
        port=port,
        platform_url=platform_url,
        resolver_domain=resolver_domain,
        storage_url=environment.get("MINTAGE_STORAGE_URL") or None,
        pool_connections=_integer(environment, "MINTAGE_POOL_CONNECTIONS", 10, 3, 500),
        trusted_proxies=frozenset(
            part.strip()
            for part in environment.get("MINTAGE_TRUSTED_PROXIES", "").split(",")
            if part.strip()
        ),
        country_file=Path(country_file).expanduser() if country_file else None,
        secrets_file=Path(secrets_file).expanduser() if secrets_file else data_dir / "secrets.json",
        limits=Limits(
            calls_a_minute=_integer(environment, "MINTAGE_CALLS_A_MINUTE", 600, 1, 10_000_000),
            resolver_base_url=_resolver_base_url(resolver_domain, port),
            foreign_issuer=foreign.issuer if foreign is not None else "",
            scans_kept_days=_integer(environment, "MINTAGE_SCANS_KEPT_DAYS", 400, 31, 3650),
            webhook_private_hosts=_hosts(environment, "MINTAGE_WEBHOOK_PRIVATE_HOSTS"),
        ),
        foreign_issuer=foreign,
        secrets_text=secrets_text or None,
        direct_database_url=_database_url(environment, "MINTAGE_DIRECT_DATABASE_URL"),
        replica_url=_database_url(environment, "MINTAGE_REPLICA_URL"),
        metrics_listen=_listener(environment, "MINTAGE_METRICS_LISTEN"),
        metrics_token=_token(environment, "MINTAGE_METRICS_TOKEN"),
        traces_endpoint=_traces_endpoint(environment),
    )


def _values_of_files(environment: Mapping[str, str]) -> dict[str, str]:
    """What the files named by NAME_FILE hold, by NAME; a line's end after it is not the value's."""
    values = {}
    for name in FROM_FILES:
        path = environment.get(f"{name}_FILE")
        if not path:
            continue
        if environment.get(name):
            raise SettingsError(f"give one of {name} and {name}_FILE")
        try:
            value = Path(path).expanduser().read_text("utf-8").rstrip("\r\n")
        except (OSError, UnicodeError) as problem:
            reason = problem.strerror if isinstance(problem, OSError) else "it is not UTF-8 text"
            raise SettingsError(f"{name}_FILE={path!r} cannot be read: {reason}") from None
        if not value:
            raise SettingsError(f"{name}_FILE={path!r} is empty: it must hold the value of {name}")
        values[name] = value
    return values


def base_url_of(value: str) -> str:
    """`value` as scheme://host[:port] in lower case without a path; `ValueError` with what is wrong."""
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("must be http:// or https:// and a host")
    if (
        parts.username
        or parts.password
        or parts.query
        or parts.fragment
        or parts.path not in {"", "/"}
    ):
        raise ValueError("must be scheme, host and port only")
    if not (_HOST_NAME.fullmatch(parts.hostname) or _is_address(parts.hostname)):
        raise ValueError("must have a host name of a-z, 0-9, hyphens and dots, or an address")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port is not None else "")


def _foreign_issuer(environment: Mapping[str, str], platform_url: str) -> ForeignIssuer | None:
    issuer, audience, jwt_secret, jwks_url = (
        environment.get(f"MINTAGE_FOREIGN_{name}") or ""
        for name in ("ISSUER", "AUDIENCE", "JWT_SECRET", "JWKS_URL")
    )
    if not (issuer or audience or jwt_secret or jwks_url):
        return None
    if not issuer or not audience:
        raise SettingsError("MINTAGE_FOREIGN_ISSUER and MINTAGE_FOREIGN_AUDIENCE go together")
    if bool(jwt_secret) == bool(jwks_url):
        raise SettingsError(
            "give one of MINTAGE_FOREIGN_JWT_SECRET and MINTAGE_FOREIGN_JWKS_URL with "
            "MINTAGE_FOREIGN_ISSUER: an issuer signs by a secret or by keys, never by both"
        )
    if issuer in {f"{platform_url}/auth/v1", _OWN_ISSUER}:
        raise SettingsError(f"MINTAGE_FOREIGN_ISSUER={issuer!r} is this platform's own issuer")
    if jwks_url:
        _check_jwks_url(jwks_url)
    return ForeignIssuer(issuer, audience, jwt_secret or None, jwks_url or None)


def _check_jwks_url(value: str) -> None:
    """Keys are fetched over https; over http from this machine alone, where nobody is between."""
    try:
        parts = urlsplit(value)
        host = parts.hostname
        has_port = parts.port != 0
    except ValueError:
        host, has_port = None, False
    is_safe = value.startswith("https://") or (
        value.startswith("http://") and host in _LOOPBACK_NAMES
    )
    if (
        not (host and has_port and is_safe)
        or "@" in value
        or "#" in value
        or not value.isprintable()
    ):
        raise SettingsError(
            "MINTAGE_FOREIGN_JWKS_URL must be an https:// URL without user information, "
            "e.g. https://login.example.com/.well-known/jwks.json"
        )


def _hosts(environment: Mapping[str, str], variable: str) -> tuple[str, ...]:
    hosts = tuple(
        part.strip().lower() for part in environment.get(variable, "").split(",") if part.strip()
    )
    for host in sorted(hosts):
        if not (_HOST_NAME.fullmatch(host) or _is_address(host)):
            raise SettingsError(
                f"{variable}: {host!r} must be a host name or an address, without scheme or port"
            )
    return hosts


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _base_url(variable: str, value: str) -> str:
    try:
        return base_url_of(value)
    except ValueError as problem:
        raise SettingsError(
            f"{variable}={value!r}: {problem}, e.g. https://id.example.com"
        ) from None


def _resolver_base_url(domain: str, port: int) -> str:
    """The base URL of a new brand's host, with `{slug}` where its slug goes."""
    if domain != "localhost":
        return f"https://{{slug}}.{domain}"
    return "http://{slug}.localhost" + ("" if port in {0, 80} else f":{port}")


def _database_url(environment: Mapping[str, str], variable: str) -> str | None:
    value = environment.get(variable)
    if not value:
        return None
    if not environment.get("MINTAGE_DATABASE_URL"):
        raise SettingsError(f"{variable} goes with MINTAGE_DATABASE_URL: set that too")
    if not value.startswith(("postgres://", "postgresql://")):
        raise SettingsError(
            f"{variable} must begin with postgresql://, "
            "e.g. postgresql://mintage:…@db.example.com:5432/mintage"
        )
    return value


def _integer(
    environment: Mapping[str, str], variable: str, default: int, low: int, high: int
) -> int:
    text = environment.get(variable)
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and low <= int(text) <= high):
        raise SettingsError(f"{variable}={text!r} must be a whole number from {low} to {high}")
    return int(text)


def _listener(environment: Mapping[str, str], variable: str) -> tuple[str, int] | None:
    """`host:port`; an IPv6 address is in brackets."""
    text = environment.get(variable)
    if not text:
        return None
    host, _, port = text.rpartition(":")
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    is_host = _is_address(host) or _HOST_NAME.fullmatch(host.lower())
    if not (is_host and port.isascii() and port.isdigit() and int(port) <= 65535):
        raise SettingsError(f"{variable}={text!r} must be host:port, e.g. 127.0.0.1:9464")
    return host, int(port)


def _traces_endpoint(environment: Mapping[str, str]) -> str | None:
    """Where spans go, by OpenTelemetry's own variables; None where they are off or switched off."""
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    whole = environment.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    base = environment.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    return whole or (f"{base.removesuffix('/')}/v1/traces" if base else None)


def _token(environment: Mapping[str, str], variable: str) -> str | None:
    token = environment.get(variable)
    if not token:
        return None
    if not _TOKEN.fullmatch(token):
        raise SettingsError(
            f"{variable} must be 24 to 200 characters of A-Z a-z 0-9 . _ ~ + / = -, "
            "e.g. what `openssl rand -hex 24` prints"
        )
    return token
