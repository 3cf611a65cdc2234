"""Migrations are run under programs at work: squawk looks for what would keep those waiting, or break them.

Mend a failure in the migration; where it is meant, say why in `MEANT`. Not here: that old statements go on
(`test_released`), and that nothing is lost (`test_upgrade`).
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from mintage.db.migrate import load_migrations

LAST_NOT_LOOKED_AT = 12
"""Migrations up to this were closed before they were looked at, and are not edited."""
NOT_ASKED = {
    "require-lock-timeout": "db/migrate.py sets it for every migration, and tries again",
    "require-statement-timeout": "db/migrate.py sets it: a migration ends when it is done",
    "prefer-bigint-over-int": "quantities are bounded by SPEC far below 2^31; what counts for ever is bigint",
}
MEANT = {
    (14, "ban-drop-constraint"): "the next statement makes it anew, and takes all that it took",
    (
        14,
        "constraint-missing-not-valid",
    ): "events are read once, and writes wait: a second a few million",
    (
        18,
        "require-concurrent-index-creation",
    ): "it has what is under way alone: deliveries are read once, a second a few million",
}
"""(migration, rule) → why it does no harm there."""
SQUAWK = Path(sys.executable).with_name("squawk")
FOLDER = Path(__file__).parents[2] / "src" / "mintage" / "sql" / "migrations"


def _found(*files: Path) -> set[tuple[str, str]]:
    """What squawk finds in files that each run in a transaction: (name, rule)."""
    command = [str(SQUAWK), "--assume-in-transaction", "--pg-version=15", "--reporter=json"]
    command += [f"--exclude={','.join(NOT_ASKED)}", *map(str, files)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode in {0, 1}, ran.stderr
    return {(Path(each["file"]).name, each["rule_name"]) for each in json.loads(ran.stdout)}


def test_a_migration_keeps_nobody_waiting_and_breaks_nothing() -> None:
    names = [
        each.name
        for each in load_migrations()
        if each.version > LAST_NOT_LOOKED_AT and each.is_transactional
    ]
    found = {(int(name[:4]), rule) for name, rule in _found(*(FOLDER / name for name in names))}
    assert found == MEANT.keys(), "mend the migration, or say in MEANT why it does no harm"


def test_what_would_keep_programs_waiting_is_seen(tmp_path: Path) -> None:
    bad = tmp_path / "0001_bad.sql"
    bad.write_text(
        "create index product_name on product (brand_id, name);\n"
        "alter table product drop column description;\n"
        "alter table product alter column sku type varchar(99);\n"
        "alter table mint_lot rename column lot_code to code;\n"
    )
    assert {rule for _, rule in _found(bad)} >= {
        "require-concurrent-index-creation",
        "ban-drop-column",
        "changing-column-type",
        "renaming-column",
    }


def test_each_exception_has_a_reason() -> None:
    assert all(len(reason.split()) >= 5 for reason in [*NOT_ASKED.values(), *MEANT.values()])
