"""Brands share nothing: every key leads with brand_id, every statement stays in one brand.

So the schema can be distributed by brand_id unchanged (`sql/distribute.sql`), and a platform be split by
brands. What is an exception is named here with its reason, and in docs/concepts/tenancy.md. Not here:
row-level security (`test_row_level_security`).
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mintage.db.queries import Statement, all_statements
from tests.schema.catalog import TABLES_WITHOUT_BRAND_CONTENT, connected, tables

PAGE = (Path(__file__).parents[2] / "docs" / "concepts" / "tenancy.md").read_text("utf-8")
KEYS_OF_NO_BRAND = {
    "brand_pkey": "brands themselves",
    "brand_slug_key": "a brand's name in its first host",
    "brand_host_pkey": "a request names its host, and no brand",
    "app_user_pkey": "people are members of several brands",
    "app_user_email_key_key": "people sign in by e-mail, in no brand",
    "app_user_subject": "people of a foreign issuer sign in by it, in no brand",
    "user_session_pkey": "a session is a person's",
    "user_session_user_id_fkey": "a session is a person's",
    "brand_member_user_id_fkey": "people are members of several brands",
    "api_key_client_id_key": "a client signs in by it, and names no brand",
    "work_item_pkey": "the queue is read by kind, over all brands, on one machine",
    "brand_turn_pkey": "the queue is read by kind, over all brands, on one machine",
    "rate_limit_pkey": "the key is a hash that has the brand in it",
}
STATEMENTS_OF_NO_BRAND = {
    "api_key.by_client_id": "a client signs in and names no brand",
    "account.brands_of_user": "a sign-in is told in the brands of one person",
    "brand.of_user": "the brands of one person",
    "invariant_check.claim": "what is due next over all brands",
    "mint_job.brands_with_old_preflights": "a duty finds the brands, and works in each",
    "mint_job.find_anywhere": "a job is executed by its id alone: its brand is found by it",
    "resolve.at_host": "the brand is found by its host, and all else looked for in it",
    "tally.brands_with_deltas": "a duty finds the brands, and works in each",
    "webhook.due": "the sender finds webhooks, and works in the brand of each",
    "webhook_delivery.state": "figures of the queue",
    "work_item.claim": "the next item over all brands in turn",
    "work_item.claim_one": "a job is executed by its id alone",
    "work_item.state": "figures of the queue",
}
_KEYS = """
select con.conname::text as name, rel.relname::text as table_name, att.attname::text as leads,
  coalesce(target.relname, '')::text as target, coalesce(target_att.attname, '')::text as target_leads
from pg_constraint as con
join pg_class as rel on rel.oid = con.conrelid
join pg_attribute as att on att.attrelid = rel.oid and att.attnum = con.conkey[1]
left join pg_class as target on target.oid = con.confrelid
left join pg_attribute as target_att
  on target_att.attrelid = target.oid and target_att.attnum = con.confkey[1]
where con.contype = 'f' and rel.relnamespace = 'public'::regnamespace and not rel.relispartition
union all
select rel.relname, owner.relname, att.attname, '', ''
from pg_index as ind
join pg_class as rel on rel.oid = ind.indexrelid
join pg_class as owner on owner.oid = ind.indrelid
join pg_attribute as att on att.attrelid = owner.oid and att.attnum = ind.indkey[0]
where ind.indisunique and owner.relnamespace = 'public'::regnamespace and not owner.relispartition
  and owner.relname <> 'schema_migration'
order by 1
"""


async def test_every_unique_and_foreign_key_leads_with_the_brand(dsn: str) -> None:
    async with connected(dsn) as connection:
        keys = await connection.fetch(_KEYS)
    assert len(keys) > 60
    apart = {key["name"] for key in keys if key["leads"] != "brand_id"}
    assert apart == KEYS_OF_NO_BRAND.keys(), "lead with brand_id, or give the reason here"
    for key in keys:
        if key["target"] and key["name"] not in KEYS_OF_NO_BRAND:
            leads = "id" if key["target"] == "brand" else "brand_id"
            assert key["target_leads"] == leads, f"{key['name']} leads to another brand's rows"


async def test_only_tables_without_brand_content_have_keys_of_no_brand(dsn: str) -> None:
    async with connected(dsn) as connection:
        keys = await connection.fetch(_KEYS)
    of = {key["table_name"] for key in keys if key["name"] in KEYS_OF_NO_BRAND}
    assert of <= TABLES_WITHOUT_BRAND_CONTENT


def _text(statement: Statement) -> str:
    return re.sub(r"--.*", "", statement.text)


def _reads(text: str, table: str) -> bool:
    return re.search(rf"\b(?:from|join|update|into|using)\s+{table}\b", text) is not None


def _is_bound(text: str) -> bool:
    """True if the brand is a parameter: compared with, inserted as, or handed to a function."""
    if "kind = $1" in text:  # The queue's statements name the kind first, and then the brand.
        return "brand_id = $2" in text
    bound = r"brand_id = \$[12]\b|select\s+('\w+',\s+)?\$1,|values\s*\(('\w+',\s+)?\$1,"
    return re.search(bound, text) is not None


async def _branded(dsn: str) -> set[str]:
    async with connected(dsn) as connection:
        rows = await connection.fetch(
            "select attrelid::regclass::text as name from pg_attribute where attname = 'brand_id' "
            "and not attisdropped"
        )
        return {row["name"] for row in rows} & await tables(connection)


async def test_every_statement_stays_in_one_brand(dsn: str) -> None:
    branded = await _branded(dsn)
    assert len(branded) > 25
    crossing = {
        f"{each.noun}.{each.name}"
        for each in all_statements()
        if any(_reads(_text(each), table) for table in branded) and not _is_bound(_text(each))
    }
    assert crossing == STATEMENTS_OF_NO_BRAND.keys(), "name the brand, or give the reason here"


async def test_every_reading_of_a_brands_table_names_the_brand(dsn: str) -> None:
    """As often as a statement reads tables of brands, it compares a brand_id."""
    branded = await _branded(dsn)
    careless = {}
    for each in all_statements():
        name, text = f"{each.noun}.{each.name}", _text(each)
        if name in STATEMENTS_OF_NO_BRAND:
            continue
        read = [
            table
            for table in branded
            for _ in re.finditer(rf"\b(?:from|join|update)\s+{table}\b(?!\s+set)", text)
        ]
        named = len(re.findall(r"\bbrand_id\b\s*(?:=|,)|\(brand_id|=\s*\w+\.brand_id", text))
        if len(read) > named:
            careless[name] = (sorted(read), named)
    assert careless == {}


@pytest.mark.parametrize("text", ["select id from product where sku_key = $1"])
def test_a_statement_that_crosses_brands_is_seen(text: str) -> None:
    assert _reads(text, "product")
    assert not _is_bound(text)


def test_the_page_shows_each_exception_with_its_reason() -> None:
    for name, reason in {**KEYS_OF_NO_BRAND, **STATEMENTS_OF_NO_BRAND}.items():
        assert f"| `{name}` | {reason} |" in PAGE, f"docs/concepts/tenancy.md lacks {name}"
