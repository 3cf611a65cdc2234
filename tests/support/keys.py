"""Keys for tests: the same ones in every run."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mintage.secrets import ManifestKey


def manifest_key(kid: str = "first", seed: int = 1) -> ManifestKey:
    """A key that signs group manifests."""
    return ManifestKey(kid, Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32))
