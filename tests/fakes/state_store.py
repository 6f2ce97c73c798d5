"""The StateStore port on a dict."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from statefun_runtime.core.checkpoints.overlay import Row
from statefun_runtime.core.model.messages import field, split_fields
from statefun_runtime.errors import UnavailableError

_FILE = "rows.fake"


class DictStore:
    """A StateStore; `folder` may hold a snapshot to begin with.

    `gets` counts reads; while `is_broken` nothing can be read or written, and what cannot be written breaks it.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.rows: dict[bytes, bytes] = {}
        self.gets = 0
        self.writes: list[list[Row]] = []
        self.is_broken = self.is_closed = False
        if folder is not None and (folder / _FILE).exists():
            parts = list(split_fields((folder / _FILE).read_bytes()))
            contents = [_content(part) for part in parts]
            self.rows = dict(zip(contents[::2], contents[1::2], strict=True))

    def get(self, key: bytes) -> bytes | None:
        self._check()
        self.gets += 1
        return self.rows.get(key)

    def write(self, rows: Sequence[Row]) -> None:
        self._check()
        self.writes.append(list(rows))
        for key, value in rows:
            if value is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = value

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        self._check()
        for key, row in sorted(one for one in self.rows.items() if one[0].startswith(prefix)):
            yield key, row
            self._check()

    def scan_sizes(self, prefix: bytes) -> Iterator[tuple[bytes, int]]:
        return ((key, len(row)) for key, row in self.scan(prefix))

    def scan_keys(self, prefix: bytes, start: bytes) -> Iterator[bytes]:
        return (key for key, _ in self.scan(prefix) if key >= start)

    def flush(self) -> None:
        self._check()

    def snapshot(self, folder: Path) -> None:
        self._check()
        folder.mkdir()
        parts = (field(b"\x0a", part) for row in self.rows.items() for part in row)
        (folder / _FILE).write_bytes(b"".join(parts))

    def close(self) -> None:
        self.is_closed = True

    def discard(self) -> None:
        self.close()

    def _check(self) -> None:
        if self.is_closed or self.is_broken:
            raise UnavailableError("the store is closed or broken", code="SF3016")


def _content(encoded: bytes) -> bytes:
    offset = 1
    while encoded[offset] >= 0x80:
        offset += 1
    return encoded[offset + 1 :]
