"""Which checkpoints and objects are still needed.

Kept are the newest complete checkpoints, savepoints, and of every manifest that a kept one may have to look back to
for unpublished records, the manifest and its outboxes. Everything else is collected, between checkpoints only.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from statefun_runtime.core.checkpoints.manifest import (
    ANY_OWNER,
    Base,
    Confirmed,
    Manifest,
    ObjectId,
    Outbox,
)


@dataclass(frozen=True, slots=True)
class Kept:
    """A complete checkpoint: its manifest's object, and what that says."""

    id: ObjectId
    manifest: Manifest

    def is_pending(self, confirmed: Confirmed) -> bool:
        """Return whether it has an outbox that is not confirmed published; an unknown egress confirms nothing."""
        return any(
            outbox.is_transactional and outbox.epoch > _confirmed(confirmed, outbox)
            for outbox in self.manifest.outboxes
        )

    def slim(self) -> "Kept":
        """Return it with what is needed to look back to it."""
        if not self.manifest.parts:
            return self
        return Kept(self.id, replace(self.manifest, parts=(), positions={}))


def _confirmed(confirmed: Confirmed, outbox: Outbox) -> int:
    owners = (outbox.owner, ANY_OWNER)
    return max(confirmed.get(owner, {}).get(outbox.egress, 0) for owner in owners)


@dataclass(frozen=True, slots=True)
class Savepoint:
    """A checkpoint that is kept for as long as somebody wants: its manifest, and all objects that it needs."""

    manifest: ObjectId
    epoch: int
    objects: tuple[ObjectId, ...]


def savepoint_of(chain: Sequence[Kept]) -> Savepoint:
    """Return the savepoint of the last of some checkpoints, of which each looks back to the one before it.

    Of those that are looked back to it needs the manifests and the outboxes.
    """
    last = chain[-1]
    needed = {last.id: None} | {stored.id: None for stored in last.manifest.objects()}
    for kept in chain[:-1]:
        needed[kept.id] = None
        needed |= {outbox.object.id: None for outbox in kept.manifest.outboxes}
    return Savepoint(last.id, last.manifest.epoch, tuple(needed))


class Retention:
    """The complete checkpoints that are kept, oldest first.

    `start` is the one that this life goes on from. Only what that looks back to, and what comes after it, may have
    records that are to be published: others are of a lineage that was left.
    """

    def __init__(
        self, kept_max: int, kept: Iterable[Kept], ids: set[ObjectId], start: ObjectId | None = None
    ) -> None:
        assert kept_max > 0
        self._kept_max = kept_max
        self._kept = list(kept)
        self._ids = ids
        parents = {one.id: one.manifest.pending_parent for one in self._kept}
        self._own: set[ObjectId] = set()
        while start is not None:
            self._own.add(start)
            start = parents.get(start)

    @property
    def kept(self) -> tuple[Kept, ...]:
        """Those that are kept, oldest first."""
        return tuple(self._kept)

    @property
    def there(self) -> frozenset[ObjectId]:
        """All objects that have not been given up."""
        return frozenset(self._ids)

    def added(self, kept: Kept) -> None:
        """One more checkpoint is complete."""
        self._kept.append(kept)
        self._own.add(kept.id)
        self._ids.add(kept.id)
        self._ids.update(stored.id for stored in kept.manifest.objects())

    def newest_pending(self, confirmed: Confirmed) -> ObjectId | None:
        """Return the newest manifest that may have unpublished records."""
        for kept in reversed(self._kept):
            if self._is_pending(kept, confirmed):
                return kept.id
        return None

    def _is_pending(self, kept: Kept, confirmed: Confirmed) -> bool:
        return kept.id in self._own and kept.is_pending(confirmed)

    def chain(self) -> list[Kept]:
        """Return the newest checkpoint, after the manifests it looks back to, oldest first."""
        by_id = {kept.id: kept for kept in self._kept}
        chain = [self._kept[-1]]
        while (parent := chain[0].manifest.pending_parent) is not None:
            chain.insert(0, by_id[parent])
        return chain

    @property
    def oldest_epoch(self) -> int:
        """The oldest epoch whose checkpoint is kept whole."""
        whole = self.whole()
        return whole[0].manifest.epoch if whole else 0

    def whole(self) -> list[Kept]:
        """Return those that are kept whole: after a collection no other checkpoint can be begun at."""
        return self._kept[-self._kept_max :]

    def collect(self, confirmed: Confirmed, bases: Iterable[Base]) -> set[ObjectId]:
        """Forget what is not needed any more; return the objects that are to be deleted.

        `bases` are those that may be in no manifest yet.
        """
        whole = self.whole()
        chained = self._chained(whole)
        is_whole = {kept.id for kept in whole}
        # Of one that is only looked back to nothing but the outboxes is needed, and there may be very many.
        self._kept = [
            kept if kept.id in is_whole else kept.slim()
            for kept in self._kept
            if kept.id in is_whole or kept.id in chained or self._is_pending(kept, confirmed)
        ]
        needed: set[ObjectId] = {file.object.id for base in bases for file in base.files}
        for kept in self._kept:
            needed.add(kept.id)
            needed.update(outbox.object.id for outbox in kept.manifest.outboxes)
            if kept.id in is_whole:
                needed.update(stored.id for stored in kept.manifest.objects())
        unneeded = self._ids - needed
        self._ids &= needed
        return unneeded

    def _chained(self, whole: list[Kept]) -> set[ObjectId]:
        """Return the manifests that kept ones look back to, over any number of steps."""
        parents = {kept.id: kept.manifest.pending_parent for kept in self._kept}
        chained: set[ObjectId] = set()
        for kept in whole:
            parent = kept.manifest.pending_parent
            while parent is not None and parent not in chained:
                chained.add(parent)
                parent = parents.get(parent)
        return chained
