"""Checkpoints: what a manifest names, and which manifests and objects are still needed.

    triggered ─▶ aligned (the cut) ─▶ acknowledged (all its objects are durable) ─▶ complete (in the commit log)
        └──────────────┴─────────────────────┴──▶ aborted: its content is merged under the next one's

A snapshot is a base (the store's files) plus deltas after it; an epoch's egress records are its outbox. Every object
is immutable, named by its content's hash, written once and named by any number of manifests.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NewType

from statefun_runtime.core.model.position import Position

ObjectId = NewType("ObjectId", str)

FORMAT = 3
_FORMATS = (2, FORMAT)
# Who wrote all that version 2 names.
_ONLY_OWNER = "standalone"


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
class KeyGroups:
    """A contiguous range of key groups, without its end."""

    first: int
    end: int


@dataclass(frozen=True, slots=True)
class Base:
    """All rows of a range of key groups up to and including an epoch, as the files of a store.

    The files may hold rows of other key groups, which are not of this base.
    """

    epoch: int
    key_groups: KeyGroups
    files: tuple[BaseFile, ...]


@dataclass(frozen=True, slots=True)
class Delta:
    """The rows that changed up to an epoch, after the delta or bases before it.

    `encoded` is how it stands in manifests: hundreds of them name it.
    """

    epoch: int
    object: StoredObject
    encoded: str = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        encoded = _json({"epoch": self.epoch, "object": _form(self.object)})
        object.__setattr__(self, "encoded", encoded)


@dataclass(frozen=True, slots=True)
class Part:
    """What one owner wrote of a checkpoint: the rows of its key groups, as bases and the deltas behind them."""

    owner: str
    key_groups: KeyGroups
    bases: tuple[Base, ...]
    deltas: tuple[Delta, ...]

    def objects(self) -> Iterator[StoredObject]:
        """Yield every object that it names."""
        for base in self.bases:
            for file in base.files:
                yield file.object
        for delta in self.deltas:
            yield delta.object

    def encode(self) -> str:
        """Return how it stands in a manifest."""
        rest = {name: _form(getattr(self, name)) for name in ("owner", "key_groups", "bases")}
        deltas = ",".join([delta.encoded for delta in self.deltas])
        return f'{_json(rest)[:-1]},"deltas":[{deltas}]}}'


@dataclass(frozen=True, slots=True)
class Outbox:
    """Egress records of one egress and owner, as one object.

    Of an exactly-once egress they are those of the epoch, to be published under its marker. Of an at-least-once one
    they are all that was not acknowledged at the cut, and the next manifest's take their place.
    """

    egress: str
    epoch: int
    count: int
    object: StoredObject
    is_transactional: bool
    owner: str = _ONLY_OWNER


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an exactly-once egress is known to have published, and on which Kafka cluster, if that says."""

    epoch: int
    cluster: str | None


Positions = dict[str, dict[str, Position]]
# By egress id: epoch and index of records.
Refused = dict[str, list[tuple[int, int]]]
# By egress id.
Published = dict[str, Progress]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What one participant adds to a checkpoint; the fields are those of the manifest."""

    part: Part
    created_ms: int
    positions: Positions
    outboxes: tuple[Outbox, ...]
    refused: Refused
    progress: Published
    functions: tuple[str, ...] = ()

    @property
    def owner(self) -> str:
        """Who wrote it."""
        return self.part.owner


@dataclass(frozen=True, slots=True)
class Manifest:
    """One consistent cut of the application.

    `positions` holds, per ingress id, how far each split was read, in the ingress's own terms. `outboxes` are those of
    this epoch; `pending_parent` is the newest manifest before this one that may have an outbox which is not confirmed
    published. `progress` holds, per owner and id of an egress that has begun to publish, what it knew of that.
    `refused` names, per owner and egress id, records of such outboxes by epoch and index whose dead letters are in this
    checkpoint or an older one. `functions` are the function types that were ever called. `version` is that of the form in which it was read; what is written is of the newest.
    """

    application: str
    epoch: int
    incarnation: int
    lineage: str
    created_ms: int
    key_group_count: int
    partition_count: int
    positions: Positions
    parts: tuple[Part, ...]
    outboxes: tuple[Outbox, ...]
    pending_parent: ObjectId | None = None
    refused: dict[str, Refused] = field(default_factory=dict)
    progress: dict[str, Published] = field(default_factory=dict)
    functions: tuple[str, ...] = ()
    version: int = FORMAT

    def part_of(self, owner: str) -> Part | None:
        """Return what an owner wrote, if it wrote anything."""
        return next((part for part in self.parts if part.owner == owner), None)

    def outboxes_of(self, owner: str) -> tuple[Outbox, ...]:
        """Return the outboxes of an owner."""
        return tuple(outbox for outbox in self.outboxes if outbox.owner == owner)

    def objects(self) -> Iterator[StoredObject]:
        """Yield every object that this manifest names itself."""
        for part in self.parts:
            yield from part.objects()
        for outbox in self.outboxes:
            yield outbox.object

    def encode(self) -> bytes:
        """Return the manifest in the form in which it is stored, JSON."""
        rest = {
            name: _form(getattr(self, name))
            for name in self.__slots__
            if name not in ("parts", "version")
        }
        parts = ",".join([part.encode() for part in self.parts])
        return f'{_json({"format": FORMAT, **rest})[:-1]},"parts":[{parts}]}}'.encode()

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "Manifest":
        """Read what `encode` made, of this version or the one before.

        Raise ValueError, KeyError or TypeError if it is something else.
        """
        version = content.pop("format")
        if version not in _FORMATS:
            known = " and ".join(map(str, _FORMATS))
            raise ValueError(f"it is of version {version}, and this worker reads versions {known}")
        if version == 2:
            content = _from_version_2(content)
        return cls(
            parts=tuple(_part(part) for part in content.pop("parts")),
            outboxes=tuple(
                Outbox(**{**outbox, "object": StoredObject(**outbox["object"])})
                for outbox in content.pop("outboxes")
            ),
            refused={
                owner: {
                    egress: [(epoch, index) for epoch, index in places]
                    for egress, places in refused.items()
                }
                for owner, refused in content.pop("refused").items()
            },
            progress={
                owner: {egress: Progress(**known) for egress, known in progress.items()}
                for owner, progress in content.pop("progress").items()
            },
            functions=tuple(content.pop("functions", ())),
            version=version,
            **content,
        )


def _json(content: dict[str, Any]) -> str:
    return json.dumps(content, separators=(",", ":"))


def _form(value: Any) -> Any:
    """Return a value as JSON has it: `dataclasses.asdict` without its copies, which are dear at ten manifests a second."""
    if isinstance(value, str | int):
        return value
    if isinstance(value, tuple | list):
        return [_form(one) for one in value]
    if isinstance(value, dict):
        return {key: _form(one) for key, one in value.items()}
    if value is None:
        return None
    return {name: _form(getattr(value, name)) for name in value.__slots__}


def _part(content: dict[str, Any]) -> Part:
    return Part(
        content["owner"],
        KeyGroups(**content["key_groups"]),
        tuple(
            Base(
                base["epoch"],
                KeyGroups(**base["key_groups"]),
                tuple(
                    BaseFile(file["name"], StoredObject(**file["object"])) for file in base["files"]
                ),
            )
            for base in content["bases"]
        ),
        tuple(
            Delta(delta["epoch"], StoredObject(**delta["object"])) for delta in content["deltas"]
        ),
    )


def _from_version_2(content: dict[str, Any]) -> dict[str, Any]:
    """Return a manifest of version 2, which knows of one owner and one base, as one of version 3."""
    key_groups = {"first": 0, "end": content["key_group_count"]}
    base = content.pop("base")
    part = {
        "owner": _ONLY_OWNER,
        "key_groups": key_groups,
        "bases": [] if base is None else [{**base, "key_groups": key_groups}],
        "deltas": content.pop("deltas"),
    }
    return {
        **content,
        "parts": [part],
        "refused": {_ONLY_OWNER: content.get("refused", {})},
        "progress": {_ONLY_OWNER: content.get("progress", {})},
    }


def wants_base(
    deltas: Iterable[Delta], bases: Iterable[Base], *, deltas_max: int, bytes_min: int
) -> bool:
    """Return whether the deltas have grown so much that a new base is worth taking."""
    sizes = [delta.object.size_bytes for delta in deltas]
    base_bytes = sum(file.object.size_bytes for base in bases for file in base.files)
    return len(sizes) >= deltas_max or sum(sizes) >= max(bytes_min, base_bytes // 2)
