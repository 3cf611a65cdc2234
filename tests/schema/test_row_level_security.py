"""Row-level security alone: with every `where` forgotten, another brand's row is neither seen nor touched."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID, uuid4

import asyncpg
import pytest
import pytest_asyncio

from mintage.db.connection import Database, DatabaseRole, Identity
from tests.schema.catalog import brand_tables, connected
from tests.schema.filling import fill
from tests.support.world import World

LOOKED_THROUGH_FOR_WORK = {"mint_job", "tally_delta", "webhook", "webhook_delivery"}
"""The service finds work across brands in these; it changes nothing across brands."""
RESOLVERS_TABLES = (
    "product",
    "product_identifier",
    "product_link",
    "mint_batch",
    "mint_lot",
    "mint_unit",
    "unit_state",
    "webhook",
    "clone_signal",
)


@dataclass(frozen=True)
class TwoBrands:
    """A world whose two brands have one row in each table. `connection` is the superuser's."""

    world: World
    connection: asyncpg.Connection[asyncpg.Record]
    tables: Sequence[str]

    @property
    def database(self) -> Database:
        return self.world.platform.database

    @property
    def mine(self) -> UUID:
        return self.world.brand_id

    @property
    def theirs(self) -> UUID:
        return self.world.other_brand_id

    @property
    def owner(self) -> Identity:
        return Identity(DatabaseRole.APP, self.mine, user_id=self.world.user_ids["owner"])

    def key(self, key_id: UUID, brand_id: UUID | None = None) -> Identity:
        return Identity(DatabaseRole.APP, brand_id or self.mine, api_key_id=key_id)

    async def new_key(self, brand_id: UUID, **changes: object) -> UUID:
        """An API key of a brand; its id."""
        key_id = uuid4()
        await self.connection.execute(
            "insert into api_key (brand_id, id, client_id, secret_hash, name, scopes, created_at) "
            "values ($1, $2, $3, '', 'key', '{mint:read}', now())",
            brand_id,
            key_id,
            f"mk_live_{key_id.hex}",
        )
        for column, value in changes.items():
            await self.connection.execute(
                f"update api_key set {column} = $2 where id = $1", key_id, value
            )
        return key_id

    async def seen_by(self, identity: Identity, table: str) -> set[UUID]:
        """The brands whose rows `identity` sees in a table, without any `where`."""
        async with self.database.transaction(identity) as connection:
            rows = await connection.fetch(f"select brand_id from {table}")
        return {row["brand_id"] for row in rows}

    async def may(self, role: DatabaseRole, table: str, kind: str) -> bool:
        """True if the role has the privilege on the whole table."""
        has: bool = await self.connection.fetchval(
            "select has_table_privilege($1, $2, $3)", role.value, table, kind
        )
        return has

    async def columns(self, role: DatabaseRole, table: str, kind: str) -> list[str]:
        """The columns of the table on which the role has the privilege."""
        found = await self.connection.fetch(
            "select attname from pg_attribute where attrelid = $2::regclass and attnum > 0 "
            "and not attisdropped and has_column_privilege($1, attrelid, attnum, $3) order by attnum",
            role.value,
            table,
            kind,
        )
        return [row["attname"] for row in found]

    async def row_of(self, brand_id: UUID, table: str) -> str:
        """A row of the brand as JSON text."""
        row: str = await self.connection.fetchval(
            f"select to_jsonb(there)::text from {table} as there where brand_id = $1", brand_id
        )
        return row


@pytest_asyncio.fixture
async def brands(world: World, dsn: str) -> AsyncIterator[TwoBrands]:
    async with connected(dsn) as connection:
        for brand_id in (world.brand_id, world.other_brand_id):
            await fill(connection, brand_id)
        yield TwoBrands(world, connection, await brand_tables(connection))


@asynccontextmanager
async def refused_by_policy() -> AsyncIterator[None]:
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security policy"):
        yield


async def test_every_brand_table_has_rows_of_both_brands(brands: TwoBrands) -> None:
    # Or the tests below could not fail.
    for table in brands.tables:
        rows = await brands.connection.fetch(f"select brand_id from {table}")
        assert {row["brand_id"] for row in rows} == {brands.mine, brands.theirs}, table


async def test_a_member_sees_the_rows_of_his_brand_alone(brands: TwoBrands) -> None:
    for table in brands.tables:
        if await brands.may(DatabaseRole.APP, table, "select"):
            assert await brands.seen_by(brands.owner, table) == {brands.mine}, table


async def test_the_application_reads_all_but_deltas_receipts_and_signals(brands: TwoBrands) -> None:
    closed = [t for t in brands.tables if not await brands.may(DatabaseRole.APP, t, "select")]
    assert closed == ["clone_signal", "scan_receipt", "tally_delta"]


async def _sees_nothing(brands: TwoBrands, identity: Identity) -> None:
    for table in brands.tables:
        if await brands.may(identity.role, table, "select"):
            assert await brands.seen_by(identity, table) == set(), table


async def test_without_a_brand_nothing_is_seen(brands: TwoBrands) -> None:
    await _sees_nothing(brands, Identity(DatabaseRole.APP, user_id=brands.world.user_ids["owner"]))


async def test_without_a_caller_nothing_is_seen(brands: TwoBrands) -> None:
    await _sees_nothing(brands, Identity(DatabaseRole.APP, brands.mine))


@pytest.mark.parametrize("who", ["stranger", "nobody"])
async def test_a_stranger_who_names_the_brand_sees_nothing(brands: TwoBrands, who: str) -> None:
    user_id = brands.world.user_ids[who]
    await _sees_nothing(brands, Identity(DatabaseRole.APP, brands.mine, user_id=user_id))


async def test_an_unknown_brand_shows_nothing(brands: TwoBrands) -> None:
    user_id = brands.world.user_ids["owner"]
    await _sees_nothing(brands, Identity(DatabaseRole.APP, uuid4(), user_id=user_id))


async def test_a_former_member_sees_nothing(brands: TwoBrands) -> None:
    await brands.connection.execute(
        "delete from brand_member where user_id = $1", brands.world.user_ids["owner"]
    )
    await _sees_nothing(brands, brands.owner)


async def test_a_good_key_sees_the_rows_of_its_brand_alone(brands: TwoBrands) -> None:
    key = brands.key(await brands.new_key(brands.mine))
    for table in brands.tables:
        if await brands.may(DatabaseRole.APP, table, "select"):
            assert await brands.seen_by(key, table) == {brands.mine}, table


@pytest.mark.parametrize("column", ["revoked_at", "expires_at"])
async def test_a_revoked_or_expired_key_sees_nothing(brands: TwoBrands, column: str) -> None:
    moment = await brands.connection.fetchval("select now() - interval '1 second'")
    await _sees_nothing(brands, brands.key(await brands.new_key(brands.mine, **{column: moment})))


async def test_a_key_of_another_brand_or_of_none_sees_nothing(brands: TwoBrands) -> None:
    await _sees_nothing(brands, brands.key(await brands.new_key(brands.theirs)))
    await _sees_nothing(brands, brands.key(uuid4()))


async def test_a_key_does_not_help_a_stranger(brands: TwoBrands) -> None:
    key_id = await brands.new_key(brands.mine)
    stranger = brands.world.user_ids["stranger"]
    await _sees_nothing(
        brands, Identity(DatabaseRole.APP, brands.mine, user_id=stranger, api_key_id=key_id)
    )


async def test_the_service_sees_the_brand_it_works_for_and_finds_work(brands: TwoBrands) -> None:
    service = Identity(DatabaseRole.SERVICE, brands.mine)
    for table in brands.tables:
        everyone = {brands.mine, brands.theirs}
        seen = everyone if table in LOOKED_THROUGH_FOR_WORK else {brands.mine}
        assert await brands.seen_by(service, table) == seen, table


async def test_the_service_without_a_brand_sees_work_alone(brands: TwoBrands) -> None:
    service = Identity(DatabaseRole.SERVICE)
    for table in brands.tables:
        seen = await brands.seen_by(service, table)
        assert bool(seen) == (table in LOOKED_THROUGH_FOR_WORK), table


async def test_the_resolver_sees_one_brand_and_nine_tables(brands: TwoBrands) -> None:
    resolver = Identity(DatabaseRole.RESOLVER, brands.mine)
    for table in brands.tables:
        if table in RESOLVERS_TABLES:
            assert await brands.seen_by(resolver, table) == {brands.mine}, table
        else:
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
                await brands.seen_by(resolver, table)


@pytest.mark.parametrize("role", [DatabaseRole.APP, DatabaseRole.SERVICE, DatabaseRole.RESOLVER])
async def test_a_row_of_another_brand_is_not_inserted(
    brands: TwoBrands, role: DatabaseRole
) -> None:
    me = Identity(role, brands.mine, user_id=brands.world.user_ids["owner"])
    tried = []
    for table in brands.tables:
        columns = ", ".join(await brands.columns(role, table, "insert"))
        if not columns:
            continue
        row = await brands.row_of(brands.theirs, table)
        async with refused_by_policy(), brands.database.transaction(me) as connection:
            await connection.execute(
                f"insert into {table} ({columns}) overriding system value select {columns} "
                f"from jsonb_populate_record(null::{table}, $1::text::jsonb || $2::text::jsonb)",
                row,
                # Of another brand alone: what the resolver may write of its own.
                json.dumps({"metric": "scans", "event_type": "clone_signal.raised"}),
            )
        tried.append(table)
    assert len(tried) >= {"mintage_app": 12, "mintage_service": 14, "mintage_resolver": 5}[role]


@pytest.mark.parametrize("role", [DatabaseRole.APP, DatabaseRole.SERVICE, DatabaseRole.RESOLVER])
async def test_a_row_of_another_brand_is_not_changed(brands: TwoBrands, role: DatabaseRole) -> None:
    me = Identity(role, brands.mine, user_id=brands.world.user_ids["owner"])
    for table in brands.tables:
        if not await brands.may(role, table, "update"):
            continue
        async with brands.database.transaction(me) as connection:
            done = await connection.execute(
                f"update {table} set brand_id = brand_id where brand_id = $1", brands.theirs
            )
            everything = await connection.execute(f"update {table} set brand_id = brand_id")
        assert (done, everything) == ("UPDATE 0", "UPDATE 1"), table


@pytest.mark.parametrize("role", [DatabaseRole.APP, DatabaseRole.SERVICE, DatabaseRole.RESOLVER])
async def test_a_row_is_not_handed_to_another_brand(brands: TwoBrands, role: DatabaseRole) -> None:
    me = Identity(role, brands.mine, user_id=brands.world.user_ids["owner"])
    for table in brands.tables:
        if not await brands.may(role, table, "update"):
            continue
        async with refused_by_policy(), brands.database.transaction(me) as connection:
            await connection.execute(f"update {table} set brand_id = $1", brands.theirs)


async def test_the_resolver_activates_no_lot_of_another_brand(brands: TwoBrands) -> None:
    # Its right is on one column, which the loop over whole tables does not see.
    resolver = Identity(DatabaseRole.RESOLVER, brands.mine)
    async with brands.database.transaction(resolver) as connection:
        assert await connection.execute("update mint_lot set activated_at = now()") == "UPDATE 1"
    activated = await brands.connection.fetch(
        "select brand_id from mint_lot where activated_at is not null"
    )
    assert [row["brand_id"] for row in activated] == [brands.mine]


async def test_deltas_of_another_brand_are_seen_and_not_taken(brands: TwoBrands) -> None:
    service = Identity(DatabaseRole.SERVICE, brands.mine)
    async with brands.database.transaction(service) as connection:
        assert await connection.execute("delete from tally_delta") == "DELETE 1"
    left = await brands.connection.fetch("select brand_id from tally_delta")
    assert [row["brand_id"] for row in left] == [brands.theirs]


async def test_the_minter_inserts_units_and_reads_nothing(brands: TwoBrands) -> None:
    minter = Identity(DatabaseRole.MINTER, brands.mine)
    async with brands.database.transaction(minter) as connection:
        await connection.execute(
            "insert into mint_unit (brand_id, id, mint_batch_id, unit_no, created_at) "
            "values ($1, gen_random_uuid(), gen_random_uuid(), 0, now())",
            brands.mine,
        )
    for table in [*brands.tables, "brand", "app_user", "api_key", "brand_member", "work_item"]:
        for statement in (f"select from {table}", f"delete from {table}"):
            await _denied(brands, minter, statement)
    await _denied(brands, minter, "update mint_unit set unit_no = 1")
    await _denied(
        brands,
        minter,
        "insert into mint_unit select * from mint_unit returning id",
    )
    await _denied(brands, minter, f"select has_brand_access('{brands.mine}')")


async def _denied(brands: TwoBrands, identity: Identity, statement: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
        async with brands.database.transaction(identity) as connection:
            await connection.execute(statement)


async def test_nothing_of_a_transaction_stays_on_its_connection(brands: TwoBrands) -> None:
    pool = brands.database.pool
    await brands.seen_by(brands.owner, "product")
    for _ in range(pool.get_size()):
        async with pool.acquire() as connection:
            left = await connection.fetchrow(
                "select current_user, nullif(current_setting('mintage.brand_id', true), '') as brand, "
                "nullif(current_setting('mintage.user_id', true), '') as person"
            )
        assert left is not None
        assert tuple(left) == ("postgres", None, None)


async def test_a_caller_takes_the_role_of_no_other(brands: TwoBrands) -> None:
    # The pool's login is a member of all four; a transaction's role is not.
    for role in DatabaseRole:
        for other in DatabaseRole:
            member = await brands.connection.fetchval(
                "select pg_has_role($1, $2, 'member')", role.value, other.value
            )
            assert member == (role == other)
