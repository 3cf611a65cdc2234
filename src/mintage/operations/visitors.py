"""Who visits the console: the account of a session that holds, and its brands, in one read.

Not here: opening and ending sessions (`accounts`), and the console's cookie.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mintage.errors import FORBIDDEN, MintageError
from mintage.operations import accounts
from mintage.operations.arguments import Arguments, ListMyBrands, Uuid
from mintage.operations.brands import list_my_brands
from mintage.operations.call import Answer, Call


class FindVisitor(Arguments):
    session_id: Annotated[Uuid, Field(description="the UUID of a session")]
    brands_max: Annotated[int, Field(ge=1, le=200, description="an integer from 1 to 200")]


async def find_visitor(call: Call, arguments: FindVisitor) -> Answer:
    """`{ok, email, brands, next_cursor, has_more}`; `email` is None where the caller's session has ended.

    Brands as `list_my_brands` answers them, its first page.
    """
    if call.caller.id is None:
        raise MintageError(FORBIDDEN)
    found = await accounts.account_of_session(call, arguments.session_id, call.caller.id)
    if found is None:
        return {"ok": True, "email": None, "brands": [], "next_cursor": None, "has_more": False}
    page = await list_my_brands(call, ListMyBrands.model_validate({"_limit": arguments.brands_max}))
    return {**page, "email": found[0].email}
