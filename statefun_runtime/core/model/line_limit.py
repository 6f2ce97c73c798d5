"""How often something is said that may happen very often."""

_LINES_PER_SECOND = 5


class LineLimit:
    """Lets a few lines a second through, and counts the others."""

    def __init__(self) -> None:
        self._second = 0
        self._taken = 0
        self._left_out = 0

    def take(self, now_s: float) -> int | None:
        """Return how many lines were left out before this one, or None if it is to be left out too."""
        if int(now_s) != self._second:
            self._second, self._taken = int(now_s), 0
        if self._taken >= _LINES_PER_SECOND:
            self._left_out += 1
            return None
        self._taken += 1
        left_out, self._left_out = self._left_out, 0
        return left_out
