"""What the schema must guarantee: states, keys led by the brand, row-level security, privileges."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from mintage.rules import lifecycle, roles, webhooks
from tests.schema.catalog import (
    APPEND_ONLY_TABLES,
    CALLERS_ROLES,
    ROLES,
    TABLES_WITHOUT_BRAND_CONTENT,
    brand_tables,
    connected,
    privileges,
    tables,
    values_allowed,
)

if TYPE_CHECKING:
    from tests.schema.catalog import Connection

ACTOR_TYPES = ("user", "api_key", "service", "system")
STATES: list[tuple[str, str, Collection[str]]] = [
    ("mint_job", "status", lifecycle.JOB_STATUSES),
    ("mint_job", "last_error", lifecycle.JOB_ERRORS),
    ("mint_job", "identity_mode", lifecycle.IDENTITY_MODES),
    ("mint_job", "activation_mode", lifecycle.ACTIVATION_MODES),
    ("mint_job", "created_by_type", ACTOR_TYPES),
    ("mint_batch", "status", lifecycle.BATCH_STATUSES),
    ("mint_batch", "identity_mode", lifecycle.IDENTITY_MODES),
    ("mint_batch", "activation_mode", lifecycle.ACTIVATION_MODES),
    ("mint_batch", "created_by_type", ACTOR_TYPES),
    ("brand", "default_identity_mode", lifecycle.IDENTITY_MODES),
    ("brand", "default_activation_mode", lifecycle.ACTIVATION_MODES),
    ("brand_member", "role", roles.BRAND_ROLES),
    ("product", "commercial_status", lifecycle.COMMERCIAL_STATUSES),
    ("product", "mint_readiness_status", lifecycle.MINT_READINESS_STATUSES),
    ("product_identifier", "status", lifecycle.IDENTIFIER_STATUSES),
    ("product_batch", "status", lifecycle.PRODUCT_BATCH_STATUSES),
    ("mint_event", "event_type", lifecycle.EVENT_TYPES),
    ("mint_event", "actor_type", ACTOR_TYPES),
    ("export_group", "status", lifecycle.EXPORT_GROUP_STATUSES),
    ("export_group", "created_by_type", ACTOR_TYPES),
    ("payload_pack", "status", lifecycle.PACK_STATUSES),
    ("scan_event", "outcome", lifecycle.SCAN_OUTCOMES),
    ("scan_event", "severity", lifecycle.SCAN_SEVERITIES),
    ("scan_receipt", "outcome", lifecycle.SCAN_OUTCOMES),
    ("webhook", "status", webhooks.WEBHOOK_STATUSES),
    ("webhook_delivery", "status", webhooks.WEBHOOK_DELIVERY_STATUSES),
    ("webhook_delivery", "event_type", webhooks.WEBHOOK_EVENT_TYPES),
    ("clone_signal", "severity", lifecycle.SCAN_SEVERITIES[1:]),
]


@pytest_asyncio.fixture
async def connection(dsn: str) -> AsyncIterator[Connection]:
    async with connected(dsn) as opened:
        yield opened


@pytest.mark.parametrize(("table", "column", "states"), STATES)
async def test_the_states_in_sql_are_those_of_the_rules(
    connection: Connection, table: str, column: str, states: Collection[str]
) -> None:
    allowed = await values_allowed(connection, table, column)
    assert allowed == set(states), (
        "a migration must bring the CHECK in line with rules/lifecycle.py"
    )


async def test_every_column_of_states_is_compared(connection: Connection) -> None:
    rows = await connection.fetch(
        "select attrelid::regclass::text as table, attname as column from pg_attribute "
        "join pg_class on pg_class.oid = attrelid "
        "where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition "
        "and (attname like any (array['%status', '%\\_mode', '%\\_by\\_type', '%outcome', 'role']) "
        "or attname in ('last_error', 'event_type', 'actor_type', 'severity'))"
    )
    assert {(row["table"], row["column"]) for row in rows} == {
        (table, column) for table, column, _ in STATES
    }, "add the new column to STATES, or take the old one out"


async def test_tables_without_brand_content_are_these(connection: Connection) -> None:
    assert await tables(connection) >= TABLES_WITHOUT_BRAND_CONTENT
    secured = await connection.fetch(
        "select relname from pg_class where relnamespace = 'public'::regnamespace and relrowsecurity"
    )
    assert {row["relname"] for row in secured} == set(await brand_tables(connection)), (
        "a new table is a brand's: enable and force row-level security on it, "
        "or list it in TABLES_WITHOUT_BRAND_CONTENT"
    )


async def test_row_level_security_is_forced_on_every_brand_table(connection: Connection) -> None:
    rows = await connection.fetch(
        "select relname from pg_class where relnamespace = 'public'::regnamespace "
        "and relrowsecurity and not relforcerowsecurity"
    )
    assert [row["relname"] for row in rows] == []


async def test_every_brand_table_has_the_one_policy(connection: Connection) -> None:
    rows = await connection.fetch(
        "select tablename, policyname, roles, cmd, qual, with_check, permissive from pg_policies "
        "where policyname <> 'service_finds' and permissive = 'PERMISSIVE' order by tablename"
    )
    assert [row["tablename"] for row in rows] == await brand_tables(connection)
    own = "(brand_id = ( SELECT current_brand_id() AS current_brand_id))"
    for row in rows:
        assert (row["policyname"], row["roles"], row["cmd"]) == ("own_brand", ["public"], "ALL")
        assert (row["qual"], row["with_check"]) == (own, own)


async def test_only_the_service_looks_across_brands_and_only_to_find_work(
    connection: Connection,
) -> None:
    rows = await connection.fetch(
        "select tablename, roles, cmd from pg_policies where policyname = 'service_finds'"
    )
    assert sorted(tuple(row) for row in rows) == [
        ("mint_job", ["mintage_service"], "SELECT"),
        ("tally_delta", ["mintage_service"], "SELECT"),
        ("webhook", ["mintage_service"], "SELECT"),
        ("webhook_delivery", ["mintage_service"], "SELECT"),
    ]


async def test_keys_of_brand_tables_lead_with_the_brand(connection: Connection) -> None:
    rows = await connection.fetch(
        """
        select conrelid::regclass::text as table, conname as key, contype::text as kind,
          (select attname from pg_attribute where attrelid = conrelid and attnum = conkey[1]) as leads,
          (select attname from pg_attribute where attrelid = confrelid and attnum = confkey[1]) as refers
        from pg_constraint
        where conrelid::regclass::text = any ($1::text[])
          and contype in ('p', 'u', 'f')
          and conparentid = 0
        """,
        await brand_tables(connection),
    )
    assert {row["table"] for row in rows if row["kind"] == "p"} == set(
        await brand_tables(connection)
    ), "every brand table has a primary key"
    assert [row["key"] for row in rows if row["leads"] != "brand_id"] == []
    # The brand itself is found by its id; any other row by its brand and id.
    assert {row["refers"] for row in rows if row["kind"] == "f"} <= {"brand_id", "id"}
    assert [
        row["key"]
        for row in rows
        if row["refers"] == "id" and not row["key"].endswith("brand_id_fkey")
    ] == []


async def test_unique_indexes_of_brand_tables_lead_with_the_brand(connection: Connection) -> None:
    rows = await connection.fetch(
        """
        select indexrelid::regclass::text as index,
          (select attname from pg_attribute where attrelid = indrelid and attnum = indkey[0]) as leads
        from pg_index
        where indrelid::regclass::text = any ($1::text[])
          and indisunique
        """,
        await brand_tables(connection),
    )
    assert len(rows) > 20
    assert [row["index"] for row in rows if row["leads"] != "brand_id"] == []


async def test_the_unit_table_has_two_indexes_no_trigger_and_no_foreign_key(
    connection: Connection,
) -> None:
    indexes = await connection.fetch(
        "select indexrelid::regclass::text as name from pg_index "
        "where indrelid = 'mint_unit'::regclass order by 1"
    )
    assert [row["name"] for row in indexes] == ["mint_unit_pkey", "mint_unit_serial"]
    assert not await connection.fetchval(
        "select exists (select from pg_trigger where tgrelid = 'mint_unit'::regclass)"
    )
    kinds = await connection.fetch(
        "select distinct contype::text as kind from pg_constraint where conrelid = 'mint_unit'::regclass "
        "and contype <> 'n'"
    )
    assert [row["kind"] for row in kinds] == ["p"]


@pytest.mark.parametrize("table", APPEND_ONLY_TABLES)
@pytest.mark.parametrize("role", ROLES)
async def test_an_append_only_table_is_never_changed(
    connection: Connection, role: str, table: str
) -> None:
    assert await privileges(connection, role, table) <= {"select", "insert"}


async def test_the_minter_may_insert_units_and_no_more(connection: Connection) -> None:
    may = {
        table: await privileges(connection, "mintage_minter", table)
        for table in await tables(connection)
    }
    assert {table: kinds for table, kinds in may.items() if kinds} == {"mint_unit": {"insert"}}


async def test_nobody_may_truncate_or_refer_or_set_triggers(connection: Connection) -> None:
    for table in await tables(connection):
        for role in ROLES:
            assert not await privileges(connection, role, table) & {
                "truncate",
                "references",
                "trigger",
            }, (role, table)


async def test_only_the_minter_writes_units(connection: Connection) -> None:
    for role in CALLERS_ROLES:
        assert await privileges(connection, role, "mint_unit") == {"select"}


async def test_partitions_are_reached_through_their_table_alone(connection: Connection) -> None:
    rows = await connection.fetch(
        "select relname from pg_class where relispartition and relkind = 'r'"
    )
    assert len(rows) >= 4
    for row in rows:
        for role in ROLES:
            assert await privileges(connection, role, row["relname"]) == set()


async def test_the_application_makes_no_brands_and_names_no_hosts(connection: Connection) -> None:
    assert await privileges(connection, "mintage_app", "brand_host") == {"select"}
    assert await privileges(connection, "mintage_app", "brand") == {"select", "update"}
    updated = await connection.fetch(
        "select attname from pg_attribute where attrelid = 'brand'::regclass and attnum > 0 "
        "and has_column_privilege('mintage_app', attrelid, attnum, 'update')"
    )
    assert not {row["attname"] for row in updated} & {"id", "slug", "created_at"}


async def test_nothing_is_granted_to_everybody(connection: Connection) -> None:
    rows = await connection.fetch(
        """
        select relname::text as name
        from pg_class, aclexplode(coalesce(relacl, acldefault('r', relowner))) as entry
        where relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'v', 'm') and entry.grantee = 0
        union all
        select attrelid::regclass::text || '.' || attname
        from pg_attribute join pg_class on pg_class.oid = attrelid, aclexplode(attacl) as entry
        where relnamespace = 'public'::regnamespace and entry.grantee = 0
        union all
        select pg_class.oid::regclass::text
        from pg_class, aclexplode(coalesce(relacl, acldefault('s', relowner))) as entry
        where relnamespace = 'public'::regnamespace and relkind = 'S' and entry.grantee = 0
        union all
        select pg_proc.oid::regprocedure::text
        from pg_proc, aclexplode(coalesce(proacl, acldefault('f', proowner))) as entry
        where pronamespace = 'public'::regnamespace and entry.grantee = 0
        union all
        select 'create in schema public'
        from pg_namespace, aclexplode(coalesce(nspacl, acldefault('n', nspowner))) as entry
        where nspname = 'public' and entry.grantee = 0 and entry.privilege_type = 'CREATE'
        """
    )
    assert [row["name"] for row in rows] == [], "revoke it from public in a migration"


async def test_our_roles_own_nothing_and_are_not_one_another(connection: Connection) -> None:
    owned = await connection.fetch(
        "select classid::regclass::text, objid, refobjid::regrole::text as role from pg_shdepend "
        "where deptype = 'o' and refclassid = 'pg_authid'::regclass "
        "and dbid = (select oid from pg_database where datname = current_database()) "
        "and refobjid = any (array(select to_regrole(name)::oid from unnest($1::text[]) as name))",
        ROLES,
    )
    assert [tuple(row) for row in owned] == []
    members = await connection.fetch(
        "select member::regrole::text from pg_auth_members "
        "where member = any (array(select to_regrole(name)::oid from unnest($1::text[]) as name))",
        ROLES,
    )
    assert [row["member"] for row in members] == []


async def test_our_roles_cannot_sign_in_and_have_no_powers(connection: Connection) -> None:
    rows = await connection.fetch(
        "select rolname, rolcanlogin, rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls "
        "from pg_roles where rolname = any ($1::text[])",
        ROLES,
    )
    assert len(rows) == len(ROLES)
    for row in rows:
        name, *powers, bypasses = row
        assert powers == [False] * 5, name
        assert bypasses == (name == "mintage_minter")


async def test_functions_look_up_nothing_by_a_path_of_their_caller(connection: Connection) -> None:
    rows = await connection.fetch(
        "select oid::regprocedure::text as name, proconfig from pg_proc "
        "where pronamespace = 'public'::regnamespace"
    )
    assert rows
    assert {
        row["name"] for row in rows if 'search_path=""' not in (row["proconfig"] or ())
    } == set()


async def test_only_partitions_and_the_deletion_of_a_brand_are_done_with_the_owners_rights(
    connection: Connection,
) -> None:
    rows = await connection.fetch(
        "select proname from pg_proc where pronamespace = 'public'::regnamespace and prosecdef "
        "order by proname"
    )
    assert [row["proname"] for row in rows] == [
        "delete_brand_rows",
        "drop_scan_event_partitions",
        "ensure_scan_event_partition",
        "ensure_scan_event_partitions",
    ]
    for function, who in (
        ("delete_brand_rows(uuid, text, text, integer)", "mintage_service"),
        ("drop_scan_event_partitions(integer)", "mintage_service"),
        ("ensure_scan_event_partition(timestamptz)", "mintage_resolver"),
        ("ensure_scan_event_partitions(timestamptz, integer)", "mintage_service"),
    ):
        may = "select has_function_privilege($1, $2, 'execute')"
        assert [role for role in ROLES if await connection.fetchval(may, role, function)] == [who]


async def test_partitions_of_scans_are_made_once_and_follow_each_other(
    connection: Connection,
) -> None:
    for _ in range(2):
        await connection.execute(
            "select ensure_scan_event_partitions('2031-11-30 23:59:59-05'::timestamptz, 3)"
        )
    rows = await connection.fetch(
        "select relname, pg_get_expr(relpartbound, oid) as bound from pg_class "
        "where relname like 'scan_event_203%' and relkind = 'r' order by relname"
    )
    assert [row["relname"] for row in rows] == [
        "scan_event_2031_12",
        "scan_event_2032_01",
        "scan_event_2032_02",
    ]
    assert rows[0]["bound"] == (
        "FOR VALUES FROM ('2031-12-01 00:00:00+00') TO ('2032-01-01 00:00:00+00')"
    )


async def test_text_keys_are_compared_by_their_bytes(connection: Connection) -> None:
    rows = await connection.fetch(
        """
        select distinct indrelid::regclass::text || '.' || attname as key
        from pg_index
        join pg_attribute on attrelid = indrelid and attnum = any (indkey)
        join pg_class on pg_class.oid = indrelid
        where relnamespace = 'public'::regnamespace
          and not relispartition
          and atttypid = 'text'::regtype
          and attcollation <> '"C"'::regcollation
        """
    )
    states = {f"{table}.{column}" for table, column, _ in STATES}
    assert {row["key"] for row in rows} - states <= {
        "product_identifier.identifier_type",
        "product_identifier.family",
        "export_group.format",
        "export_group.profile",
        "mint_job.operation",
    }, 'a key that is text has collate "C"'
