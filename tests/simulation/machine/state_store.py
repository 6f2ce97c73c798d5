"""The StateStore port as a dict: thrown away at a crash, and after a failed write it refuses everything."""

from collections.abc import Callable, Iterator, Sequence

from statefun_runtime.core.checkpoints.delta import MAGIC, decode_rows, encode_rows
from statefun_runtime.core.checkpoints.overlay import Row
from statefun_runtime.errors import UnavailableError
from tests.simulation.machine.fake_disk import FakePath
from tests.simulation.machine.loop import PROCESS


class DictStore:
    """A StateStore; `folder` may hold the files of a snapshot. Its table files are split by key, as a store's are."""

    def __init__(self, folder: FakePath, fails: Callable[[], bool]) -> None:
        self._fails = fails
        self._rows: dict[bytes, bytes] = {}
        self._is_broken = False
        for path in folder.glob("*.sst") if folder.exists() else ():
            self._rows.update((k, v) for k, v in decode_rows(path.read_bytes()) if v is not None)
        self._number = 0

    def _check(self) -> None:
        process = PROCESS.get()
        if process is not None:
            process.check()
        if self._is_broken:
            raise UnavailableError("the store is broken", code="SF3016")

    def get(self, key: bytes) -> bytes | None:
        return self._rows.get(key)

    def write(self, rows: Sequence[Row]) -> None:
        self._check()
        if self._fails():
            self._is_broken = True
            self._check()
        for key, value in rows:
            if value is None:
                self._rows.pop(key, None)
            else:
                self._rows[key] = value

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        yield from sorted((k, v) for k, v in self._rows.items() if k.startswith(prefix))

    def flush(self) -> None:
        self._check()

    def snapshot(self, folder: FakePath) -> None:
        self._check()
        folder.mkdir()
        self._number += 1
        rows = sorted(self._rows.items())
        half = len(rows) // 2
        contents = {
            f"{self._number:06d}a.sst": MAGIC + encode_rows(rows[:half]),
            f"{self._number:06d}b.sst": MAGIC + encode_rows(rows[half:]),
            # Bases of different lives have files of the same content.
            "CURRENT": b"MANIFEST-000004\n",
        }
        for name, content in contents.items():
            with _open(folder / name) as file:
                file.write(content)

    def close(self) -> None:
        pass


def _open(path: FakePath):  # type: ignore[no-untyped-def]
    try:
        return path.open("wb")
    except OSError as error:
        raise UnavailableError(f"no snapshot: {error.strerror}", code="SF3016") from error
