"""Signing in and out, choosing a brand, light or dark."""

from __future__ import annotations

import re
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from mintage.console.cookies import Cookies
from mintage.console.door import ConsoleDoor
from mintage.console.endpoint import SIGN_IN, require_same_origin
from mintage.console.forms import Form, read_form
from mintage.console.render import THEMES, go_to, page, plain_page
from mintage.console.texts import text
from mintage.console.visit import Visit, visit_of
from mintage.db.queries import query
from mintage.errors import METHOD_NOT_ALLOWED, RATE_LIMITED, MintageError
from mintage.operations import accounts
from mintage.operations.call import ANONYMOUS, Call
from mintage.tokens import Session

HOME: Final = "/console/"
_NOW: Final = query("access", "now")
_PAGE_OF_OURS: Final = re.compile(r"/console/[A-Za-z0-9/_.-]*")
_PASSWORD_CHARACTERS_MAX: Final = 1024
_EMAIL_CHARACTERS_MAX: Final = 254


async def sign_in(door: ConsoleDoor, request: Request) -> Response:
    """`GET` the form, `POST` it; leads on to the page that was asked for."""
    match request.method:
        case "GET" | "HEAD":
            wanted = _page_of_ours(request.query_params.get("next", ""))
            if await visit_of(door, request) is not None:
                return go_to(request, wanted)
            return plain_page(request, "sign_in.html", wanted=wanted, email="", problem=None)
        case "POST":
            require_same_origin(door, request)
            return await _signed_in(door, request)
    raise MintageError(METHOD_NOT_ALLOWED)


async def _signed_in(door: ConsoleDoor, request: Request) -> Response:
    form = await read_form(request, door.platform.limits)
    email, password = form.get("email"), form.fields.get("password", "")
    wanted = _page_of_ours(form.get("next"))
    problem, status = "sign_in.wrong", 400
    opened = None
    try:
        if (
            email
            and password
            and len(email) <= _EMAIL_CHARACTERS_MAX
            and len(password) <= _PASSWORD_CHARACTERS_MAX
        ):
            opened = await door.sign_in(request, email, password)
    except MintageError as error:
        if error.kind is not RATE_LIMITED:
            raise
        problem, status = "sign_in.too_often", 429
    if opened is None:
        return plain_page(
            request,
            "sign_in.html",
            status=status,
            wanted=wanted,
            email=email,
            problem=text(problem),
        )
    response = go_to(request, wanted)
    Cookies(door.secrets, door.is_https).set_session(
        response, Session(opened.account.id, opened.id)
    )
    return response


async def sign_out(visit: Visit, _form: Form) -> Response:
    """End the session, in this browser and wherever its token went."""
    platform = visit.door.platform
    async with platform.database.transaction(ANONYMOUS.identity(None)) as connection:
        now = platform.pinned_now or await connection.fetchval(_NOW)
        call = Call(connection, ANONYMOUS, None, None, now, platform.limits, visit.request_id)
        await accounts.end_sessions(call, visit.session.user_id, visit.session.session_id, "local")
    response = go_to(visit.request, SIGN_IN)
    Cookies(visit.door.secrets, visit.door.is_https).clear_session(response)
    return response


async def home(visit: Visit) -> Response:
    """The one brand's overview, or the brands to choose from."""
    if len(visit.brands) == 1:
        return go_to(visit.request, visit.brands[0].url())
    return page(visit, "brands.html")


async def set_theme(visit: Visit, form: Form) -> Response:
    """Light, dark, or what the browser prefers; back to the page it was chosen on."""
    theme = form.get("theme")
    response = go_to(visit.request, _page_of_ours(form.get("next")))
    if theme in THEMES:
        Cookies(visit.door.secrets, visit.door.is_https).set_theme(response, theme)
    return response


def _page_of_ours(address: str) -> str:
    """`address` if it is a page of the console; else its first page. Nothing leads elsewhere."""
    is_ours = _PAGE_OF_OURS.fullmatch(address) is not None and "//" not in address
    return address if is_ours and not address.startswith(SIGN_IN) else HOME
