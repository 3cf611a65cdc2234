"""The lists of the catalogue and of administration on filled tables: each page is one range of its index."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast
from uuid import UUID

import pytest
import pytest_asyncio

from mintage.operations.listing import END, HIGHEST_ID
from tests.schema.catalog import connected
from tests.schema.filled import Filled
from tests.schema.plans import plan_of
from tests.support.world import World

pytestmark = pytest.mark.long

if TYPE_CHECKING:
    from tests.schema.catalog import Connection

PAGE = 21
ROWS = """
insert into product (
  brand_id, id, sku, sku_key, name, commercial_status, mint_readiness_status, created_at, updated_at
)
select brand.id, gen_random_uuid(), 'S' || n, 's' || n, 'Thing',
  (array['DRAFT', 'ACTIVE', 'DISCONTINUED'])[1 + n % 3], (array['NOT_READY', 'READY'])[1 + n % 2],
  now() - n * interval '1 minute', now()
from brand
cross join generate_series(1, 3000) as n;

insert into product_identifier (
  brand_id, id, product_id, identifier_type, family, identifier_value, value_key, status, created_at,
  deactivated_at
)
select brand_id, gen_random_uuid(), id, 'sku', 'sku', sku, 'old-' || n || sku_key, 'retired', now(),
  now() + n * interval '1 second'
from product
cross join generate_series(1, 3) as n;

insert into product_link (brand_id, id, product_id, link_type, href, title, created_at, updated_at)
select brand_id, gen_random_uuid(), id, 'gs1:pip', 'https://a.example/', 'a',
  now() - n * interval '1 minute', now()
from product
cross join generate_series(1, 3) as n;

insert into product_batch (brand_id, id, product_id, batch_number, status, created_at, updated_at)
select brand_id, gen_random_uuid(), id, 'B' || n, (array['DRAFT', 'READY', 'CLOSED'])[1 + n % 3],
  now() - n * interval '1 minute', now()
from product
cross join generate_series(1, 4) as n;

insert into app_user (id, email, email_key, password_hash, created_at, updated_at)
select gen_random_uuid(), 'u' || n, 'u' || n, 'none', now(), now()
from generate_series(1, 2000) as n;

insert into brand_member (brand_id, user_id, role, created_at, updated_at)
select brand.id, app_user.id, 'viewer', now() - random() * interval '1 day', now()
from brand
cross join app_user
where email_key ~ '^u[0-9]';

insert into brand_host (host, brand_id, base_url, created_at)
select brand.slug || n || '.example', brand.id, 'https://a.example', now() - n * interval '1 minute'
from brand
cross join generate_series(1, 2000) as n;

insert into api_key (brand_id, id, client_id, secret_hash, name, scopes, created_at)
select brand.id, gen_random_uuid(), 'mk_' || brand.slug || n, '', 'key', '{mint:read}',
  now() - n * interval '1 minute'
from brand
cross join generate_series(1, 2000) as n;

analyze;
"""


@dataclass(frozen=True)
class Catalogue:
    """A brand with some thousand rows of everything, beside another one."""

    connection: Connection
    brand_id: UUID
    owner_id: UUID
    product_id: UUID


Values = Callable[[Catalogue], tuple[object, ...]]


def _newest(found: Catalogue) -> tuple[object, ...]:
    return (found.brand_id, END, HIGHEST_ID, PAGE)


LISTS: dict[str, tuple[str, Values]] = {
    "product.list_newest": ("product_newest", _newest),
    "product.list_by_commercial_status": (
        "product_commercial_status",
        lambda found: (*_newest(found), "ACTIVE"),
    ),
    "product.list_by_gates": (
        "product_gates",
        lambda found: (*_newest(found), "ACTIVE", "READY"),
    ),
    "product.list_by_mint_readiness_status": (
        "product_mint_readiness_status",
        lambda found: (*_newest(found), "READY"),
    ),
    "product_batch.list_newest": ("product_batch_newest", _newest),
    "product_batch.list_by_product": (
        "product_batch_product",
        lambda found: (*_newest(found), found.product_id),
    ),
    "product_batch.list_by_product_and_status": (
        "product_batch_product_status",
        lambda found: (*_newest(found), found.product_id, "READY"),
    ),
    "product_batch.list_by_status": (
        "product_batch_status",
        lambda found: (*_newest(found), "READY"),
    ),
    "product_link.list_newest": (
        "product_link_newest",
        lambda found: (found.brand_id, found.product_id, END, HIGHEST_ID, PAGE),
    ),
    "member.list_newest": ("brand_member_newest", _newest),
    "host.list_newest": ("brand_host_newest", lambda found: (found.brand_id, END, "", PAGE)),
    "api_key.list_newest": ("api_key_newest", _newest),
}
OTHERS: dict[str, tuple[set[str], Values]] = {
    "product_identifier.of_products": (
        {"product_identifier_product"},
        lambda found: (found.brand_id, [found.product_id], 200),
    ),
    "product_link.of_products": (
        {"product_link_newest"},
        lambda found: (found.brand_id, [found.product_id]),
    ),
    "product_link.get": ({"product_link_pkey"}, lambda found: (found.brand_id, found.product_id)),
    "api_key.by_client_id": ({"api_key_client_id_key"}, lambda _: ("mk_acme7",)),
    "member.user_of_subject": ({"app_user_subject"}, lambda _: ("https://a.example", "x")),
}


@pytest_asyncio.fixture
async def catalogue(world: World, dsn: str) -> AsyncIterator[Catalogue]:
    async with connected(dsn) as connection:
        await connection.execute(ROWS)
        product_id = await connection.fetchval(
            "select id from product where brand_id = $1 order by id limit 1", world.brand_id
        )
        yield Catalogue(connection, world.brand_id, world.user_ids["owner"], product_id)


async def test_a_list_is_one_range_of_its_index(catalogue: Catalogue) -> None:
    for name, (index, values) in LISTS.items():
        plan = await plan_of(
            catalogue.connection, cast(Filled, catalogue), name, *values(catalogue), analyze=True
        )
        (scan,) = plan.scans(index)
        assert "created_at" in scan["Index Cond"], name
        assert not plan.read_through, name
        assert not plan.kinds() & {"Sort", "Incremental Sort"}, name
        assert plan.rows_read(scan["Relation Name"]) <= PAGE, name


async def test_the_rest_reads_by_its_key(catalogue: Catalogue) -> None:
    for name, (indexes, values) in OTHERS.items():
        plan = await plan_of(
            catalogue.connection, cast(Filled, catalogue), name, *values(catalogue)
        )
        assert indexes <= plan.indexes, (name, plan.nodes)
        assert not plan.read_through, name
