"""Mintage: a self-hosted minting platform for item-level product identity."""
