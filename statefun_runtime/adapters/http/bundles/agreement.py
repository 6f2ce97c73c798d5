"""Whether the server behind a URL takes bundles, and how large they are to be.

    off ──an ordinary answer asks for them──▶ on ──an answer that is none──▶ off

While some replicas of a server take them and others do not, each answer says something else: after a refusal nothing is
heard for a while, which grows with every refusal that follows soon.

How many addresses go together is what the server answers within a moment of each other. One that works through them
one by one, and takes long for each, gets few, so that others of its processes have some too.
"""

from statefun_runtime.core.partition.request_size import RequestSize

VERSION = "1"
ADDRESSES_MAX = 256
# Until it is known how long the server takes for each.
_ADDRESSES_FIRST = 32
_ADDRESSES_MIN = 8
_LONG_S = 0.1
_LONG_WHOLE_S = 1.0
_PAUSE_FIRST_S = 0.1
_PAUSE_LAST_S = 60.0
# A refusal that comes so many pauses after the last one has nothing to do with it.
_FORGOTTEN = 10


class Agreement:
    """What the worker and the server behind one URL agree on; shared by the function types that are served there."""

    def __init__(self, bundle_bytes_max: int) -> None:
        self.is_on = False
        self.addresses_max = _ADDRESSES_FIRST
        self._size = RequestSize(bundle_bytes_max)
        self._pause_s = 0.0
        self._refused_s = 0.0

    @property
    def bytes_max(self) -> int:
        """How large a bundle of several batches may be."""
        return self._size.limit_bytes

    def asked(self, now_s: float) -> None:
        """An ordinary answer asks for bundles."""
        self.is_on = self.is_on or now_s - self._refused_s >= self._pause_s

    def refused(self, now_s: float) -> None:
        """A bundle was answered with something else than outcomes."""
        self.is_on = False
        is_fresh = now_s - self._refused_s > _FORGOTTEN * self._pause_s
        self._pause_s = _PAUSE_FIRST_S if is_fresh else min(2 * self._pause_s, _PAUSE_LAST_S)
        self._refused_s = now_s

    def too_large(self, size_bytes: int, now_s: float) -> None:
        """A bundle of this size was refused for its size; later ones are smaller, and asked for anew."""
        self.is_on = False
        self._size.refused(size_bytes, now_s)

    def answered(
        self, addresses: int, size_bytes: int, *, spread_s: float, whole_s: float, now_s: float
    ) -> None:
        """All outcomes of a bundle came: the last so long after the first, and so long after it was sent."""
        if self._size.is_learnt:
            self._size.passed(size_bytes, now_s)
        if addresses < self.addresses_max:
            return
        # Servers that answer all at once show it only in the whole.
        if spread_s > _LONG_S or whole_s > _LONG_WHOLE_S:
            self.addresses_max = max(_ADDRESSES_MIN, addresses // 2)
        elif spread_s < _LONG_S / 2 and whole_s < _LONG_WHOLE_S / 2:
            self.addresses_max = min(ADDRESSES_MAX, 2 * addresses)
