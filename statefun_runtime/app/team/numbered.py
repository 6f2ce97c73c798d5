"""Lines of several workers in one log: each says whose it is."""

import logging


class Numbered(logging.Formatter):
    """Puts a worker's number in front of what another formatter makes: `[2] …`, or a field of an object."""

    def __init__(self, before: logging.Formatter, slot: int) -> None:
        super().__init__()
        self._before = before
        self._slot = slot

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line = self._before.format(record)
        if line.startswith("{"):
            return f'{{"worker": {self._slot}, {line[1:]}'
        return f"[{self._slot}] {line}"


def number_logs(slot: int) -> None:
    """Have all that this process logs from now on carry its worker's number."""
    for handler in logging.getLogger().handlers:
        handler.setFormatter(Numbered(handler.formatter or logging.Formatter(), slot))
