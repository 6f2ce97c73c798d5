"""How long each of several steps took that follow one another: for a line in the log."""

from collections.abc import Callable


class Phases:
    """Begins when it is made; `ended` is said at the end of each step."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._last_s = now_s()
        self._took: list[str] = []

    def ended(self, step: str) -> None:
        """A step has ended, and the next one begins."""
        now_s = self._now_s()
        self._took.append(f"{step} {(now_s - self._last_s) * 1000:.0f} ms")
        self._last_s = now_s

    def __str__(self) -> str:
        return ", ".join(self._took)
