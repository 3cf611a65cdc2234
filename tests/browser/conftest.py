"""Fixtures of the browser tests: the resolver's desk."""

from tests.resolver.conftest import desk

__all__ = ["desk"]
