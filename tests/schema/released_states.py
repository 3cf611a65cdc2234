"""The schemas and queries that are kept in tests/schema/released/, and databases made from them.

Not here: what is asked of them (`test_released`, `test_upgrade`).
"""

from __future__ import annotations

from pathlib import Path

from mintage.db.migrate import Migration, load_migrations, migrate
from mintage.db.queries import Statement, parse_statements

RELEASED = ("0001", "0008", "0010", "0012", "0017", "0020")
"""By the number of the last migration of each."""
FOLDER = Path(__file__).parent / "released"


def schema_of(release: str) -> str:
    """The text of a release's schema."""
    return (FOLDER / f"{release}.sql").read_text("utf-8")


def queries_of(release: str) -> list[Statement]:
    """A release's statements, by file and place."""
    files = sorted((FOLDER / "queries" / release).glob("*.sql"))
    return [each for file in files for each in parse_statements(file.stem, file.read_text("utf-8"))]


def migrations_until(release: str) -> list[Migration]:
    """The migrations up to a release's last."""
    return load_migrations()[: int(release)]


async def migrate_until(dsn: str, release: str) -> None:
    """Give an empty database the schema of a release, with its history."""
    await migrate(dsn, migrations_until(release))
