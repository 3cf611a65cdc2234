"""Who visits the console: the account of a session that holds, and its brands, in one read.

Not here: opening and ending sessions (`accounts`), and the console's cookie.
"""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from mintage.db.queries import query
from mintage.errors import FORBIDDEN, MintageError
from mintage.operations.arguments import Arguments, Uuid
from mintage.operations.brands import BrandOfCaller, brands_page
from mintage.operations.call import Answer, Call

_VISITOR: Final = query("account", "visitor")


class FindVisitor(Arguments):
    session_id: Annotated[Uuid, Field(description="the UUID of a session")]
    brands_max: Annotated[int, Field(ge=1, le=200, description="an integer from 1 to 200")]


async def find_visitor(call: Call, arguments: FindVisitor) -> Answer:
    """`{ok, email, brands, next_cursor, has_more}`; `email` is None where the caller's session has ended.

    Brands as `list_my_brands` answers them, its first page.
    """
    if call.caller.id is None:
        raise MintageError(FORBIDDEN)
    rows = await call.connection.fetch(
        _VISITOR, arguments.session_id, call.caller.id, call.now, arguments.brands_max + 1
    )
    if not rows:
        return {"ok": True, "email": None, "brands": [], "next_cursor": None, "has_more": False}
    brands = [BrandOfCaller(*row[1:]) for row in rows if row["id"] is not None]
    return {**brands_page(call, brands, arguments.brands_max), "email": rows[0]["email"]}
