"""A savepoint, whole: its operators by name, and the rows of each."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from statefun_runtime.connectors.flink.files.canonical import StateRow, canonical_rows
from statefun_runtime.connectors.flink.files.damage import Damages
from statefun_runtime.connectors.flink.files.hashes import operator_id
from statefun_runtime.connectors.flink.files.metadata import (
    FullState,
    Metadata,
    Operator,
    RocksDbState,
    Subtask,
    find_folder,
    read_metadata,
)
from statefun_runtime.connectors.flink.files.rocksdb_rows import is_table, rocksdb_rows
from statefun_runtime.connectors.flink.files.serializers import read_keyed_head
from statefun_runtime.connectors.flink.files.state_files import (
    DiskFile,
    Handle,
    StateFile,
    find_file,
    source_at,
)
from statefun_runtime.connectors.flink.rows.envelopes import Envelope
from statefun_runtime.connectors.flink.rows.function_rows import FunctionRow, function_rows
from statefun_runtime.connectors.flink.rows.loop_rows import loop_rows
from statefun_runtime.connectors.flink.rows.operator_rows import OperatorRow, operator_rows
from statefun_runtime.core.model.address import TypeName

FUNCTIONS, LOOP = "functions_uid1", "feedback_union_uid1"
_EMPTY = "feedback_uid1"
# The second is that of StateFun 3.0, which took the kind that the module names.
_INGRESS = (
    "statefun.kafka.io-universal-ingress-{0.namespace}-{0.name}-ingress",
    "io.statefun.kafka-ingress-{0.namespace}-{0.name}-ingress",
)
_EGRESS = (
    "statefun.kafka.io-universal-egress-{0.namespace}-{0.name}-egress",
    "io.statefun.kafka-egress-{0.namespace}-{0.name}-egress",
)
_FORMS = (
    *_INGRESS,
    *_EGRESS,
    "statefun.kinesis.io-universal-ingress-{0.namespace}-{0.name}-ingress",
    "statefun.kinesis.io-universal-egress-{0.namespace}-{0.name}-egress",
    "io.statefun.kinesis-ingress-{0.namespace}-{0.name}-ingress",
    "io.statefun.kinesis-egress-{0.namespace}-{0.name}-egress",
    "{0.namespace}-{0.name}-router",
)


def ingress_uids(ingress: TypeName) -> tuple[str, ...]:
    """Return the uids that a Kafka ingress has, by version."""
    return tuple(form.format(ingress) for form in _INGRESS)


def egress_uids(egress: TypeName) -> tuple[str, ...]:
    """Return the uids that a Kafka egress has, by version."""
    return tuple(form.format(egress) for form in _EGRESS)


@dataclass(frozen=True, slots=True)
class KnownOperator:
    """An operator with its uid; None if no uid that is known has its hash."""

    operator: Operator
    uid: str | None

    @property
    def name(self) -> str:
        """What to call it."""
        return self.uid or self.operator.id


class Savepoint:
    """A savepoint, or a retained checkpoint, in a folder; `ends` are the ids of ingresses and egresses of the module.

    What cannot be read of it goes to `damages`. Raise ConfigError if there is none, CorruptionError if its metadata
    cannot be read.
    """

    def __init__(self, path: Path, ends: Iterable[TypeName]) -> None:
        self.folder = find_folder(path)
        self.metadata: Metadata = read_metadata(self.folder)
        self.damages = Damages()
        uids = [FUNCTIONS, LOOP, _EMPTY]
        uids += [form.format(end) for end in ends for form in _FORMS]
        by_id = {operator_id(uid): uid for uid in uids}
        self.operators = [
            KnownOperator(operator, by_id.get(operator.id)) for operator in self.metadata.operators
        ]

    def function_rows(self) -> Iterator[tuple[FunctionRow, StateRow]]:
        """Yield the rows of all functions."""
        for operator, subtask in self._subtasks(FUNCTIONS):
            if subtask.keyed is not None:
                rows = self._keyed_rows(operator, subtask.keyed)
                yield from function_rows(rows, operator.max_parallelism, self.damages)

    def loop_rows(self) -> Iterator[Envelope]:
        """Yield the messages that were under way between subtasks."""
        for operator, subtask in self._subtasks(LOOP):
            state = subtask.raw_keyed
            if state is None:
                continue
            with self.damages.at("_metadata", 0, "messages that were under way"):
                if isinstance(state, RocksDbState):
                    raise ValueError("the log of the feedback loop is a file of RocksDB")
                with _opened(find_file(self.folder, state.stream, "_metadata")) as file:
                    yield from loop_rows(file, state, operator.max_parallelism, self.damages)

    def operator_rows(self, operator: KnownOperator) -> Iterator[OperatorRow]:
        """Yield what an operator keeps that is not by key."""
        for subtask in operator.operator.subtasks:
            state = subtask.operator_state
            if state is None:
                continue
            with (
                self.damages.at("_metadata", 0, f"the state of {operator.name}"),
                _opened(find_file(self.folder, state.stream, "_metadata")) as file,
            ):
                yield from operator_rows(file, state, self.damages)

    def _subtasks(self, uid: str) -> Iterator[tuple[Operator, Subtask]]:
        for known in self.operators:
            if known.uid == uid:
                for subtask in known.operator.subtasks:
                    yield known.operator, subtask

    def _keyed_rows(
        self, operator: Operator, state: FullState | RocksDbState
    ) -> Iterator[StateRow]:
        lost = f"the state of key groups from {state.first_group} on"
        with self.damages.at("_metadata", 0, lost):
            if isinstance(state, RocksDbState):
                yield from self._rocksdb_rows(operator, state)
            else:
                with _opened(find_file(self.folder, state.stream, "_metadata")) as file:
                    yield from canonical_rows(file, state, self.damages)

    def _rocksdb_rows(self, operator: Operator, state: RocksDbState) -> Iterator[StateRow]:
        with _opened(find_file(self.folder, state.meta, "_metadata")) as file:
            _, metas = read_keyed_head(source_at(file, 0))
        files: list[StateFile] = []
        try:
            for name, handle in sorted(state.files.items()):
                if is_table(name):
                    with self.damages.at(_name_of(name, handle), 0, "all rows of a file"):
                        files.append(find_file(self.folder, handle, name))
            groups = range(state.first_group, state.first_group + state.group_count)
            prefix_bytes = 1 if operator.max_parallelism <= 128 else 2
            yield from rocksdb_rows(files, metas, groups, prefix_bytes, self.damages)
        finally:
            for each in files:
                if isinstance(each, DiskFile):
                    each.close()


def _name_of(name: str, handle: Handle) -> str:
    return getattr(handle, "path", name).rpartition("/")[2]


@contextmanager
def _opened(file: StateFile) -> Iterator[StateFile]:
    try:
        yield file
    finally:
        if isinstance(file, DiskFile):
            file.close()
