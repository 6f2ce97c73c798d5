"""Checkpoints: what a manifest names, and which manifests and objects are still needed.

    triggered ─▶ aligned (the cut) ─▶ acknowledged (all its objects are durable) ─▶ complete (in the commit log)
        └──────────────┴─────────────────────┴──▶ aborted: its content is merged under the next one's

A snapshot is a base (the store's files) plus deltas after it; an epoch's egress records are its outbox. Every object
is immutable, named by its content's hash, written once and named by any number of manifests.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NewType

from statefun_runtime.core.model.position import Position

ObjectId = NewType("ObjectId", str)

FORMAT = 5
_FORMATS = (2, 3, 4, FORMAT)
# Who runs alone; it wrote all that version 2 names.
ONLY_OWNER = "standalone"


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

    def __contains__(self, group: int) -> bool:
        return self.first <= group < self.end

    def __len__(self) -> int:
        return self.end - self.first

    def common(self, other: "KeyGroups") -> "KeyGroups":
        """Return the key groups that are in both; it may be empty."""
        first = max(self.first, other.first)
        return KeyGroups(first, max(first, min(self.end, other.end)))


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

    Of one that another owner wrote only some `key_groups` count: what else is in it is not of this part.
    `encoded` is how it stands in manifests: hundreds of them name it.
    """

    epoch: int
    object: StoredObject
    key_groups: KeyGroups | None = None
    encoded: str = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        content = {"epoch": self.epoch, "object": form(self.object)}
        if self.key_groups is not None:
            content["key_groups"] = form(self.key_groups)
        object.__setattr__(self, "encoded", _json(content))


@dataclass(frozen=True, slots=True)
class Part:
    """What one owner wrote of a checkpoint: the rows of its key groups, as bases and the deltas behind them.

    `in_transit` are the messages that others had sent to it before they cut, and that came after it had cut: they are
    behind its backlogs.
    """

    owner: str
    key_groups: KeyGroups
    bases: tuple[Base, ...]
    deltas: tuple[Delta, ...]
    in_transit: StoredObject | None = None

    def objects(self) -> Iterator[StoredObject]:
        """Yield every object that it names."""
        for base in self.bases:
            for file in base.files:
                yield file.object
        for delta in self.deltas:
            yield delta.object
        if self.in_transit is not None:
            yield self.in_transit

    def of(self, key_groups: KeyGroups) -> "Part":
        """Return what of it is of some key groups, for another owner to go on with."""
        common = self.key_groups.common(key_groups)
        if common == self.key_groups:
            return self
        if not len(common):
            return replace(self, key_groups=common, bases=(), deltas=())
        bases = [replace(one, key_groups=common.common(one.key_groups)) for one in self.bases]
        deltas = [
            replace(one, key_groups=common.common(one.key_groups or common)) for one in self.deltas
        ]
        return replace(
            self,
            key_groups=common,
            bases=tuple(base for base in bases if len(base.key_groups)),
            deltas=tuple(delta for delta in deltas if len(delta.key_groups or common)),
        )

    def encode(self) -> str:
        """Return how it stands in a manifest."""
        names = ("owner", "key_groups", "bases", "in_transit")
        rest = {name: form(getattr(self, name)) for name in names}
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
    owner: str = ONLY_OWNER


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
# By owner and egress id: up to which epoch everything is known to have left.
Confirmed = dict[str, dict[str, int]]
# Of an egress that an operator has given up, whoever owns what is left of it.
ANY_OWNER = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What one participant adds to a checkpoint; the fields are those of the manifest."""

    part: Part
    created_ms: int
    positions: Positions
    outboxes: tuple[Outbox, ...]
    refused: dict[str, Refused]
    progress: dict[str, Published]
    functions: tuple[str, ...] = ()

    @property
    def owner(self) -> str:
        """Who wrote it."""
        return self.part.owner

    def encode(self) -> str:
        """Return it as JSON."""
        rest = {name: form(getattr(self, name)) for name in self.__slots__ if name != "part"}
        return f'{_json(rest)[:-1]},"part":{self.part.encode()}}}'

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "Snapshot":
        """Read what `encode` made."""
        return cls(
            part=_part(content.pop("part")),
            outboxes=read_outboxes(content.pop("outboxes")),
            refused=_refused(content.pop("refused")),
            progress=_progress(content.pop("progress")),
            functions=tuple(content.pop("functions")),
            **content,
        )


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

    def part_for(self, owner: str, key_groups: KeyGroups) -> Part:
        """Return what an owner of these key groups goes on from, whoever wrote it."""
        found = [part for one in self.parts if len((part := one.of(key_groups)).key_groups)]
        if len(found) == 1:
            return replace(found[0], owner=owner, key_groups=key_groups, in_transit=None)
        bases = tuple(base for part in found for base in part.bases)
        # What else a delta holds may be older than what another part has of it.
        deltas = [
            replace(delta, key_groups=delta.key_groups or part.key_groups)
            for part in found
            for delta in part.deltas
        ]
        deltas.sort(key=lambda delta: delta.epoch)
        return Part(owner, key_groups, bases, tuple(deltas))

    def whole(self) -> Part:
        """Return what one worker goes on from that owns everything."""
        return self.part_for(ONLY_OWNER, KeyGroups(0, self.key_group_count))

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
            name: form(getattr(self, name))
            for name in self.__slots__
            if name not in ("parts", "version")
        }
        parts = ",".join([part.encode() for part in self.parts])
        return f'{_json({"format": FORMAT, **rest})[:-1]},"parts":[{parts}]}}'.encode()

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "Manifest":
        """Read what `encode` made, of this version or one before.

        Raise ValueError, KeyError or TypeError if it is something else.
        """
        version = content.pop("format")
        if version not in _FORMATS:
            known = ", ".join(map(str, _FORMATS))
            raise ValueError(f"it is of version {version}, and this worker reads versions {known}")
        if version == 2:
            content = _from_version_2(content)
        return cls(
            parts=tuple(_part(part) for part in content.pop("parts")),
            outboxes=read_outboxes(content.pop("outboxes")),
            refused=_refused(content.pop("refused")),
            progress=_progress(content.pop("progress")),
            functions=tuple(content.pop("functions", ())),
            version=version,
            **content,
        )


def _json(content: dict[str, Any]) -> str:
    return json.dumps(content, separators=(",", ":"))


def form(value: Any) -> Any:
    """Return a value as JSON has it: `dataclasses.asdict` without its copies, which are dear at ten manifests a second."""
    if isinstance(value, str | int):
        return value
    if isinstance(value, tuple | list):
        return [form(one) for one in value]
    if isinstance(value, dict):
        return {key: form(one) for key, one in value.items()}
    if value is None:
        return None
    return {name: form(getattr(value, name)) for name in value.__slots__}


def read_outboxes(content: list[dict[str, Any]]) -> tuple[Outbox, ...]:
    """Read what `form` made of outboxes."""
    return tuple(
        Outbox(**{**outbox, "object": StoredObject(**outbox["object"])}) for outbox in content
    )


def _refused(content: dict[str, Any]) -> dict[str, Refused]:
    return {
        owner: {
            egress: [(epoch, index) for epoch, index in places]
            for egress, places in refused.items()
        }
        for owner, refused in content.items()
    }


def _progress(content: dict[str, Any]) -> dict[str, Published]:
    return {
        owner: {egress: Progress(**known) for egress, known in progress.items()}
        for owner, progress in content.items()
    }


def read_base(content: dict[str, Any]) -> Base:
    """Read what `form` made of a base."""
    files = [BaseFile(file["name"], StoredObject(**file["object"])) for file in content["files"]]
    return Base(content["epoch"], KeyGroups(**content["key_groups"]), tuple(files))


def _delta(content: dict[str, Any]) -> Delta:
    groups = content.get("key_groups")
    return Delta(
        content["epoch"],
        StoredObject(**content["object"]),
        None if groups is None else KeyGroups(**groups),
    )


def _part(content: dict[str, Any]) -> Part:
    in_transit = content.get("in_transit")
    return Part(
        content["owner"],
        KeyGroups(**content["key_groups"]),
        tuple(map(read_base, content["bases"])),
        tuple(map(_delta, content["deltas"])),
        None if in_transit is None else StoredObject(**in_transit),
    )


def _from_version_2(content: dict[str, Any]) -> dict[str, Any]:
    """Return a manifest of version 2, which knows of one owner and one base, as one of version 3."""
    key_groups = {"first": 0, "end": content["key_group_count"]}
    base = content.pop("base")
    part = {
        "owner": ONLY_OWNER,
        "key_groups": key_groups,
        "bases": [] if base is None else [{**base, "key_groups": key_groups}],
        "deltas": content.pop("deltas"),
    }
    return {
        **content,
        "parts": [part],
        "refused": {ONLY_OWNER: content.get("refused", {})},
        "progress": {ONLY_OWNER: content.get("progress", {})},
    }


def wants_base(
    deltas: Iterable[Delta], bases: Iterable[Base], *, deltas_max: int, bytes_min: int
) -> bool:
    """Return whether the deltas have grown so much that a new base is worth taking."""
    sizes = [delta.object.size_bytes for delta in deltas]
    base_bytes = sum(file.object.size_bytes for base in bases for file in base.files)
    return len(sizes) >= deltas_max or sum(sizes) >= max(bytes_min, base_bytes // 2)
