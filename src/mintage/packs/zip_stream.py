"""A ZIP file in pieces, as its entries come: nothing is kept but the directory and what was not taken yet.

Sizes and checksums stand in each entry's own header, as readers of streams want them: an entry is written
whole before it is handed on. All entries have one time, so the same entries give the same bytes.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

_CHUNK_BYTES: Final = 256 * 1024
_DEFLATE_LEVEL: Final = 6
_UNIX: Final = 3
_MODE: Final = 0o100644 << 16


@dataclass(frozen=True, slots=True)
class ZipEntry:
    """One file in it. `is_deflated`: worth compressing."""

    name: str
    content: bytes
    is_deflated: bool


def zip_stream(entries: Iterable[ZipEntry], moment: datetime) -> Iterator[bytes]:
    """The file's bytes in order, in chunks of some 256 KB; entries are dated `moment`, in UTC."""
    sink = _Sink()
    date_time = moment.astimezone(UTC).timetuple()[:6]
    # Closed by hand: at the `with` of a generator that nobody finishes, there is nothing to write to.
    archive = zipfile.ZipFile(sink, "w")
    for entry in entries:
        info = zipfile.ZipInfo(entry.name, date_time)
        info.create_system = _UNIX
        info.external_attr = _MODE
        info.compress_type = zipfile.ZIP_DEFLATED if entry.is_deflated else zipfile.ZIP_STORED
        archive.writestr(info, entry.content, compresslevel=_DEFLATE_LEVEL)
        if sink.pending_bytes >= _CHUNK_BYTES:
            yield sink.take()
    archive.close()
    yield sink.take()


class _Sink(io.RawIOBase):
    """A file whose beginning is gone: what was taken cannot be gone back to, what is pending can."""

    def __init__(self) -> None:
        self._taken_bytes = 0
        self._pending = io.BytesIO()

    @property
    def pending_bytes(self) -> int:
        return self._pending.getbuffer().nbytes

    def take(self) -> bytes:
        content = self._pending.getvalue()
        self._taken_bytes += len(content)
        self._pending = io.BytesIO()
        return content

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._taken_bytes + self._pending.tell()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_SET:
            offset -= self._taken_bytes
        return self._taken_bytes + self._pending.seek(offset, whence)

    def write(self, data: object) -> int:
        return self._pending.write(data)  # type: ignore[arg-type]
