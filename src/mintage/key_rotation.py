"""Rotating the process's keys: a new one signs, the one before verifies until it is removed.

Each change is a pure function from the text of a file of secrets to another; `rewrite` puts it in the
file's place at once. Not here: what the file means (`secrets`), and how a running process takes it up
(`keyring`).
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mintage.secrets import (
    KEYS_MAX,
    Secrets,
    SecretsError,
    derived_manifest_key,
    new_key,
    parse_secrets,
    parse_secrets_of,
    read_secrets_text,
)
from mintage.signed_tokens import key_id

Kind = Literal["session", "api", "storage", "product-page", "manifest", "webhook"]
State = Literal["signs", "next", "verifies"]

KINDS: Final[tuple[Kind, ...]] = (
    "session",
    "api",
    "storage",
    "product-page",
    "manifest",
    "webhook",
)
# Manifests are verified for as long as anybody has the packs that they list, and secrets of webhooks are
# sealed with the key of the day on which they were made.
REMOVED_BY_DEFAULT: Final[tuple[Kind, ...]] = ("session", "api", "storage", "product-page")
_TEXT_NAMES: Final[dict[Kind, str]] = {
    "api": "api_secret",
    "storage": "storage_key",
    "product-page": "product_page_key",
}
_LIST_NAMES: Final[dict[Kind, str]] = {
    "session": "session_keys",
    "manifest": "manifest_keys",
    "webhook": "webhook_keys",
}


@dataclass(frozen=True, slots=True)
class KeyShown:
    """One key without its secret. `kid` is what stands in the headers of what it signs."""

    kind: Kind
    kid: str
    state: State


def keys_of(text: str) -> list[KeyShown]:
    """The keys in the text of a file of secrets, by kind; of each the one that signs first."""
    known, upcoming = parse_secrets(text), json.loads(text).get("next", {})
    ids: dict[Kind, list[str]] = {
        "session": [key.kid for key in known.session_keys],
        "manifest": [key.kid for key in known.manifest_keys],
        "api": [key_id(key) for key in known.api_secrets],
        "storage": [key_id(key) for key in known.storage_keys],
        "product-page": [key_id(key) for key in known.product_page_keys],
        "webhook": [key_id(key) for key in known.webhook_keys],
    }
    shown = []
    for kind in KINDS:
        has_next = (_TEXT_NAMES | _LIST_NAMES)[kind] in upcoming
        for place, kid in enumerate(ids[kind]):
            state: State = "signs" if place == 0 else "verifies"
            shown.append(KeyShown(kind, kid, "next" if has_next and place == 1 else state))
    return shown


def prepared(text: str, kinds: Collection[Kind]) -> str:
    """`text` with a next key of each of `kinds` that has none: it verifies, and signs after `rotated`."""
    content = _content(text)
    upcoming = content.setdefault("next", {})
    for kind in kinds:
        name = (_TEXT_NAMES | _LIST_NAMES)[kind]
        if name not in upcoming:
            upcoming[name] = _random(kind)
    return _checked(content)


def rotated(text: str, kinds: Collection[Kind]) -> str:
    """`text` with a new key of each of `kinds` that signs: the next one, or a random one.

    Raises `SecretsError` when there are too many of before.
    """
    content = _content(text)
    upcoming = content.pop("next", {})
    for kind in kinds:
        name = (_TEXT_NAMES | _LIST_NAMES)[kind]
        new = upcoming.pop(name) if name in upcoming else _random(kind)
        if kind in _LIST_NAMES:
            before = content[name]
            content[name] = [new, *before]
        else:
            before = content.setdefault("earlier", {}).setdefault(name, [])
            before.insert(0, content[name])
            content[name] = new
        if len(before) > KEYS_MAX - 1:
            raise SecretsError(
                f"there are {KEYS_MAX} {kind} keys already: remove the old ones first"
            )
    if "api" in kinds:
        content["created_at"] = int(time.time())
    if upcoming:
        content["next"] = upcoming
    return _checked(content)


def without_old(text: str, kinds: Collection[Kind]) -> str:
    """`text` without the keys of `kinds` that sign no more: what they signed is refused from now on."""
    content = _content(text)
    earlier = content.pop("earlier", {})
    for kind in kinds:
        if kind in _LIST_NAMES:
            content[_LIST_NAMES[kind]] = content[_LIST_NAMES[kind]][:1]
        else:
            earlier.pop(_TEXT_NAMES[kind], None)
    if earlier:
        content["earlier"] = earlier
    return _checked(content)


def rewrite(path: Path, change: Callable[[str], str]) -> str:
    """Change the text of the file `path` and answer the new one.

    At every moment the file is whole and of mode 0600; two changes at once come one after the other. Raises
    `SecretsError`, also for what `_checked` finds.
    """
    path = path.resolve()
    try:
        with _alone(path.parent):
            text = read_secrets_text(path)
            parse_secrets_of(path, text)
            changed = change(text)
            _replace(path, changed)
    except OSError as error:
        raise SecretsError(f"{path}: {error.strerror or 'cannot be written'}") from error
    return changed


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
        os.fsync(handle)
    finally:
        os.close(handle)


def _replace(path: Path, text: str) -> None:
    before = path.stat()
    # mkstemp opens with O_EXCL and mode 0600; a name of the same folder can be moved at once.
    handle, name = tempfile.mkstemp(prefix=".secrets-", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            if (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
                # The administrator rotates, the service's account must still read.
                os.fchown(file.fileno(), before.st_uid, before.st_gid)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def _content(text: str) -> dict[str, Any]:
    """The content of a text that is right, with the keys of manifests and of webhooks written out."""
    known = parse_secrets(text)
    content: dict[str, Any] = json.loads(text)
    if "manifest_keys" not in content:
        # It follows from the storage key, which may be another one soon.
        content["manifest_keys"] = [_derived_entry(known)]
    if "webhook_keys" not in content:
        content["webhook_keys"] = [each.decode("utf-8") for each in known.storage_keys]
    return content


def _derived_entry(known: Secrets) -> dict[str, str]:
    key = derived_manifest_key(known.storage_key)
    return new_key(key.private) | {"kid": key.kid}


def _random(kind: Kind) -> str | dict[str, str]:
    if kind == "session":
        return new_key(generate_private_key(SECP256R1()))
    if kind == "manifest":
        return new_key(Ed25519PrivateKey.generate())
    return secrets.token_urlsafe(48)


def _checked(content: dict[str, Any]) -> str:
    text = json.dumps(content, indent=2) + "\n"
    parse_secrets(text)
    return text
