"""Backups: the database's dump, the packs and the secrets in one folder, and the way back from it."""
