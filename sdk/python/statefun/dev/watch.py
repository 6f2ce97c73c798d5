"""Which source files have changed."""

import os
from collections.abc import Iterator
from pathlib import Path

_SOURCES = frozenset({".py", ".js", ".mjs", ".cjs", ".ts", ".go"})
_LEFT_OUT = frozenset({"node_modules", "__pycache__", "venv", "build", "dist"})


class Watch:
    """Looks at the source files below a folder; hidden folders, and those that tools make, are left out."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen = dict(self._look())

    def changed(self) -> list[str]:
        """Return which files were changed, added or removed since the last look."""
        before, self._seen = self._seen, dict(self._look())
        names = {*before, *self._seen}
        return sorted(name for name in names if before.get(name) != self._seen.get(name))

    def _look(self) -> Iterator[tuple[str, int]]:
        for folder, folders, files in os.walk(self._folder):
            folders[:] = [one for one in folders if one[0] != "." and one not in _LEFT_OUT]
            for name in files:
                path = os.path.join(folder, name)
                if os.path.splitext(name)[1] in _SOURCES:
                    try:
                        yield os.path.relpath(path, self._folder), os.stat(path).st_mtime_ns
                    except FileNotFoundError:
                        # An editor puts another file in its place.
                        continue
