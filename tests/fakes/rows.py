"""The Rows port as a dict."""

from collections.abc import Iterator

from statefun_runtime.errors import UnavailableError


class DictRows:
    """Rows; nothing is ever lost, and while `is_away` nothing can be read."""

    def __init__(self) -> None:
        self.rows: dict[bytes, bytes] = {}
        self.is_away = False

    def read(self, key: bytes) -> bytes | None:
        if self.is_away:
            raise UnavailableError("the rows cannot be read", code="SF3016")
        return self.rows.get(key)

    def write(self, key: bytes, value: bytes | None) -> None:
        if value is None:
            self.rows.pop(key, None)
        else:
            self.rows[key] = value

    def scan_sizes(self, prefix: bytes) -> Iterator[tuple[bytes, int]]:
        yield from sorted(
            (key, len(value)) for key, value in self.rows.items() if key.startswith(prefix)
        )
