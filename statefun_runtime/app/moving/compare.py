"""`statefun-worker compare`: whether two topics say the same to each key.

Digests of values are sorted by key on disk, and compared key by key: any number of records, little memory. What has
no key has no order.

    D <digest of the key>            the key, as far as it is shown
    V <digest of the key> <side> <topic partition> <offset>     digest of the value
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from statefun_runtime.adapters.off_loop import in_a_thread
from statefun_runtime.adapters.storage.rocksdb import RocksDbStore
from statefun_runtime.connectors.kafka.client.protocols import Fetched
from statefun_runtime.connectors.kafka.reading import Span, TopicReader
from statefun_runtime.connectors.kafka.specs import KafkaEgressSpec, KafkaIngressSpec
from statefun_runtime.core.checkpoints.overlay import Row
from statefun_runtime.core.moving.agreement import (
    Judgement,
    Said,
    Side,
    Spot,
    Tally,
    Tolerance,
    Verdict,
    judge,
)
from statefun_runtime.core.printable import printable
from statefun_runtime.ports.state_store import StateStore

_KEYS, _VALUES = b"D", b"V"
_DIGEST_BYTES = 16
_SHOWN_BYTES = 120
_SLICE_ROWS = 4000
_KNOWN_KEYS_MAX = 100_000
_NO_KEY = blake2b(b"no key", digest_size=_DIGEST_BYTES).digest()


@dataclass(frozen=True, slots=True)
class Comparison:
    """What is compared, and how: fields of JSON values that are `ignored` may differ.

    `told` hears how many records were read.
    """

    first: Span
    second: Span
    tolerance: Tolerance
    ignored: tuple[tuple[str, ...], ...] = ()
    shown_max: int = 20
    told: Callable[[int], None] = lambda _: None


@dataclass(slots=True)
class Compared:
    """What came of it."""

    records: tuple[int, int]
    tally: Tally


async def compare(spec: KafkaEgressSpec | KafkaIngressSpec, comparison: Comparison) -> Compared:
    """Read both topics and compare them; raise ConfigError or UnavailableError if they cannot be read."""
    with TemporaryDirectory(prefix="statefun-compare-") as folder:
        store = RocksDbStore(Path(folder), for_sorting=True)
        try:
            sorting = Sorting(store, comparison.ignored)
            spans = (comparison.first, comparison.second)
            async for side, records in TopicReader(spec).read(spans):
                sorting.take(side, records)
                comparison.told(sum(sorting.counts))
            sorting.finish()
            tally = await in_a_thread(lambda: _judge_all(store, comparison))
            return Compared((sorting.counts[0], sorting.counts[1]), tally)
        finally:
            store.close()


class Sorting:
    """Brings what two topics say together by key; `store` is for nothing else."""

    def __init__(self, store: StateStore, ignored: Sequence[tuple[str, ...]]) -> None:
        self.counts = [0, 0]
        self._store = store
        self._ignored = ignored
        self._rows: list[Row] = []
        self._known: dict[bytes, None] = {}

    def take(self, side: int, records: Iterable[Fetched]) -> None:
        """Take records of one topic, in order per topic partition."""
        for record in records:
            self.counts[side] += 1
            key = self._key(record.key)
            where = record.partition.to_bytes(4, "big") + record.offset.to_bytes(8, "big")
            value = digest_of(record.value, self._ignored)
            self._rows.append((b"".join((_VALUES, key, bytes([side]), where)), value))
        if len(self._rows) >= _SLICE_ROWS:
            self.finish()

    def finish(self) -> None:
        """Have all rows in the store."""
        self._store.write(self._rows)
        self._rows = []

    def _key(self, key: bytes | None) -> bytes:
        if key is None:
            return _NO_KEY
        digest = blake2b(key, digest_size=_DIGEST_BYTES).digest()
        if digest not in self._known:
            if len(self._known) >= _KNOWN_KEYS_MAX:
                self._known.clear()
            self._known[digest] = None
            self._rows.append((_KEYS + digest, key[:_SHOWN_BYTES]))
        return digest


def digest_of(value: bytes | None, ignored: Sequence[tuple[str, ...]]) -> bytes:
    """Return what stands for a value; where fields are ignored, values that are JSON are the same without them."""
    if value is not None and ignored:
        try:
            document = json.loads(value)
        except ValueError:
            document = None
        if isinstance(document, dict):
            for path in ignored:
                _leave_out(document, path)
            value = json.dumps(document, sort_keys=True).encode()
    # Nothing is another value than one without bytes.
    person = b"" if value is not None else b"none"
    return blake2b(value or b"", digest_size=_DIGEST_BYTES, person=person).digest()


def _leave_out(document: Any, path: Sequence[str]) -> None:
    for name in path[:-1]:
        document = document.get(name) if isinstance(document, dict) else None
    if isinstance(document, dict):
        document.pop(path[-1], None)


def _judge_all(store: StateStore, comparison: Comparison) -> Tally:
    tally = Tally(comparison.shown_max)
    for digest in _keys(store):
        sides = (_side(store, digest, 0), _side(store, digest, 1))
        judgement = judge(*sides, comparison.tolerance, is_ordered=digest != _NO_KEY)
        tally.add(_shown(store, digest), judgement)
    return tally


def _keys(store: StateStore) -> Iterator[bytes]:
    if next(store.scan(_VALUES + _NO_KEY), None) is not None:
        yield _NO_KEY
    for key, _ in store.scan(_KEYS):
        yield key[1:]


def _side(store: StateStore, digest: bytes, side: int) -> Side:
    prefix = _VALUES + digest + bytes([side])

    def read() -> Iterator[Said]:
        for key, value in store.scan(prefix):
            yield Said(
                value, Spot(int.from_bytes(key[-12:-8], "big"), int.from_bytes(key[-8:], "big"))
            )

    return read


def _shown(store: StateStore, digest: bytes) -> str:
    if digest == _NO_KEY:
        return "(no key)"
    key = store.get(_KEYS + digest)
    assert key is not None
    return printable(key.decode(errors="replace"))


# ── what is told ──


def to_json(comparison: Comparison, compared: Compared) -> dict[str, Any]:
    """Return the result for programs."""
    tally = compared.tally
    earliest = tally.earliest
    return {
        "same": tally.is_same,
        "topics": [comparison.first.topic, comparison.second.topic],
        "records": list(compared.records),
        "keys": tally.keys,
        "verdicts": {verdict.name.lower(): count for verdict, count in tally.verdicts.items()},
        "missing": tally.missing,
        "additional": tally.additional,
        "first_difference": None if earliest is None else _difference(*earliest),
        "differences": [_difference(*one) for one in tally.kept],
    }


def _difference(key: str, judgement: Judgement) -> dict[str, Any]:
    return {
        "key": key,
        "verdict": judgement.verdict.name.lower(),
        "missing": judgement.missing,
        "additional": judgement.additional,
        "first": None if judgement.first is None else judgement.first._asdict(),
        "second": None if judgement.second is None else judgement.second._asdict(),
    }


def compared_lines(comparison: Comparison, compared: Compared) -> Iterator[str]:
    """Yield the result for people."""
    first, second = comparison.first.topic, comparison.second.topic
    tally = compared.tally
    yield f"{first}: {compared.records[0]:,} records; {second}: {compared.records[1]:,} records"
    verdicts = ", ".join(f"{count:,} {one.value}" for one, count in tally.verdicts.items())
    yield f"{tally.keys:,} keys: {verdicts or 'none'}"
    if tally.missing or tally.additional:
        yield f"{tally.missing:,} values are in {first} alone, {tally.additional:,} in {second} alone"
    for key, one in tally.kept:
        counts = (
            f", {one.missing} missing, {one.additional} additional"
            if one.missing + one.additional
            else ""
        )
        yield f"  {key}  {one.verdict.value}{counts}; at {first} {one.first or 'end'}, {second} {one.second or 'end'}"
    others = sum(tally.verdicts.values()) - _good(tally) - len(tally.kept)
    if others:
        yield f"  … and {others:,} more keys; --limit shows more of them"
    if tally.earliest is not None:
        key, one = tally.earliest
        yield f"first difference: key {key}, at {first} {one.first or 'end'}, {second} {one.second or 'end'}"
    yield "they say the same" if tally.is_same else "they do NOT say the same"


def _good(tally: Tally) -> int:
    return tally.verdicts[Verdict.SAME] + tally.verdicts[Verdict.OPEN]
