"""Files that are replaced while the worker runs, such as certificates and tokens."""

import os
import time
from collections.abc import Callable, Sequence

_LOOK_EVERY_S = 1.0

Stamp = tuple[int, int, int] | None


class ChangingFiles:
    """Tells whether one of some files was written or replaced; it looks at most once a second."""

    def __init__(self, paths: Sequence[str], now_s: Callable[[], float] = time.monotonic) -> None:
        self._paths = paths
        self._now_s = now_s
        self._looked_s = now_s()
        self._stamps = self._look()

    def have_changed(self) -> bool:
        """Return whether a file is another than at the last True, or at the beginning."""
        if not self._paths:
            return False
        now_s = self._now_s()
        if now_s - self._looked_s < _LOOK_EVERY_S:
            return False
        self._looked_s = now_s
        # What is read after this may be newer; then the next look sees it once more, which does no harm.
        before, self._stamps = self._stamps, self._look()
        return self._stamps != before

    def _look(self) -> list[Stamp]:
        return [_stamp(path) for path in self._paths]


def _stamp(path: str) -> Stamp:
    """Return what changes with a file; links are followed, since Kubernetes replaces the link."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
