"""The StateStore port as a dict: thrown away at a crash, and after a failure it refuses to write, or everything."""

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from statefun_runtime.core.checkpoints.delta import MAGIC, decode_rows, encode_rows
from statefun_runtime.core.checkpoints.overlay import Row
from statefun_runtime.errors import UnavailableError
from tests.simulation.machine.fake_disk import FakePath
from tests.simulation.machine.loop import PROCESS

# What a store that fails refuses from then on: to write, or to be read, too.
Failure = Literal["writes", "everything"]


class DictStore:
    """A StateStore; `folder` may hold the files of a snapshot. Its table files are split by key, as a store's are."""

    def __init__(self, folder: FakePath, fails: Callable[[], Failure | None]) -> None:
        self._fails = fails
        self._rows: dict[bytes, bytes] = {}
        self._is_broken = self._is_blind = self._is_closed = False
        self._folder = folder
        for path in folder.glob("*.sst") if folder.exists() else ():
            self._rows.update((k, v) for k, v in decode_rows([path.read_bytes()]) if v is not None)
        self._number = 0

    def _check(self) -> None:
        process = PROCESS.get()
        if process is not None:
            process.check()
        if self._is_broken or self._is_closed:
            raise UnavailableError("the store is broken, or closed", code="SF3016")

    def _check_read(self) -> None:
        if self._is_blind or self._is_closed:
            raise UnavailableError("the store cannot be read", code="SF3016")

    def get(self, key: bytes) -> bytes | None:
        self._check_read()
        return self._rows.get(key)

    def write(self, rows: Sequence[Row]) -> None:
        self._check()
        if (failure := self._fails()) is not None:
            self._is_broken = True
            self._is_blind = failure == "everything"
            self._check()
        for key, value in rows:
            if value is None:
                self._rows.pop(key, None)
            else:
                self._rows[key] = value

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        self._check_read()
        for key, value in sorted(one for one in self._rows.items() if one[0].startswith(prefix)):
            yield key, value
            self._check_read()

    def scan_sizes(self, prefix: bytes) -> Iterator[tuple[bytes, int]]:
        return ((key, len(value)) for key, value in self.scan(prefix))

    def scan_keys(self, prefix: bytes, start: bytes) -> Iterator[bytes]:
        return (key for key, _ in self.scan(prefix) if key >= start)

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
        self._is_closed = True

    def discard(self) -> None:
        self.close()


def _open(path: FakePath):  # type: ignore[no-untyped-def]
    try:
        return path.open("wb")
    except OSError as error:
        raise UnavailableError(f"no snapshot: {error.strerror}", code="SF3016") from error
