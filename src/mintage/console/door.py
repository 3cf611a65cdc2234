"""What the console is made of.

Signing in and reading who calls from where is the control plane's business (one counter of tries for both
doors): the composition root hands it in. Not here: cookies (`cookies`) and pages.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.requests import Request

from mintage.operations.accounts import OpenSession
from mintage.perform import Platform
from mintage.secrets import Secrets, SecretsSource
from mintage.settings import Settings

if TYPE_CHECKING:
    from mintage.storage import PackStore

SignIn = Callable[[Request, str, str], Awaitable[OpenSession | None]]
"""`(request, email, password)`: the session that was opened; None if they do not fit each other.

Raises `MintageError` 429 after too many tries."""


@dataclass(frozen=True, slots=True)
class ConsoleDoor:
    """What the pages are given. `store` holds the packs' bytes."""

    platform: Platform
    settings: Settings
    keys: SecretsSource
    store: PackStore
    sign_in: SignIn

    @property
    def secrets(self) -> Secrets:
        """The secrets of now."""
        return self.keys.current

    @property
    def is_https(self) -> bool:
        """True if browsers reach the platform by https: cookies are then sent over nothing else."""
        return self.settings.platform_url.startswith("https://")
