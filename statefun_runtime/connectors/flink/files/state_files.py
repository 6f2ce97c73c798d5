"""Where the bytes of a savepoint lie: in files beside its metadata, or in the metadata itself."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from statefun_runtime.connectors.flink.files.source import Source

_PIECE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Inline:
    """Bytes that are in the metadata."""

    content: bytes


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A file; a relative path begins at the savepoint's folder, an absolute one is where the file was once."""

    path: str
    size_bytes: int
    is_relative: bool


Handle = Inline | Elsewhere


class StateFile(Protocol):
    """Bytes at a place that has a name."""

    @property
    def name(self) -> str:
        """What to call it in a message."""
        ...

    @property
    def size_bytes(self) -> int:
        """How long it is."""
        ...

    def read(self, offset: int, size: int) -> bytes:
        """Return so many bytes; raise ValueError if they are not there."""
        ...


@dataclass(frozen=True, slots=True)
class InlineFile:
    """A StateFile that is in the metadata."""

    name: str
    content: bytes

    @property
    def size_bytes(self) -> int:
        """How long it is."""
        return len(self.content)

    def read(self, offset: int, size: int) -> bytes:
        """Return so many bytes."""
        if offset < 0 or size < 0 or offset + size > len(self.content):
            raise ValueError(f"{size} bytes at {offset} are not there")
        return self.content[offset : offset + size]


class DiskFile:
    """A StateFile on disk, open for as long as this object is used."""

    def __init__(self, path: Path, size_bytes: int) -> None:
        self.name = path.name
        self._file: IO[bytes] = path.open("rb", buffering=0)
        self.size_bytes = os.fstat(self._file.fileno()).st_size
        if self.size_bytes != size_bytes:
            self.close()
            raise ValueError(f"it has {self.size_bytes} bytes, and the metadata says {size_bytes}")

    def read(self, offset: int, size: int) -> bytes:
        """Return so many bytes."""
        if offset < 0 or size < 0 or offset + size > self.size_bytes:
            raise ValueError(f"{size} bytes at {offset} are not there")
        parts = []
        while size > 0:
            part = os.pread(self._file.fileno(), size, offset)
            if not part:
                raise ValueError(f"{size} bytes at {offset} are not there")
            parts.append(part)
            offset, size = offset + len(part), size - len(part)
        return b"".join(parts)

    def close(self) -> None:
        """Let go of it."""
        self._file.close()


def source_at(file: StateFile, offset: int, end: int | None = None) -> Source:
    """Return what a file has from an offset on, up to another or its end; a piece at a time is in memory."""
    end = file.size_bytes if end is None else min(end, file.size_bytes)
    if not 0 <= offset <= end:
        raise ValueError(f"offset {offset} is not in the file, which has {file.size_bytes} bytes")
    return Source(_pieces(file, offset, end), begin=offset, size_max=end - offset)


def _pieces(file: StateFile, offset: int, end: int) -> Iterator[bytes]:
    while offset < end:
        size = min(_PIECE_BYTES, end - offset)
        yield file.read(offset, size)
        offset += size


def find_file(folder: Path, handle: Handle, name: str) -> StateFile:
    """Open what a handle names; raise ValueError if it is not there, or not as long as it should be.

    Of an absolute path only the last name counts, first: the folder may have been copied, and the old place may hold
    what somebody else has put there.
    """
    if isinstance(handle, Inline):
        return InlineFile(name, handle.content)
    for path in _places(folder, handle):
        if path.is_file():
            return DiskFile(path, handle.size_bytes)
    raise ValueError(
        f"the file {handle.path} is neither in the savepoint's folder nor where it was"
    )


def _places(folder: Path, handle: Elsewhere) -> Iterator[Path]:
    last = handle.path.rpartition("/")[2]
    if handle.is_relative:
        yield folder / handle.path
    yield folder / last
    for beside in ("shared", "taskowned"):
        yield folder.parent / beside / last
    scheme, colon, rest = handle.path.partition(":")
    if not handle.is_relative and (scheme == "file" or not colon):
        yield Path("/" + (rest if colon else scheme).lstrip("/"))
