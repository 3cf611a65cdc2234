"""One request of somebody who has signed in: who it is, in which brand, and what they may ask.

Everything is asked by `perform`, as through every door; the console has no way of its own to data. Not
here: what a page shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, cast
from uuid import UUID

from mintage.console.cookies import COOKIE, Cookies
from mintage.console.door import ConsoleDoor
from mintage.console.reads_together import ReadsTogether
from mintage.console.texts import text
from mintage.errors import (
    FORBIDDEN,
    INVALID_INPUT,
    ROUTE_NOT_FOUND,
    SUBJECT_NOT_FOUND,
    MintageError,
)
from mintage.operations.call import Caller
from mintage.operations.visitors import Visitor, find_visitor
from mintage.perform import perform
from mintage.rpcs import RPCS, Rpc
from mintage.rules.roles import Action, BrandRole, role_may
from mintage.tokens import Session, TokenRefused

if TYPE_CHECKING:
    from starlette.requests import Request

_BRANDS_A_PAGE: Final = 200
_BRAND_PAGES_MAX: Final = 50


@dataclass(frozen=True, slots=True)
class Brand:
    """A brand that the visitor is a member of, and as what."""

    id: UUID
    slug: str
    name: str
    role: BrandRole

    def may(self, action: Action) -> bool:
        """True if the visitor's role allows `action`: controls of others are not shown."""
        return role_may(self.role, action)

    def url(self, path: str = "") -> str:
        """The address of one of the brand's pages."""
        return f"/console/b/{self.slug}/{path}"


@dataclass(frozen=True, slots=True)
class Visit:
    """A request of a signed-in user. `brand` is None on pages of no brand."""

    door: ConsoleDoor
    request: Request
    session: Session
    email: str
    brands: tuple[Brand, ...]
    reads: ReadsTogether
    brand: Brand | None = None

    @property
    def here(self) -> Brand:
        """The brand of the page."""
        if self.brand is None:
            raise RuntimeError("this page is of no brand")
        return self.brand

    @property
    def request_id(self) -> str:
        request_id: str = self.request.state.request_id
        return request_id

    @property
    def form_token(self) -> str:
        return Cookies(self.door.secrets, self.door.is_https).form_token(self.session)

    async def ask(self, rpc_name: str, /, **arguments: object) -> dict[str, Any]:
        """Perform an RPC in the page's brand; arguments without the underscore, None left out.

        Raises `MintageError` as every door does. `ok` may be false.
        """
        return await self.ask_own(RPCS[rpc_name], **arguments)

    async def ask_own(self, rpc: Rpc, /, **arguments: object) -> dict[str, Any]:
        """As `ask`, a row of the console's own: it is in no public table, and authorized alike."""
        raw = self._raw(rpc, arguments)
        if rpc.is_read_only and rpc.audience == "brand" and not rpc.opens_transactions:
            return await self.reads.read(rpc, raw)
        caller = Caller("user", self.session.user_id)
        answer = await perform(self.door.platform, caller, rpc, raw, self.request_id)
        return cast("dict[str, Any]", dict(answer))

    async def find(self, rpc: Rpc, missing: str, /, **arguments: object) -> dict[str, Any]:
        """As `ask_own`, for the subject of the page: 404 with the text `missing` where there is none."""
        try:
            return await self.ask_own(rpc, **arguments)
        except MintageError as error:
            if error.kind not in {INVALID_INPUT, SUBJECT_NOT_FOUND}:
                raise
            raise MintageError(ROUTE_NOT_FOUND, message=text(missing)) from None

    def id_in_address(self, missing: str) -> UUID:
        """The id of the page's subject; 404 with the text `missing` if the address has none."""
        try:
            return UUID(self.request.path_params["id"])
        except ValueError:
            raise MintageError(ROUTE_NOT_FOUND, message=text(missing)) from None

    def _raw(self, rpc: Rpc, arguments: Mapping[str, object]) -> dict[str, object]:
        raw: dict[str, object] = {
            f"_{name}": _wire(value) for name, value in arguments.items() if value is not None
        }
        if rpc.audience == "brand":
            raw["_brand_id"] = str(self.here.id)
        return raw

    def in_brand(self, slug: str) -> Visit:
        """The visit on a page of the brand. 403 for a brand of others, as for one there is not."""
        for brand in self.brands:
            if brand.slug == slug:
                return replace(self, brand=brand)
        raise MintageError(FORBIDDEN)

    async def count(self) -> None:
        """Count the page as one call of the visitor in its brand, beside his calls of the API (SPEC §2).

        What the page asks for is not counted again. Raises `MintageError` 429.
        """
        platform = self.door.platform
        await platform.rates.count(
            platform.database,
            platform.limits,
            f"user {self.session.user_id}",
            None if self.brand is None else self.brand.id,
        )

    def require(self, action: Action) -> None:
        """403 unless the visitor's role allows `action`; `perform` checks again."""
        if not self.here.may(action):
            raise MintageError(FORBIDDEN)


async def visit_of(door: ConsoleDoor, request: Request) -> Visit | None:
    """The visit, if the cookie names a session that holds; None for somebody unknown."""
    token = request.cookies.get(COOKIE)
    if token is None:
        return None
    try:
        session = Cookies(door.secrets, door.is_https).read_session(token)
    except TokenRefused:
        return None
    caller = Caller("user", session.user_id)
    request_id = request.state.request_id
    found = await find_visitor(
        door.platform.transactions(caller, request_id), session.session_id, _BRANDS_A_PAGE
    )
    if found is None:
        return None
    reads = ReadsTogether(door.platform, caller, request_id)
    visit = Visit(door, request, session, found.email, (), reads)
    return replace(visit, brands=await _brands_of(visit, found))


async def _brands_of(visit: Visit, found: Visitor) -> tuple[Brand, ...]:
    """The visitor's brands by name."""
    brands = [Brand(each.id, each.slug, each.name, each.role) for each in found.brands]
    if found.has_more:
        brands = await _many_brands(visit)
    return tuple(sorted(brands, key=lambda brand: (brand.name.casefold(), brand.slug)))


async def _many_brands(visit: Visit) -> list[Brand]:
    brands: list[Brand] = []
    cursor = None
    for _ in range(_BRAND_PAGES_MAX):
        page = await visit.ask("list_my_brands", limit=_BRANDS_A_PAGE, cursor=cursor)
        brands += [
            Brand(each["id"], each["slug"], each["name"], each["role"]) for each in page["brands"]
        ]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    return brands


def _wire(value: object) -> object:
    """A value as it would stand in a JSON body."""
    match value:
        case UUID():
            return str(value)
        case datetime():
            return value.isoformat()
        case Mapping():
            return {key: _wire(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_wire(inner) for inner in value]
    return value
