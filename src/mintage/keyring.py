"""The secrets of a running process, which follow their file: who rotates keys restarts nothing.

Every use looks whether the file is another one (one `stat`), so that processes on one machine take a new
key up at once: a token that one of them signed is never unknown to another. Not here: what the file means
(`secrets`), and who changes it (`key_rotation`).
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Final

from mintage.secrets import (
    Secrets,
    SecretsError,
    SecretsSource,
    load_or_create_secrets,
    load_secrets,
    parse_secrets,
)
from mintage.settings import Settings
from mintage.signed_tokens import key_id
from mintage.telemetry import logger

_log: Final = logger("secrets")
Stamp = tuple[int, int, int]


class Keyring:
    """The secrets in the file `path`, made where there is none. Raises `SecretsError` as its reading does.

    Later a file that cannot be used is told in the log, once, and the secrets of before go on.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._secrets = load_or_create_secrets(path)
        self._stamp = _stamp_of(path)
        # The file of the stamp may be a later one than was read.
        self._secrets = load_secrets(path)
        self._is_current = True

    @property
    def current(self) -> Secrets:
        """The secrets of now."""
        stamp = _stamp_of(self._path)
        if stamp != self._stamp:
            with self._lock:
                if stamp != self._stamp:
                    self._take_up(stamp)
        return self._secrets

    @property
    def is_current(self) -> bool:
        """False while the file is gone or cannot be used: the secrets are those of before."""
        _ = self.current
        return self._is_current

    def _take_up(self, stamp: Stamp | None) -> None:
        try:
            self._secrets = load_secrets(self._path)
        except SecretsError as problem:
            self._is_current = False
            _log.error(
                "secrets were changed and cannot be used: the old ones go on", problem=str(problem)
            )
        else:
            self._is_current = True
            _log.info("keys were changed", **names_of(self._secrets))
        self._stamp = stamp


def open_secrets(settings: Settings) -> SecretsSource:
    """The secrets that the settings name: of the environment, or of a file, which is made where it is not
    there. Raises `SecretsError`."""
    if settings.secrets_text is None:
        return Keyring(settings.secrets_file)
    try:
        return parse_secrets(settings.secrets_text)
    except SecretsError as problem:
        raise SecretsError(f"MINTAGE_SECRETS: {problem}") from None


def names_of(secrets: Secrets) -> dict[str, list[str]]:
    """The ids of all keys by kind, the one that signs first: for logs."""
    return {
        "session": [key.kid for key in secrets.session_keys],
        "api": [key_id(key) for key in secrets.api_secrets],
        "storage": [key_id(key) for key in secrets.storage_keys],
        "product_page": [key_id(key) for key in secrets.product_page_keys],
        "manifest": [key.kid for key in secrets.manifest_keys],
        "webhook": [key_id(key) for key in secrets.webhook_keys],
    }


def _stamp_of(path: Path) -> Stamp | None:
    """What tells one version of a file from another; None for no file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
