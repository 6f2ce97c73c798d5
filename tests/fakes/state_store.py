"""The StateStore port on a dict."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from statefun_runtime.core.checkpoints.overlay import Row
from statefun_runtime.core.model.messages import field, split_fields

_FILE = "rows.fake"


class DictStore:
    """A StateStore; `folder` may hold a snapshot to begin with. `gets` counts reads."""

    def __init__(self, folder: Path | None = None) -> None:
        self.rows: dict[bytes, bytes] = {}
        self.gets = 0
        self.writes: list[list[Row]] = []
        if folder is not None and (folder / _FILE).exists():
            parts = list(split_fields((folder / _FILE).read_bytes()))
            contents = [_content(part) for part in parts]
            self.rows = dict(zip(contents[::2], contents[1::2], strict=True))

    def get(self, key: bytes) -> bytes | None:
        self.gets += 1
        return self.rows.get(key)

    def write(self, rows: Sequence[Row]) -> None:
        self.writes.append(list(rows))
        for key, value in rows:
            if value is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = value

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        yield from sorted((key, row) for key, row in self.rows.items() if key.startswith(prefix))

    def flush(self) -> None:
        pass

    def snapshot(self, folder: Path) -> None:
        folder.mkdir()
        parts = (field(b"\x0a", part) for row in self.rows.items() for part in row)
        (folder / _FILE).write_bytes(b"".join(parts))

    def close(self) -> None:
        pass


def _content(encoded: bytes) -> bytes:
    offset = 1
    while encoded[offset] >= 0x80:
        offset += 1
    return encoded[offset + 1 :]
