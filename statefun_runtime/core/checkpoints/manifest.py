"""Checkpoints: what a manifest names, and which manifests and objects are still needed.

    triggered ─▶ aligned (the cut) ─▶ acknowledged (all its objects are durable) ─▶ complete (in the commit log)
        └──────────────┴─────────────────────┴──▶ aborted: its content is merged under the next one's

A snapshot is a base (the store's files) plus deltas after it; an epoch's egress records are its outbox. Every object
is immutable, named by its content's hash, written once and named by any number of manifests.
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, NewType

ObjectId = NewType("ObjectId", str)

FORMAT = 2


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object by its hash, with its size."""

    id: ObjectId
    size_bytes: int


@dataclass(frozen=True, slots=True)
class BaseFile:
    """A file of the store, under its name there."""

    name: str
    object: StoredObject


@dataclass(frozen=True, slots=True)
class Base:
    """All rows up to and including an epoch, as the store's files."""

    epoch: int
    files: tuple[BaseFile, ...]


@dataclass(frozen=True, slots=True)
class Delta:
    """The rows that changed up to an epoch, after the delta or base before it."""

    epoch: int
    object: StoredObject


@dataclass(frozen=True, slots=True)
class Outbox:
    """Egress records of one egress, as one object.

    Of an exactly-once egress they are those of the epoch, to be published under its marker. Of an at-least-once one
    they are all that was not acknowledged at the cut, and the next manifest's take their place.
    """

    egress: str
    epoch: int
    count: int
    object: StoredObject
    is_transactional: bool


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an exactly-once egress is known to have published, and on which Kafka cluster, if that says."""

    epoch: int
    cluster: str | None


Positions = dict[str, dict[str, int]]


@dataclass(frozen=True, slots=True)
class Part:
    """What one owner adds to a checkpoint; the fields are those of the manifest."""

    owner: str
    created_ms: int
    positions: Positions
    base: Base | None
    deltas: tuple[Delta, ...]
    outboxes: tuple[Outbox, ...]
    refused: dict[str, list[tuple[int, int]]]
    progress: dict[str, Progress]


@dataclass(frozen=True, slots=True)
class Manifest:
    """One consistent cut of the application.

    `positions` holds, per ingress id, the next position of each split. `outboxes` are those of this epoch;
    `pending_parent` is the newest manifest before this one that may have an outbox which is not confirmed published.
    `progress` holds, per id of an egress that has begun to publish, what it knew of that.
    `refused` names, per egress id, records of such outboxes by epoch and index whose dead letters are in this
    checkpoint or an older one.
    """

    application: str
    epoch: int
    incarnation: int
    lineage: str
    created_ms: int
    key_group_count: int
    partition_count: int
    positions: Positions
    base: Base | None
    deltas: tuple[Delta, ...]
    outboxes: tuple[Outbox, ...]
    pending_parent: ObjectId | None = None
    refused: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    progress: dict[str, Progress] = field(default_factory=dict)

    def objects(self) -> Iterator[StoredObject]:
        """Yield every object that this manifest names itself."""
        if self.base is not None:
            for file in self.base.files:
                yield file.object
        for delta in self.deltas:
            yield delta.object
        for outbox in self.outboxes:
            yield outbox.object

    def to_json(self) -> dict[str, Any]:
        """Return the manifest in the form in which it is stored."""
        return {"format": FORMAT, **asdict(self)}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "Manifest":
        """Read what `to_json` made; raise ValueError, KeyError or TypeError if it is something else."""
        if content.pop("format") != FORMAT:
            raise ValueError("it is of another format")
        base = content.pop("base")
        return cls(
            base=None
            if base is None
            else Base(
                base["epoch"],
                tuple(
                    BaseFile(file["name"], StoredObject(**file["object"])) for file in base["files"]
                ),
            ),
            deltas=tuple(
                Delta(delta["epoch"], StoredObject(**delta["object"]))
                for delta in content.pop("deltas")
            ),
            outboxes=tuple(
                Outbox(**{**outbox, "object": StoredObject(**outbox["object"])})
                for outbox in content.pop("outboxes")
            ),
            refused={
                egress: [(epoch, index) for epoch, index in places]
                for egress, places in content.pop("refused", {}).items()
            },
            progress={
                egress: Progress(**known) for egress, known in content.pop("progress", {}).items()
            },
            **content,
        )


def wants_base(
    deltas: Iterable[Delta], base: Base | None, *, deltas_max: int, bytes_min: int
) -> bool:
    """Return whether the deltas have grown so much that a new base is worth taking."""
    sizes = [delta.object.size_bytes for delta in deltas]
    base_bytes = sum(file.object.size_bytes for file in base.files) if base else 0
    return len(sizes) >= deltas_max or sum(sizes) >= max(bytes_min, base_bytes // 2)
