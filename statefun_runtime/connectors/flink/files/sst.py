"""One file of RocksDB: a sorted table of blocks, each with a checksum.

    data blocks … index blocks … meta index ─▶ properties   footer: where meta index and index lie

A block is entries that share what their keys begin with, raw or in Snappy, then a byte that says which, and CRC-32C
over both. A key ends with eight bytes: its sequence number and what is done with it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct

from statefun_runtime.connectors.flink.files.damage import Damage, Damages
from statefun_runtime.connectors.flink.files.snappy import decompress, masked_crc32c
from statefun_runtime.connectors.flink.files.state_files import StateFile
from statefun_runtime.core.model.messages import read_varint

PUT, MERGE, RANGE_DELETION = 1, 2, 15
DELETIONS = (0, 7)
_FOOTER_BYTES, _TRAILER_BYTES = 53, 5
_MAGIC = 0x88E241B785F4CFF7
_CRC32C = 1
_RAW, _SNAPPY = 0, 1
_TWO_LEVELS = 2
_BLOCK_BYTES_MAX = 1 << 30
_TAIL = Struct("<IQ")

Place = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Entry:
    """What a file says about a key; with a larger sequence number it is newer."""

    key: bytes
    sequence: int
    kind: int
    value: bytes
    file: str
    offset: int


class Table:
    """A file of RocksDB, its index in memory; a file that is none is a ValueError."""

    def __init__(self, file: StateFile) -> None:
        self.name = file.name
        self._file = file
        meta, index = self._footer()
        places = dict(_handles(self._block(meta), is_delta=False))
        properties = dict(_entries(self._block(places[b"rocksdb.properties"])))
        self.column_family = properties[b"rocksdb.column.family.name"].decode()
        is_delta = _number(properties.get(b"rocksdb.index.value.is.delta.encoded", b"\0")) == 1
        levels = properties.get(b"rocksdb.block.based.table.index.type", bytes(4))
        self._data = [place for _, place in _handles(self._block(index), is_delta=is_delta)]
        if int.from_bytes(levels, "little") == _TWO_LEVELS:
            self._data = [
                place
                for each in self._data
                for _, place in _handles(self._block(each), is_delta=is_delta)
            ]
        self._deletions = places.get(b"rocksdb.range_del")
        self._count = _number(properties[b"rocksdb.num.entries"])

    def _footer(self) -> tuple[Place, Place]:
        size = self._file.size_bytes
        footer = self._file.read(size - _FOOTER_BYTES, _FOOTER_BYTES)
        if _TAIL.unpack(footer[-12:])[1] != _MAGIC:
            raise ValueError("it does not end like a file of RocksDB")
        if footer[0] != _CRC32C:
            raise ValueError(f"its checksums are of kind {footer[0]}, and only CRC-32C is checked")
        meta, at = _place(footer, 1)
        return meta, _place(footer, at)[0]

    def _block(self, place: Place) -> bytes:
        offset, size = place
        if size > _BLOCK_BYTES_MAX:
            raise ValueError(f"a block of {size} bytes cannot be")
        stored = self._file.read(offset, size + _TRAILER_BYTES)
        if masked_crc32c(stored[: size + 1]) != int.from_bytes(stored[size + 1 :], "little"):
            raise ValueError(f"the block at {offset} does not have the checksum behind it")
        if stored[size] == _SNAPPY:
            return decompress(stored[:size])
        if stored[size] != _RAW:
            raise ValueError(f"a block is compressed in the unknown way {stored[size]}")
        return stored[:size]

    def entries(self, damages: Damages) -> Iterator[Entry]:
        """Yield all entries in order; a block that cannot be read is damage, and left out."""
        count = 0
        is_whole = True
        for place in self._data:
            try:
                entries = [
                    _entry(key, value, self.name, place[0])
                    for key, value in _entries(self._block(place))
                ]
            except ValueError as error:
                lost = f"a block of rows of state {self.column_family!r}"
                damages.add(Damage(self.name, place[0], str(error), lost))
                is_whole = False
                continue
            count += len(entries)
            yield from entries
        # Whether deletions of ranges are counted depends on the version.
        if is_whole and self._count not in (count, count + len(self.deletions())):
            what = f"it has {count} entries, and its properties say {self._count}"
            damages.add(Damage(self.name, 0, what, "nobody knows which"))

    def deletions(self) -> list[tuple[bytes, bytes, int]]:
        """Return the ranges that are deleted: first key, end, and up to which sequence number."""
        if self._deletions is None:
            return []
        found = []
        for key, end in _entries(self._block(self._deletions)):
            entry = _entry(key, end, self.name, self._deletions[0])
            if entry.kind != RANGE_DELETION:
                raise ValueError(f"a range deletion is of kind {entry.kind}")
            found.append((entry.key, end, entry.sequence))
        return found


def open_table(file: StateFile) -> Table:
    """Return the table in a file; raise ValueError if it is none."""
    try:
        return Table(file)
    except KeyError as error:
        raise ValueError(f"it lacks {error}") from error


def _entry(key: bytes, value: bytes, file: str, offset: int) -> Entry:
    if len(key) < 8:
        raise ValueError("a key is too short")
    tail = int.from_bytes(key[-8:], "little")
    return Entry(key[:-8], tail >> 8, tail & 0xFF, value, file, offset)


def _number(data: bytes) -> int:
    return read_varint(data, 0)[0]


def _place(data: bytes, at: int) -> tuple[Place, int]:
    offset, at = read_varint(data, at)
    size, at = read_varint(data, at)
    return (offset, size), at


def _end_of_entries(block: bytes) -> int:
    """Return where the list of restarts begins; a hash index in front of it says so in its highest bit."""
    if len(block) < 4:
        raise ValueError("a block is too short")
    restarts, end = int.from_bytes(block[-4:], "little"), len(block) - 4
    if restarts >> 31:
        restarts &= 0x7FFFFFFF
        end -= 2 + int.from_bytes(block[-6:-4], "little")
    end -= 4 * restarts
    if end < 0:
        raise ValueError("a block has more restarts than bytes")
    return end


def _entries(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    end, at, key = _end_of_entries(block), 0, b""
    while at < end:
        shared, at = read_varint(block, at)
        rest, at = read_varint(block, at)
        size, at = read_varint(block, at)
        if shared > len(key) or at + rest + size > end:
            raise ValueError("an entry reaches beyond its block")
        key = key[:shared] + block[at : at + rest]
        at += rest
        yield key, block[at : at + size]
        at += size


def _handles(block: bytes, *, is_delta: bool) -> Iterator[tuple[bytes, Place]]:
    """Yield the entries of an index, whose values are places of blocks; with deltas they say what differs."""
    if not is_delta:
        for key, value in _entries(block):
            yield key, _place(value, 0)[0]
        return
    end, at, key, last = _end_of_entries(block), 0, b"", (0, 0)
    while at < end:
        shared, at = read_varint(block, at)
        rest, at = read_varint(block, at)
        if shared > len(key) or at + rest > end:
            raise ValueError("an entry reaches beyond its block")
        key = key[:shared] + block[at : at + rest]
        at += rest
        if shared == 0:
            last, at = _place(block, at)
        else:
            change, at = read_varint(block, at)
            offset, size = last
            last = (offset + size + _TRAILER_BYTES, size + (change >> 1 ^ -(change & 1)))
        yield key, last
