"""Where a life begins: what a worker keeps its state in, and what it finds there.

The commit log was read ─▶ `begin` ─▶ a checkpoint, or nothing ─▶ `open_store` ─▶ its live store

Nothing is written but the files of the live store, which belong to no other life.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from statefun_runtime.core.checkpoints.commits import History
from statefun_runtime.core.checkpoints.manifest import ObjectId, Outbox, Part
from statefun_runtime.core.checkpoints.retention import Kept
from statefun_runtime.core.cluster.plan import Member
from statefun_runtime.engine.checkpoints.recovery import (
    Heads,
    Names,
    StartingPoint,
    choose_start,
    open_live,
    pending_outboxes,
)
from statefun_runtime.engine.settings import EngineSettings
from statefun_runtime.ports.checkpoint_store import CheckpointStore
from statefun_runtime.ports.clock import Clock
from statefun_runtime.ports.commit_log import CommitLog
from statefun_runtime.ports.off_loop import OffLoop
from statefun_runtime.ports.state_store import StateStore


@dataclass(frozen=True, slots=True)
class Ports:
    """What a worker keeps its state in, and tells the time by.

    `open_store` opens the live store in a folder that holds the files of a base, or nothing; `scratch` names folders
    for it that are not there yet, and `discard` deletes one with all that is in it; `make_clock` is told what the date must not be before, in ms since 1970.
    """

    checkpoints: CheckpointStore
    commit_log: CommitLog
    open_store: Callable[[Path], StateStore]
    scratch: Callable[[], Path]
    discard: Callable[[Path], None]
    make_clock: Callable[[int], Clock]
    off_loop: OffLoop


@dataclass(frozen=True, slots=True)
class Beginning:
    """Where a life begins; `history` includes its own entry, and `outboxes` may not have left before.

    `slot` is the worker's place in the plan.
    """

    start: StartingPoint
    history: History
    outboxes: tuple[Outbox, ...]
    slot: int = 0

    @property
    def member(self) -> Member:
        """What the worker owns."""
        return self.start.started.plan.member(self.slot)

    @property
    def part(self) -> Part | None:
        """What the worker goes on from."""
        manifest, member = self.start.manifest, self.member
        return manifest.part_for(member.owner, member.key_groups) if manifest else None

    def without_outboxes(self) -> "Beginning":
        """Return it with nothing that may not have left: what is dropped is in no later checkpoint, and looked for by none."""
        origin, manifest = self.start.started.from_manifest, self.start.manifest
        assert origin is not None
        assert manifest is not None
        bare = replace(manifest, outboxes=(), pending_parent=None)
        start = replace(self.start, manifest=bare, kept=(Kept(origin, bare),))
        return replace(self, start=start, outboxes=())


async def begin(
    ports: Ports,
    history: History,
    names: Names,
    settings: EngineSettings,
    *,
    origin: ObjectId | None = None,
) -> Beginning:
    """Decide where a life begins that comes after what the commit log says; writes nothing."""
    start = await choose_start(
        history, ports.checkpoints, names, key_group_count=settings.key_group_count, origin=origin
    )
    outboxes = tuple(pending_outboxes(start.manifest, start.kept))
    return Beginning(start, History((*history.entries, start.started)), outboxes)


async def open_store(part: Part | None, ports: Ports) -> tuple[StateStore, Heads]:
    """Return a live store with what somebody goes on from, and the heads of its backlogs.

    What could not be made whole leaves nothing behind.
    """
    made: list[Path] = []

    def scratch() -> Path:
        made.append(ports.scratch())
        return made[-1]

    try:
        return await open_live(part, ports.checkpoints, scratch, ports.open_store, ports.off_loop)
    except BaseException:
        for folder in made:
            await ports.off_loop(partial(ports.discard, folder))
        raise
