"""Savepoints of any size, and compressed ones: the functions' state of a real savepoint is written anew."""

import struct
from collections.abc import Callable, Iterable
from pathlib import Path

import cramjam

from statefun_runtime.connectors.flink.files.hashes import operator_id
from statefun_runtime.connectors.flink.files.metadata import NAME, FullState, read_metadata
from statefun_runtime.connectors.flink.files.serializers import (
    StateMeta,
    _versioned_serializer,
    read_keyed_head,
)
from statefun_runtime.connectors.flink.files.snappy import masked_crc32c
from statefun_runtime.connectors.flink.files.source import Source
from statefun_runtime.connectors.flink.files.state_files import Elsewhere
from statefun_runtime.connectors.flink.rows.savepoint import FUNCTIONS

_CHUNK_BYTES = 65536
_COMPRESSED_FLAG = 4

Group = bytes
Rewrite = Callable[[list[StateMeta], list[Group]], Iterable[Group]]


def rewrite(
    folder: Path,
    change: Rewrite,
    *,
    is_compressed: bool = False,
    more_metas: tuple[bytes, ...] = (),
) -> None:
    """Give a canonical savepoint of one subtask other key groups; `change` is told its states and its groups.

    `more_metas` are states that come behind those that there are.
    """
    operators = {one.id: one for one in read_metadata(folder).operators}
    (subtask,) = operators[operator_id(FUNCTIONS)].subtasks
    state = subtask.keyed
    assert isinstance(state, FullState)
    assert isinstance(state.stream, Elsewhere)
    path = folder / state.stream.path
    content = path.read_bytes()
    begins = sorted(offset for offset in state.offsets if offset)
    head = _with_metas(content[: begins[0]], more_metas)
    _, metas = read_keyed_head(Source.of(bytes(head)))
    ends = dict(zip(begins, [*begins[1:], len(content)], strict=True))
    groups = [content[offset : ends[offset]] if offset else b"" for offset in state.offsets]
    head[_COMPRESSED_FLAG] = is_compressed
    offsets = []
    with path.open("wb") as file:
        file.write(head)
        for group in change(metas, groups):
            offsets.append(file.tell() if group else 0)
            file.write(_framed(group) if is_compressed and group else group)
        size = file.tell()
    _patch(folder / NAME, state, offsets, state.stream, size)


def _with_metas(head: bytes, more: tuple[bytes, ...]) -> bytearray:
    source = Source.of(head)
    source.take(_COMPRESSED_FLAG + 1)
    _versioned_serializer(source)
    at = source.offset
    count = int.from_bytes(head[at : at + 2], "big") + len(more)
    return bytearray(b"".join((head[:at], count.to_bytes(2, "big"), head[at + 2 :], *more)))


def meta(name: str, snapshot: bytes, form: str = "VALUE") -> bytes:
    """Return what the head of a stream says of a state whose values are written as a serializer snapshot says."""
    void = utf(
        "org.apache.flink.runtime.state.VoidNamespaceSerializer$VoidNamespaceSerializerSnapshot"
    )
    return b"".join(
        (
            utf(name),
            struct.pack(">ii", 0, 1),
            utf("KEYED_STATE_TYPE") + utf(form),
            struct.pack(">i", 2),
            utf("NAMESPACE_SERIALIZER") + struct.pack(">i", 2) + void + struct.pack(">i", 3),
            utf("VALUE_SERIALIZER") + struct.pack(">i", 2) + snapshot,
        )
    )


def utf(text: str) -> bytes:
    """Return a text as Java's DataOutput writes it."""
    return struct.pack(">H", len(text.encode())) + text.encode()


def _patch(
    metadata: Path, state: FullState, offsets: list[int], handle: Elsewhere, size: int
) -> None:
    content = metadata.read_bytes()
    form = f">{len(offsets)}q"
    name = handle.path.encode()
    for old, new in (
        (struct.pack(form, *state.offsets), struct.pack(form, *offsets)),
        (name + struct.pack(">q", handle.size_bytes), name + struct.pack(">q", size)),
    ):
        assert content.count(old) == 1
        content = content.replace(old, new)
    metadata.write_bytes(content)


def _framed(data: bytes) -> bytes:
    chunks = [b"\xff\x06\x00\x00sNaPpY"]
    for at in range(0, len(data), _CHUNK_BYTES):
        plain = data[at : at + _CHUNK_BYTES]
        small = bytes(cramjam.snappy.compress_raw(plain))
        crc = masked_crc32c(plain).to_bytes(4, "little")
        chunks.append(b"\x00" + (len(small) + 4).to_bytes(3, "little") + crc + small)
    return b"".join(chunks)
