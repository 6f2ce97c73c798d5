"""The commit log: who ran, and which checkpoints are complete.

Every start adds an entry before anything else happens, so that the pair (incarnation, nonce) tells a life apart from
every other, also from one of a copied folder. A lineage is an unbroken line of checkpoints: starting from a savepoint,
or from an older checkpoint than the last complete one, begins a new one.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from statefun_runtime.core.checkpoints.manifest import KeyGroups, ObjectId
from statefun_runtime.core.cluster.plan import Member, Plan, alone
from statefun_runtime.errors import CorruptionError, FencedError


@dataclass(frozen=True, slots=True)
class Started:
    """A worker began, or several: from which epoch's checkpoint (0: from nothing), in which lineage.

    `name` is what its operator calls the application, if it has a name; `members` are the workers, none if it is one.
    """

    application: str
    incarnation: int
    nonce: str
    lineage: str
    from_epoch: int
    from_manifest: ObjectId | None
    from_lineage: str | None
    key_group_count: int
    name: str = ""
    members: tuple[Member, ...] = ()

    @property
    def plan(self) -> Plan:
        """Who owns what."""
        return Plan(self.members) if self.members else alone(self.key_group_count)


@dataclass(frozen=True, slots=True)
class Completed:
    """A checkpoint is complete."""

    epoch: int
    incarnation: int
    lineage: str
    manifest: ObjectId


Entry = Started | Completed


def entry_form(entry: Entry) -> dict[str, Any]:
    """Return an entry as JSON has it."""
    kind = "started" if isinstance(entry, Started) else "completed"
    content = {"kind": kind, **asdict(entry)}
    if not content.get("members", True):
        del content["members"]
    return content


def read_entry(content: dict[str, Any]) -> Entry:
    """Read what `entry_form` made; raise KeyError or TypeError if it is something else."""
    kind = content.pop("kind")
    if kind == "completed":
        return Completed(**content)
    if kind != "started":
        raise KeyError(kind)
    members = content.pop("members", ())
    found = [Member(one["slot"], KeyGroups(**one["key_groups"])) for one in members]
    return Started(**content, members=tuple(found))


@dataclass(frozen=True, slots=True)
class History:
    """What the log says, in one place."""

    entries: tuple[Entry, ...]

    @property
    def last_started(self) -> Started | None:
        """The newest start."""
        return next((e for e in reversed(self.entries) if isinstance(e, Started)), None)

    @property
    def last_epoch(self) -> int:
        """The highest epoch that was ever completed, in any lineage."""
        return max((e.epoch for e in self.entries if isinstance(e, Completed)), default=0)

    def could_publish(self, one: "Marker") -> bool:
        """Return whether a marker's life can have had its epoch, by this log.

        What it had is complete here, or was where a life began, as with a savepoint; and it had nothing beyond the
        start of a later life of its lineage, since that begins at the last there is.
        """
        starts = [e for e in self.entries if isinstance(e, Started)]
        known = max(self.last_epoch, *(start.from_epoch for start in starts), 0)
        return one.epoch <= known and not any(
            start.incarnation > one.incarnation
            and start.lineage == one.lineage
            and start.from_epoch < one.epoch
            for start in starts
        )

    @property
    def origin(self) -> ObjectId | None:
        """The manifest from which the newest lineage began."""
        last = self.last_started
        if last is None:
            return None
        first = next(
            e for e in self.entries if isinstance(e, Started) and e.lineage == last.lineage
        )
        return first.from_manifest

    @property
    def completed(self) -> list[Completed]:
        """The complete checkpoints of the newest lineage, and of those it came from, oldest first."""
        allowed = dict(self.ancestry())
        return [
            e
            for e in self.entries
            if isinstance(e, Completed) and e.epoch <= allowed.get(e.lineage, -1)
        ]

    def ancestry(self) -> list[tuple[str, int]]:
        """Return the newest lineage and those it came from, each with its last epoch that counts."""
        started = [e for e in self.entries if isinstance(e, Started)]
        if not started:
            return []
        lineage, last = started[-1].lineage, 1 << 62
        line = []
        while True:
            line.append((lineage, last))
            first = next(e for e in started if e.lineage == lineage)
            if first.from_lineage is None or first.from_lineage == lineage:
                return line
            lineage, last = first.from_lineage, first.from_epoch

    def knows(self, incarnation: int, nonce: str) -> bool:
        """Return whether a life was one of this log's."""
        return any(
            isinstance(e, Started) and (e.incarnation, e.nonce) == (incarnation, nonce)
            for e in self.entries
        )


def require_newest(history: History, started: Started) -> None:
    """Raise FencedError if a life began after this one: then it is a zombie, whatever it finds of its own in the log."""
    if history.last_started != started:
        raise fenced("the commit log")


def fenced(where: str) -> FencedError:
    """Return the error of a worker that others have overtaken."""
    return FencedError(
        f"another worker has written to {where}: this one is no longer the one that runs",
        code="SF4001",
    )


def unreadable(what: str, error: Exception) -> CorruptionError:
    """Return the error of an entry that cannot be read."""
    return CorruptionError(f"{what} cannot be read: {error}", code="SF5008")


@dataclass(frozen=True, slots=True)
class Claim:
    """A publisher says that it is the one from now on; `attempt` tells its claims of one life apart."""

    incarnation: int
    nonce: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Marker:
    """So many records of the outbox of an epoch, and all outboxes before it, are published."""

    incarnation: int
    nonce: str
    lineage: str
    epoch: int
    count: int


@dataclass(frozen=True, slots=True)
class Superseded:
    """Somebody newer, or of another log, publishes."""

    claim: Claim | Marker


@dataclass(frozen=True, slots=True)
class Covered:
    """All outboxes before `epoch`, and `count` records of its own, are published; epoch 0: nothing is."""

    epoch: int
    count: int


def decide_published(
    seen: Sequence[Claim | Marker], history: History, own: Claim
) -> Superseded | Covered:
    """Decide, from everything read up to one's own claim, what does not have to be published again.

    A claim or marker of a life that the log does not know, or of a later one than one's own, means that this worker
    is a copy or a zombie. So does a marker of an earlier life for an epoch that it cannot have had by the log, as that
    was when this life began: that life went on elsewhere, and an epoch of that number here is another one. Markers
    of lineages that are not ancestors cover nothing.
    """
    last_of = dict(history.ancestry())
    covered = Covered(0, 0)
    for one in seen:
        is_mine = (one.incarnation, one.nonce) == (own.incarnation, own.nonce)
        is_known = is_mine or history.knows(one.incarnation, one.nonce)
        if not is_known or one.incarnation > own.incarnation:
            return Superseded(one)
        if isinstance(one, Claim):
            continue
        if not is_mine and not history.could_publish(one):
            return Superseded(one)
        if one.epoch <= last_of.get(one.lineage, -1):
            covered = max(covered, Covered(one.epoch, one.count), key=lambda c: (c.epoch, c.count))
    return covered
