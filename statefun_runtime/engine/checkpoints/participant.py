"""Who takes part in a checkpoint, and what this worker adds to it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from statefun_runtime.core.checkpoints.manifest import (
    Confirmed,
    Manifest,
    Positions,
    Published,
    Refused,
    Snapshot,
)
from statefun_runtime.core.checkpoints.overlay import Layer
from statefun_runtime.core.partition.backlog import Function
from statefun_runtime.core.partition.backpressure import Load
from statefun_runtime.engine.checkpoints.bases import Bases
from statefun_runtime.engine.checkpoints.snapshots import Cut, Snapshots
from statefun_runtime.engine.egress import Egress
from statefun_runtime.engine.state.spills import Spills
from statefun_runtime.engine.state.states import States
from statefun_runtime.ports.clock import Clock
from statefun_runtime.ports.ingress import IngressSource, KeepsRecords


class Participant(Protocol):
    """One who cuts when told to, and acknowledges when its snapshot is durable.

    `cut` and `snapshot` are called once an epoch, in this order; then it hears of exactly one of `completed` and
    `aborted`, before the next cut. What an aborted snapshot held goes into the next one.
    """

    @property
    def owner(self) -> str:
        """Its name in manifests; no other participant has it."""
        ...

    @property
    def is_changed(self) -> bool:
        """Whether a snapshot now would hold anything new."""
        ...

    @property
    def has_published(self) -> bool:
        """Whether more has left than the last complete checkpoint knows."""
        ...

    def cut(self, epoch: int) -> None:
        """End an epoch, in this step of the loop; what comes later belongs to the next one."""
        ...

    async def snapshot(self, epoch: int) -> Snapshot:
        """Write what was cut; return it when the store has it. Raise UnavailableError if it cannot be written."""
        ...

    def completed(self, epoch: int) -> None:
        """The checkpoint of the epoch that was cut is complete."""
        ...

    def aborted(self, epoch: int) -> None:
        """There is no checkpoint of the epoch that was cut."""
        ...

    def collected(self, left: Sequence[Positions]) -> None:
        """No checkpoint can be begun at any more but those with these positions."""
        ...

    def confirmed(self) -> Confirmed:
        """Return, per owner and egress that waits for its epoch, up to which one everything is known to have left."""
        ...


class LocalParticipant:
    """The Participant that is this worker: states, backlogs, ingresses and egresses in one step of its loop.

    `adopted` are egresses that publish, under the names of owners that are no more, what these had left. `left` are the
    positions that are kept though no ingress here may tell of them. `relieved` is called when changes may be made again
    after too many were in no checkpoint, `touch_busy` has the next cut look at every address that has something to do.
    """

    def __init__(
        self,
        owner: str,
        states: States,
        spills: Spills,
        load: Load,
        clock: Clock,
        ingresses: Mapping[str, IngressSource],
        egresses: Mapping[str, Egress[Any]],
        bases: Bases,
        snapshots: Snapshots,
        functions: Sequence[Function],
        *,
        adopted: Mapping[str, Mapping[str, Egress[Any]]],
        last: Manifest | None,
        is_ours: bool,
        left: Positions,
        relieved: Callable[[], None],
        touch_busy: Callable[[], None],
    ) -> None:
        self.owner = owner
        self._states = states
        self._spills = spills
        self._load = load
        self._clock = clock
        self._ingresses = ingresses
        self._egresses = egresses
        self._bases = bases
        self._snapshots = snapshots
        self._functions = functions
        self._called = dict.fromkeys(last.functions if last else ())
        self._relieved = relieved
        self._touch_busy = touch_busy
        self._adopted = adopted
        self._positions = left
        self._progress = dict(last.progress.get(owner, {})) if last and is_ours else {}
        self._cut: Cut | None = None
        self._written: tuple[Snapshot, list[Layer]] | None = None

    @property
    def is_changed(self) -> bool:
        """Whether a snapshot now would hold anything new."""
        return (
            self._states.is_changed
            or bool(self._states.unsaved())
            or self._current_positions() != self._positions
            or any(egress.is_changed for egress in self._egresses.values())
        )

    @property
    def has_published(self) -> bool:
        """Whether more has been published than the last checkpoint knows."""
        return self._current_progress() != self._progress

    def cut(self, epoch: int) -> None:
        """Freeze all of it, in one step of the loop."""
        if self._bases.adopt():
            self._touch_busy()
        self._spills.cut_tails()
        layer, heads = self._states.freeze(epoch)
        self._cut = Cut(
            epoch,
            self._clock.now_ms(),
            layer,
            heads,
            self._current_positions(),
            {egress_id: egress.cut(epoch) for egress_id, egress in self._egresses.items()},
            {owner: _refused(egresses) for owner, egresses in self._by_owner()},
            {self.owner: self._current_progress()} | self._adopted_progress(),
            self._current_functions(),
        )

    def _by_owner(self) -> Iterator[tuple[str, Mapping[str, Egress[Any]]]]:
        yield self.owner, self._egresses
        yield from self._adopted.items()

    def _adopted_progress(self) -> dict[str, Published]:
        return {
            owner: {
                egress_id: known
                for egress_id, egress in egresses.items()
                if (known := egress.progress()) is not None
            }
            for owner, egresses in self._adopted.items()
        }

    def _current_progress(self) -> Published:
        """An egress that has gone, or was never reached, keeps what was known of it."""
        progress = dict(self._progress)
        for egress_id, egress in self._egresses.items():
            known = egress.progress()
            if known is not None:
                progress[egress_id] = known
        return progress

    def _current_functions(self) -> tuple[str, ...]:
        """Those that an earlier life called may have state, too."""
        called = (str(function.type) for function in self._functions)
        self._called.update(dict.fromkeys(called))
        return tuple(sorted(self._called))

    def _current_positions(self) -> Positions:
        """An ingress that has gone, or was never reached, keeps the positions it had."""
        positions = dict(self._positions)
        for ingress_id, ingress in self._ingresses.items():
            known = ingress.positions()
            if known:
                positions[ingress_id] = {**positions.get(ingress_id, {}), **known}
        return positions

    async def snapshot(self, epoch: int) -> Snapshot:
        """Write the cut."""
        assert self._cut is not None
        assert self._cut.epoch == epoch
        self._written = await self._snapshots.write(self._cut)
        return self._written[0]

    def completed(self, epoch: int) -> None:
        """What was cut is saved, and what waited for that may leave."""
        assert self._written is not None
        (snapshot, layers), self._written, self._cut = self._written, None, None
        self._snapshots.completed(snapshot)
        self._positions = snapshot.positions
        self._progress = snapshot.progress[self.owner]
        self._states.saved(layers)
        was_stuck = self._load.is_stuck
        self._load.unsaved(self._states.unsaved_bytes)
        if was_stuck and not self._load.is_stuck:
            self._relieved()
        outboxes = {outbox.egress: outbox for outbox in snapshot.outboxes}
        for egress_id, egress in self._egresses.items():
            egress.completed(epoch, outboxes.get(egress_id))
        for ingress_id, ingress in self._ingresses.items():
            ingress.completed(snapshot.positions.get(ingress_id, {}))

    def aborted(self, epoch: int) -> None:
        """The next snapshot holds what this one would have held."""
        self._written = self._cut = None
        for egress in self._egresses.values():
            egress.failed(epoch)

    def collected(self, left: Sequence[Positions]) -> None:
        """Ingresses that keep their own records may forget those that nobody goes back to."""
        for ingress_id, ingress in self._ingresses.items():
            if isinstance(ingress, KeepsRecords):
                ingress.needed([positions.get(ingress_id, {}) for positions in left])

    def confirmed(self) -> Confirmed:
        """Return what is known to have left."""
        return {
            owner: {
                egress_id: egress.confirmed_epoch()
                for egress_id, egress in egresses.items()
                if egress.waits_for_epoch
            }
            for owner, egresses in self._by_owner()
        }


def _refused(egresses: Mapping[str, Egress[Any]]) -> Refused:
    return {
        egress_id: places
        for egress_id, egress in egresses.items()
        if (places := list(egress.refused()))
    }
