"""The file `_metadata` of a savepoint: which operators there are, and where the state of each of their subtasks lies.

    4960672d version  checkpoint id  master states  operators: id, parallelism, max parallelism, subtasks:
        managed operator state · raw operator state · managed keyed state · raw keyed state · what was in channels

Version 3 is that of Flink 1.11 to 1.14; version 4, of 1.15 and 1.16, ends with properties that nobody here needs.
"""

from dataclasses import dataclass, field
from pathlib import Path

from statefun_runtime.connectors.flink.files.source import Source
from statefun_runtime.connectors.flink.files.state_files import Elsewhere, Handle, Inline
from statefun_runtime.errors import ConfigError, CorruptionError

NAME = "_metadata"
_MAGIC = 0x4960672D
_MASTER_STATE = 0xC96B1696
_VERSIONS = (3, 4)
_MODES = ("split", "union", "broadcast")
_FULL, _FULL_WITH_ID = (3, 7, 12), 12
_FILES, _FILES_WITH_ID = (5, 11), 11
_CHANGELOG = (8, 9, 10, 13, 14)
_KEY_GROUPS_MAX = 32768


@dataclass(frozen=True, slots=True)
class OperatorState:
    """State that is not by key: where the elements of each named state begin in a stream."""

    offsets: dict[str, tuple[int, ...]]
    stream: Handle


@dataclass(frozen=True, slots=True)
class FullState:
    """All rows of a range of key groups in one stream; `offsets` says where each group begins, 0 where it is empty."""

    first_group: int
    offsets: tuple[int, ...]
    stream: Handle


@dataclass(frozen=True, slots=True)
class RocksDbState:
    """Rows of a range of key groups as RocksDB's files; `meta` says which states there are."""

    first_group: int
    group_count: int
    meta: Handle
    files: dict[str, Handle]


KeyedState = FullState | RocksDbState


@dataclass(frozen=True, slots=True)
class Subtask:
    """What one subtask of an operator has."""

    index: int
    operator_state: OperatorState | None
    raw_operator_state: OperatorState | None
    keyed: KeyedState | None
    raw_keyed: KeyedState | None
    has_channel_state: bool


@dataclass(frozen=True, slots=True)
class Operator:
    """An operator, by the hash of its uid."""

    id: str
    parallelism: int
    max_parallelism: int
    subtasks: tuple[Subtask, ...]


@dataclass(frozen=True, slots=True)
class Metadata:
    """What the metadata of a savepoint says."""

    version: int
    checkpoint_id: int
    operators: tuple[Operator, ...] = field(default=())


def find_folder(path: Path) -> Path:
    """Return the folder of a savepoint, which may be named by its metadata; raise ConfigError if there is none."""
    folder = path.parent if path.name == NAME else path
    if (folder / NAME).is_file():
        return folder
    inside = sorted(found.parent.name for found in folder.glob(f"*/{NAME}"))
    raise ConfigError(
        f"{path} is no savepoint of Flink: there is no file {NAME} in it",
        code="SF1120",
        hint=f"name one of the folders in it: {', '.join(inside)}"
        if inside
        else f"{NAME} is written last: a savepoint without it was not finished, and cannot be used",
    )


def read_metadata(folder: Path) -> Metadata:
    """Read the metadata of a savepoint; raise CorruptionError if it cannot be read."""
    path = folder / NAME
    content = path.read_bytes()
    source = Source.of(content)
    try:
        return _metadata(source)
    except ValueError as error:
        raise CorruptionError(
            f"{path} cannot be read at offset {source.offset}: {error}",
            code="SF5020",
            hint="copy it from where it was made once more; without it nothing of a savepoint can be found",
        ) from error


def _metadata(source: Source) -> Metadata:
    if source.i32() != _MAGIC:
        raise ValueError("it does not begin like Flink's metadata")
    version = source.i32()
    if version not in _VERSIONS:
        raise ValueError(
            f"it is of version {version}, and versions 3 and 4 are known (Flink 1.11 to 1.16)"
        )
    checkpoint_id = source.i64()
    for _ in range(source.count(8)):
        if source.i32() & 0xFFFFFFFF != _MASTER_STATE:
            raise ValueError("a state of the master does not begin like one")
        source.blob()
    operators = tuple(_operator(source) for _ in range(source.count(24)))
    if version == 3 and source.left:
        raise ValueError(f"{source.left} bytes are left over")
    if len({operator.id for operator in operators}) != len(operators):
        raise ValueError("an operator is there twice")
    return Metadata(version, checkpoint_id, operators)


def _operator(source: Source) -> Operator:
    operator_id = source.take(16).hex()
    parallelism, max_parallelism = source.i32(), source.i32()
    if not 1 <= max_parallelism <= _KEY_GROUPS_MAX or not 1 <= parallelism <= max_parallelism:
        raise ValueError(f"a parallelism of {parallelism} of {max_parallelism} cannot be")
    _stream(source)
    count = source.i32()
    if count < -1 or count > parallelism:
        raise ValueError(f"an operator cannot have {count} subtasks")
    subtasks = []
    for _ in range(max(0, count)):
        index = source.i32()
        if index >= 0:
            subtasks.append(_subtask(source, index))
    return Operator(operator_id, parallelism, max_parallelism, tuple(subtasks))


def _subtask(source: Source, index: int) -> Subtask:
    managed, raw = _some_operator_state(source), _some_operator_state(source)
    keyed, raw_keyed = _keyed(source), _keyed(source)
    channels = 0
    for _ in range(2):
        for _ in range(source.count(21)):
            _channel(source)
            channels += 1
    return Subtask(index, managed, raw, keyed, raw_keyed, bool(channels))


def _channel(source: Source) -> None:
    source.take(12)
    source.longs(source.count(8))
    source.i64()
    _stream(source)


def _some_operator_state(source: Source) -> OperatorState | None:
    if source.i32() == 0:
        return None
    kind = source.u8()
    if kind == 0:
        return None
    if kind != 4:
        raise ValueError(f"operator state of the unknown kind {kind}")
    offsets = {}
    for _ in range(source.count(7)):
        name, mode = source.utf(), source.u8()
        if mode >= len(_MODES):
            raise ValueError(f"state {name!r} is divided in the unknown way {mode}")
        offsets[name] = source.longs(source.count(8))
    return OperatorState(offsets, _some_stream(source))


def _keyed(source: Source) -> KeyedState | None:
    kind = source.u8()
    if kind == 0:
        return None
    if kind in _FULL:
        return _full(source, kind)
    if kind in _FILES:
        return _rocksdb(source, kind)
    if kind in _CHANGELOG:
        raise ValueError(
            "the job used the changelog state backend (state.backend.changelog.enabled), which is not read: switch "
            "it off, take a savepoint in canonical format, and import that"
        )
    raise ValueError(f"keyed state of the unknown kind {kind}")


def _full(source: Source, kind: int) -> FullState:
    first = source.i32()
    offsets = source.longs(source.count(8))
    _check_range(first, len(offsets))
    stream = _some_stream(source)
    if kind == _FULL_WITH_ID:
        source.utf()
    return FullState(first, offsets, stream)


def _rocksdb(source: Source, kind: int) -> RocksDbState:
    source.i64()
    source.utf()
    first, count = source.i32(), source.i32()
    _check_range(first, count)
    if kind == _FILES_WITH_ID:
        source.i64()
    meta = _some_stream(source)
    files: dict[str, Handle] = {}
    for _ in range(2):
        for _ in range(source.count(3)):
            name = source.utf()
            files[name] = _some_stream(source)
    if kind == _FILES_WITH_ID:
        source.utf()
    return RocksDbState(first, count, meta, files)


def _check_range(first: int, count: int) -> None:
    if first < 0 or count < 1 or first + count > _KEY_GROUPS_MAX:
        raise ValueError(f"{count} key groups from {first} on cannot be")


def _some_stream(source: Source) -> Handle:
    handle = _stream(source)
    if handle is None:
        raise ValueError("a state has no stream")
    return handle


def _stream(source: Source) -> Handle | None:
    kind = source.u8()
    if kind == 0:
        return None
    if kind == 1:
        source.utf()
        return Inline(source.blob())
    if kind == 2:
        size = source.i64()
        return Elsewhere(source.utf(), size, is_relative=False)
    if kind == 6:
        path = source.utf()
        return Elsewhere(path, source.i64(), is_relative=True)
    raise ValueError(f"a stream of the unknown kind {kind}")
