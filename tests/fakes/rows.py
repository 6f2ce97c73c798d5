"""The Rows port as a dict."""

from collections.abc import Iterator


class DictRows:
    """Rows; nothing is ever lost."""

    def __init__(self) -> None:
        self.rows: dict[bytes, bytes] = {}

    def read(self, key: bytes) -> bytes | None:
        return self.rows.get(key)

    def write(self, key: bytes, value: bytes | None) -> None:
        if value is None:
            self.rows.pop(key, None)
        else:
            self.rows[key] = value

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        yield from sorted(
            (key, value) for key, value in self.rows.items() if key.startswith(prefix)
        )
