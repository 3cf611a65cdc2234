"""Forms as they arrive: bounded, read once, every field a text.

Not here: what fields mean; a form's arguments are checked where every door's are (`operations.arguments`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import Request

from mintage.errors import (
    INVALID_INPUT,
    PAYLOAD_TOO_LARGE,
    ArgumentProblem,
    MintageError,
    invalid_input,
)

if TYPE_CHECKING:
    from starlette.types import Message

    from mintage.settings import Limits

FIELDS_MAX: Final = 500
BODY_TIMEOUT_S: Final = 60.0
_DIGITS_MAX: Final = 18
_MEDIA_TYPES: Final = ("application/x-www-form-urlencoded", "multipart/form-data")


@dataclass(frozen=True, slots=True)
class Form:
    """Texts by name (the last of several), all texts of a name, and files by name."""

    fields: Mapping[str, str]
    lists: Mapping[str, list[str]] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)

    def get(self, name: str) -> str:
        """The text of a field without blanks around it; empty where there is none."""
        return self.fields.get(name, "").strip()

    def optional(self, name: str) -> str | None:
        """As `get`, None for empty."""
        return self.get(name) or None

    def whole_number(self, name: str) -> int | None:
        """A field's whole number, thousands separators allowed; None for empty. 400 for another text."""
        given = self.get(name)
        if not given:
            return None
        digits = given.replace(",", "").replace(" ", "").replace("\u202f", "").replace("'", "")
        if not (digits.isascii() and digits.isdigit()):
            raise invalid_input(
                [
                    ArgumentProblem(
                        f"_{name}", f"{given[:40]} is no whole number", "give digits only"
                    )
                ]
            )
        return int(digits[:_DIGITS_MAX])  # More is too large wherever it goes.

    def lines(self, name: str) -> list[str]:
        """A field's lines without those that are empty; blanks around a line are cut off."""
        return [line.strip() for line in self.fields.get(name, "").splitlines() if line.strip()]

    def file_text(self, name: str) -> str | None:
        """An uploaded file as text (UTF-8, with or without a byte order mark); None for no file."""
        content = self.files.get(name)
        if not content:
            return None
        try:
            return content.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise invalid_input(
                [ArgumentProblem(f"_{name}", "the file is not text in UTF-8", "save it as UTF-8")]
            ) from None


async def read_form(request: Request, limits: Limits) -> Form:
    """The form of a POST. Raises `MintageError` 400, or 413 for more than the largest body."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in _MEDIA_TYPES:
        raise MintageError(INVALID_INPUT, message=f"{INVALID_INPUT.sentence}: a form is due here")
    counted = Request(request.scope, _Counted(request, limits.body_bytes_max_serials).receive)
    try:
        async with (
            asyncio.timeout(BODY_TIMEOUT_S),
            counted.form(
                max_files=4, max_fields=FIELDS_MAX, max_part_size=limits.body_bytes_max_serials
            ) as data,
        ):
            fields: dict[str, str] = {}
            lists: dict[str, list[str]] = {}
            files: dict[str, bytes] = {}
            for name, value in data.multi_items():
                if isinstance(value, UploadFile):
                    files[name] = await value.read()
                else:
                    if "\0" in name + value:
                        raise _refused("a form holds no NUL character")
                    fields[name] = value
                    lists.setdefault(name, []).append(value)
            return Form(fields, lists, files)
    except MultiPartException as problem:
        raise _refused(problem.message) from None
    except HTTPException as problem:
        # What Starlette makes of the same, inside an application of its own.
        raise _refused(problem.detail) from None
    except TimeoutError:
        raise _refused("the form did not arrive in time") from None


def _refused(problem: str) -> MintageError:
    return MintageError(INVALID_INPUT, message=f"{INVALID_INPUT.sentence}: {problem}")


@dataclass(slots=True)
class _Counted:
    """The request's messages, counted; 413 once they are more than `bytes_max`."""

    request: Request
    bytes_max: int
    counted: int = field(default=0, init=False)

    async def receive(self) -> Message:
        message = await self.request.receive()
        self.counted += len(message.get("body", b""))
        if self.counted > self.bytes_max:
            self.request.state.closes_connection = True
            sentence = PAYLOAD_TOO_LARGE.sentence.format(bytes_max=self.bytes_max)
            raise MintageError(PAYLOAD_TOO_LARGE, message=sentence)
        return message
