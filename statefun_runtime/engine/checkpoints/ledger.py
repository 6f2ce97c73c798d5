"""The checkpoints of an application that are complete: written, committed, kept, and collected."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from statefun_runtime.core.checkpoints.commits import Completed, History, Started, require_newest
from statefun_runtime.core.checkpoints.manifest import (
    Base,
    Confirmed,
    Manifest,
    ObjectId,
    Positions,
    Snapshot,
)
from statefun_runtime.core.checkpoints.retention import Kept, Retention, Savepoint, savepoint_of
from statefun_runtime.engine.checkpoints.bases import Use
from statefun_runtime.errors import UnavailableError
from statefun_runtime.ports.checkpoint_store import CheckpointStore
from statefun_runtime.ports.commit_log import CommitLog

_RETRY_S = 0.5


@dataclass(frozen=True, slots=True)
class Identity:
    """Which application, and which life of it, takes the checkpoints."""

    started: Started
    key_group_count: int
    partition_count: int


class Ledger:
    """Makes the snapshots of all participants one checkpoint that is complete, and knows which there are.

    `in_use` is held while unneeded objects are deleted; whoever needs some that no kept manifest names holds it, too.
    """

    def __init__(
        self,
        identity: Identity,
        store: CheckpointStore,
        commit_log: CommitLog,
        retention: Retention,
        in_use: Use,
        *,
        last: Manifest | None,
        collect_every: int,
    ) -> None:
        self._identity = identity
        self._store = store
        self._commit_log = commit_log
        self._retention = retention
        self._in_use = in_use
        self._collect_every = collect_every
        self._commits = 0
        self.last_complete = last
        self.last_id = identity.started.from_manifest

    @property
    def kept(self) -> tuple[Kept, ...]:
        """The checkpoints that are kept, oldest first."""
        return self._retention.kept

    @property
    def there(self) -> frozenset[ObjectId]:
        """All objects of the store."""
        return self._retention.there

    async def commit(self, epoch: int, snapshots: Sequence[Snapshot], confirmed: Confirmed) -> None:
        """Make a checkpoint of durable snapshots complete.

        Raise UnavailableError when it is certain that it is not, and never will be.
        """
        pending = self._retention.newest_pending(confirmed)
        manifest = manifest_of(self._identity, epoch, snapshots, pending)
        content = manifest.encode()

        stored = await self._store.put([content])
        await self._store.sync()
        started = self._identity.started
        await self._append(Completed(epoch, started.incarnation, started.lineage, stored.id))
        self._retention.added(Kept(stored.id, manifest))
        self.last_complete, self.last_id = manifest, stored.id
        self._commits += 1

    async def _append(self, entry: Completed) -> None:
        try:
            await self._commit_log.append(entry)
            return
        except UnavailableError as error:
            unclear = error
        while True:
            try:
                entries = await self._commit_log.read()
            except UnavailableError:
                await asyncio.sleep(_RETRY_S)
                continue
            # What was read is what the next entry goes behind: nobody else may be in it who began after this life.
            require_newest(History(tuple(entries)), self._identity.started)
            if entry in entries:
                return
            raise unclear

    async def collect(self, confirmed: Confirmed, bases: Sequence[Base]) -> list[Positions] | None:
        """Now and then delete what no kept checkpoint needs; never beside those who need what none names.

        If that was done, return the positions of all checkpoints that are left to begin at.
        A base in the making may hold an object of the same content as one that is unneeded, and then has it no more.
        """
        if self._commits % self._collect_every or self._in_use.locked():
            return None
        async with self._in_use:
            unneeded = self._retention.collect(confirmed, bases)
            oldest = self._retention.oldest_epoch
            await self._store.delete(unneeded)
            await self._commit_log.prune(oldest)
            return [kept.manifest.positions for kept in self._retention.whole()]

    async def savepoint(self, place: str) -> Savepoint:
        """Make the last complete checkpoint a savepoint at a place of the store; nothing is collected meanwhile.

        Raise UnavailableError if it cannot be written.
        """
        async with self._in_use:
            savepoint = savepoint_of(self._retention.chain())
            await self._store.write_savepoint(place, savepoint)
        return savepoint


def manifest_of(
    identity: Identity, epoch: int, snapshots: Sequence[Snapshot], pending: ObjectId | None
) -> Manifest:
    """Return the manifest of some snapshots; `pending` is the newest before it that may have unpublished records."""
    started = identity.started
    return Manifest(
        application=started.application,
        epoch=epoch,
        incarnation=started.incarnation,
        lineage=started.lineage,
        created_ms=max(snapshot.created_ms for snapshot in snapshots),
        key_group_count=identity.key_group_count,
        partition_count=identity.partition_count,
        positions=merged(snapshot.positions for snapshot in snapshots),
        parts=tuple(snapshot.part for snapshot in snapshots),
        outboxes=tuple(outbox for snapshot in snapshots for outbox in snapshot.outboxes),
        pending_parent=pending,
        refused={owner: one for some in snapshots for owner, one in some.refused.items()},
        progress={owner: one for some in snapshots for owner, one in some.progress.items()},
        functions=tuple(sorted({name for one in snapshots for name in one.functions})),
    )


def merged(positions: Iterable[Positions]) -> Positions:
    """Return the positions of all participants as one; a split is read by one of them."""
    all_of_them: Positions = {}
    for some in positions:
        for ingress, splits in some.items():
            all_of_them[ingress] = {**all_of_them.get(ingress, {}), **splits}
    return all_of_them
