"""How large a request of a function type may be: what is configured, and less where its server has refused one.

    refused (413) ─▶ half of it, or the largest that went well since ──32 full ones go well──▶ an eighth more,
    but less than what was refused; that is forgotten after ten minutes

Without it every batch of a hot address behind a proxy with a small limit would be refused once before it is halved.
"""

_FULL_ONES_TO_GROW = 32
_REMEMBERED_S = 600.0
# What a request has beside address, states and invocations.
_FRAME_BYTES = 16


class RequestSize:
    """`limit_bytes` counts addresses, states and invocations; `is_learnt` says that it is less than configured."""

    __slots__ = (
        "_full_ones",
        "_most_bytes",
        "_passed_bytes",
        "_refused_bytes",
        "_refused_s",
        "is_learnt",
        "limit_bytes",
    )

    def __init__(self, request_bytes_max: int) -> None:
        self._most_bytes = self.limit_bytes = max(1, request_bytes_max - _FRAME_BYTES)
        self.is_learnt = False
        self._passed_bytes = 0
        self._refused_bytes = 0
        self._refused_s = 0.0
        self._full_ones = 0

    def refused(self, size_bytes: int, now_s: float) -> None:
        """A request of this size, which could have been smaller, is too large for the server."""
        if not size_bytes // 2 < self._passed_bytes < size_bytes:
            self._passed_bytes = 0
        self.limit_bytes = self._passed_bytes or max(1, size_bytes // 2)
        self._refused_bytes, self._refused_s = size_bytes, now_s
        self._full_ones = 0
        self.is_learnt = True

    def passed(self, size_bytes: int, now_s: float) -> None:
        """A request of this size went well; has to be told only while less is known to be taken than is configured."""
        self._passed_bytes = max(self._passed_bytes, size_bytes)
        if size_bytes * 8 < self.limit_bytes * 7:
            return
        self._full_ones += 1
        if self._full_ones == _FULL_ONES_TO_GROW:
            self._full_ones = 0
            self._grow(now_s)

    def _grow(self, now_s: float) -> None:
        most_bytes = self._most_bytes
        if now_s - self._refused_s <= _REMEMBERED_S:
            most_bytes = min(most_bytes, self._refused_bytes - 1)
        wanted_bytes = self.limit_bytes * 9 // 8 + 1
        self.limit_bytes = max(self.limit_bytes, min(wanted_bytes, most_bytes))
        self.is_learnt = self.limit_bytes < self._most_bytes
