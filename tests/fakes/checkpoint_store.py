"""The CheckpointStore port in memory."""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from statefun_runtime.core.checkpoint import Manifest, StoredFile
from statefun_runtime.ports.checkpoint_store import Unpublished


class MemoryCheckpoints:
    """A CheckpointStore; `kept` like the real one."""

    def __init__(self, *, kept: int = 3) -> None:
        self._kept = kept
        self._saved: dict[int, tuple[Manifest, dict[str, bytes], Unpublished]] = {}

    def latest(self) -> Manifest | None:
        return self._saved[max(self._saved)][0] if self._saved else None

    def save(
        self, manifest: Manifest, snapshot: Callable[[Path], None], unpublished: Unpublished
    ) -> None:
        assert manifest.number not in self._saved
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name) / "state"
            snapshot(folder)
            files = {path.name: path.read_bytes() for path in folder.iterdir()}
        described = tuple(StoredFile(name, len(data), "") for name, data in files.items())
        whole = replace(manifest, files=described)
        self._saved[manifest.number] = (whole, files, tuple(unpublished))
        for number in sorted(self._saved)[: -self._kept]:
            del self._saved[number]

    def restore(self, manifest: Manifest, folder: Path) -> Unpublished:
        _, files, unpublished = self._saved[manifest.number]
        folder.mkdir(parents=True)
        for name, data in files.items():
            (folder / name).write_bytes(data)
        return unpublished
