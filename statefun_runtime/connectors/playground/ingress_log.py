"""The log of the HTTP ingress: records are on disk before their senders hear so.

    FOLDER/00000000000000000000.log     segments, named by the index of their first record
    record = <length, 4 bytes> <CRC-32, 4 bytes> content

A record is readable only after its sync. What a failed or cut write left behind the last synced length is cut off
before the next append. That may be zeros, where the file had grown and its content was not written yet: no record is
empty, so zeros are none. Segments are deleted when no kept checkpoint needs them.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

from statefun_runtime.adapters.storage.disk import MACHINE_DISK, Disk
from statefun_runtime.errors import CorruptionError, UnavailableError

_HEADER = struct.Struct(">II")
# The name of the one split of an ingress that reads such a log.
LOG_SPLIT = "log"
_SEGMENT_BYTES = 64 * 1024 * 1024


@dataclass(slots=True)
class _Segment:
    """A file of the log: its first record's index, how many it holds, and its synced length."""

    path: Path
    first: int
    count: int
    size_bytes: int

    @property
    def end(self) -> int:
        return self.first + self.count


class IngressLog:
    """An append-only log of records; everything blocks, and `append` is called by one at a time."""

    def __init__(
        self, folder: Path, *, disk: Disk = MACHINE_DISK, segment_bytes: int = _SEGMENT_BYTES
    ) -> None:
        self._folder = folder
        self._disk = disk
        self._segment_bytes = segment_bytes
        folder.mkdir(parents=True, exist_ok=True)
        paths = sorted(folder.glob("*.log"))
        self._segments = [_measure(path, is_last=path == paths[-1]) for path in paths]
        if self._segments:
            self._mend(self._segments[-1])

    def _mend(self, segment: _Segment) -> None:
        """What an earlier life wrote and did not sync is synced before it is read; the rest of a cut write goes."""
        try:
            with segment.path.open("r+b") as file:
                file.truncate(segment.size_bytes)
                file.flush()
                self._disk.sync(file)
            self._disk.sync_folder(self._folder)
        except OSError as error:
            raise _unavailable(segment.path, error) from error

    @property
    def begin(self) -> int:
        """The index of the first record that is kept."""
        return self._segments[0].first if self._segments else 0

    @property
    def end(self) -> int:
        """The index behind the last synced record."""
        return self._segments[-1].end if self._segments else 0

    def append(self, records: Sequence[bytes]) -> None:
        """Add records and sync them; raise UnavailableError, with none of them added, if that fails."""
        assert all(records), "an empty record looks like what a cut write leaves"
        segment = self._segment()
        data = b"".join(
            part
            for record in records
            for part in (_HEADER.pack(len(record), crc32(record)), record)
        )
        try:
            with segment.path.open("r+b") as file:
                file.truncate(segment.size_bytes)
                file.seek(segment.size_bytes)
                file.write(data)
                file.flush()
                self._disk.sync(file)
        except OSError as error:
            raise _unavailable(segment.path, error) from error
        segment.count += len(records)
        segment.size_bytes += len(data)

    def read(self, index: int) -> Iterator[bytes]:
        """Yield all synced records from an index on; raise CorruptionError if they are not kept any more."""
        self.check(index)
        for segment in self._segments:
            if segment.end <= index:
                continue
            for number, record in enumerate(
                _records(segment.path, segment.size_bytes), segment.first
            ):
                if number >= index:
                    yield record

    def check(self, index: int) -> None:
        """Raise CorruptionError if the records from an index on are not kept any more, or never were."""
        if not self.begin <= index <= self.end:
            raise CorruptionError(
                f"{self._folder} holds records {self.begin} to {self.end}, the checkpoint wants {index}",
                code="SF5007",
                hint="`statefun-worker checkpoints list` shows which checkpoints can be started from",
            )

    def drop_before(self, index: int) -> None:
        """Delete the segments whose records are all before an index; the last one stays."""
        while len(self._segments) > 1 and self._segments[0].end <= index:
            self._segments.pop(0).path.unlink(missing_ok=True)

    def _segment(self) -> _Segment:
        if not self._segments or self._segments[-1].size_bytes >= self._segment_bytes:
            first = self.end
            path = self._folder / f"{first:020d}.log"
            try:
                path.touch()
                self._disk.sync_folder(self._folder)
            except OSError as error:
                raise UnavailableError(
                    f"{path} cannot be made: {error.strerror}", code="SF3012"
                ) from error
            self._segments.append(_Segment(path, first, 0, 0))
        return self._segments[-1]


def _unavailable(path: Path, error: OSError) -> UnavailableError:
    return UnavailableError(f"{path} cannot be written: {error.strerror or error}", code="SF3012")


def _measure(path: Path, *, is_last: bool) -> _Segment:
    """Count the whole records of a segment; only the last may end within one."""
    count = size = 0
    for record in _records(path, path.stat().st_size):
        count += 1
        size += _HEADER.size + len(record)
    if not is_last and size != path.stat().st_size:
        raise CorruptionError(f"{path} is damaged at byte {size}", code="SF5007")
    return _Segment(path, int(path.stem), count, size)


def _records(path: Path, size_bytes: int) -> Iterator[bytes]:
    """Yield the whole records within a length; a damaged one ends them."""
    with path.open("rb") as file:
        while file.tell() < size_bytes:
            header = file.read(_HEADER.size)
            if len(header) < _HEADER.size:
                return
            size, checksum = _HEADER.unpack(header)
            record = file.read(size)
            if not size or len(record) < size or crc32(record) != checksum:
                return
            yield record


def first_kept(folder: Path) -> int | None:
    """Return the index of the first record that a log in a folder keeps, or None if there is no log."""
    return min((int(path.stem) for path in folder.glob("*.log")), default=None)
