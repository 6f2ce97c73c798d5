"""What Kafka's ends keep as operator state: how far topic partitions were read, and transactions that are not over."""

from collections.abc import Iterator
from dataclasses import dataclass

from statefun_runtime.connectors.flink.files.damage import Damages
from statefun_runtime.connectors.flink.files.hashes import topic_partition_hash
from statefun_runtime.connectors.flink.files.metadata import OperatorState
from statefun_runtime.connectors.flink.files.serializers import Serializer, read_operator_head
from statefun_runtime.connectors.flink.files.source import Source, modified_utf8
from statefun_runtime.connectors.flink.files.state_files import StateFile, source_at

_OFFSETS = "topic-partition-offset-states"
_HINT = "next-transactional-id-hint"
# Where a start position was not resolved yet.
UNRESOLVED = {
    -915623761773: "the group's offset",
    -915623761775: "earliest",
    -915623761774: "latest",
}
_NOTHING_READ = -1


@dataclass(frozen=True, slots=True)
class Offset:
    """The last offset of a topic partition that was read; -1 before the first, or one of `UNRESOLVED`."""

    topic: str
    partition: int
    last: int

    @property
    def next(self) -> int | None:
        """The first offset that was not read; None if that is not known yet."""
        return None if self.last in UNRESOLVED else self.last + 1


@dataclass(frozen=True, slots=True)
class Transaction:
    """A transaction of a Kafka egress: prepared ones are to be committed, an open one is to be aborted."""

    transactional_id: str
    producer_id: int
    epoch: int
    started_ms: int
    is_prepared: bool


@dataclass(frozen=True, slots=True)
class Pool:
    """The transactional ids that an egress may use."""

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ForeignElements:
    """Elements of a state that is not of Kafka's ends."""

    state: str
    serializer: str
    count: int


OperatorRow = Offset | Transaction | Pool | ForeignElements


def operator_rows(file: StateFile, state: OperatorState, damages: Damages) -> Iterator[OperatorRow]:
    """Yield what is in a stream of operator state; an element that cannot be read is damage."""
    metas = {}
    with damages.at(file.name, 0, "all elements of an operator's state"):
        metas = read_operator_head(source_at(file, 0))
        for name in state.offsets:
            if name not in metas:
                raise ValueError(f"state {name!r} is not among those of the head")
    for name, offsets in state.offsets.items() if metas else ():
        serializer = metas[name].value if name in metas else None
        if name != _OFFSETS and not name.startswith(_HINT) and not _is_transactions(serializer):
            yield ForeignElements(name, str(serializer), len(offsets))
            continue
        for offset in offsets:
            with damages.at(file.name, offset, f"an element of state {name!r}"):
                yield from list(_element(name, serializer, source_at(file, offset)))


def _is_transactions(serializer: Serializer | None) -> bool:
    return serializer is not None and serializer.name == "transactions"


def _element(name: str, serializer: Serializer | None, source: Source) -> Iterator[OperatorRow]:
    if name == _OFFSETS:
        yield _offset(source)
    elif serializer is not None and _is_transactions(serializer):
        yield from _transactions(source, is_nullable=serializer.detail == "nullable")


def _offset(source: Source) -> Offset:
    topic, partition = _topic_partition(source)
    last = source.i64()
    if last < _NOTHING_READ and last not in UNRESOLVED:
        raise ValueError(f"offset {last} of topic {topic}, partition {partition}, cannot be")
    return Offset(topic, partition, last)


def _topic_partition(source: Source) -> tuple[str, int]:
    """Read a topic partition as Kryo writes it: its hash, which is checked, its number, its topic."""
    if source.varint() == 1 or source.varint() != 1:
        raise ValueError("a topic partition does not look like one")
    hashed, partition = _signed(source.varint()), _signed(source.varint())
    if source.varint() != 1:
        raise ValueError("a topic partition does not look like one")
    topic = _kryo_string(source)
    if topic_partition_hash(topic, partition) != hashed & 0xFFFFFFFF:
        raise ValueError(
            f"topic {topic!r}, partition {partition}, does not have the hash beside it"
        )
    return topic, partition


def _signed(number: int) -> int:
    return number >> 1 ^ -(number & 1)


def _kryo_string(source: Source) -> str:
    """Read a string: in ASCII the last character has the highest bit, else the length comes first, with that bit."""
    first = source.u8()
    if first & 0x80:
        size = first & 0x3F
        if first & 0x40:
            size |= source.varint() << 6
        return _utf8_units(source, size - 1)
    text = bytearray((first,))
    while not text[-1] & 0x80:
        text.append(source.u8())
    text[-1] &= 0x7F
    return text.decode("ascii")


def _utf8_units(source: Source, count: int) -> str:
    data = bytearray()
    for _ in range(count):
        first = source.u8()
        data.append(first)
        if first >= 0xC0:
            data += source.take(1 if first < 0xE0 else 2)
    return modified_utf8(bytes(data))


def _transactions(source: Source, *, is_nullable: bool) -> Iterator[OperatorRow]:
    if not is_nullable or source.truth():
        yield from _transaction(source, is_prepared=False)
    for _ in range(source.count(19)):
        yield from _transaction(source, is_prepared=True)
    if source.truth():
        ids = tuple(sorted(source.utf() for _ in range(source.count(2))))
        if ids:
            yield Pool(ids)


def _transaction(source: Source, *, is_prepared: bool) -> Iterator[Transaction]:
    """Read a transaction; an egress without exactly-once has one without an id, which is none."""
    transactional_id = source.utf() if source.truth() else None
    producer_id, epoch, started_ms = source.i64(), source.i16(), source.i64()
    if transactional_id is not None:
        yield Transaction(transactional_id, producer_id, epoch, started_ms, is_prepared)
