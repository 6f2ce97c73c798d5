"""What a person does to an application: goes back to an older checkpoint, takes savepoints, and starts from them.

in the same folder    a new lineage: what was published after that point may be published again, once
in another folder     a new application: it knows nothing of what the one before published, and what was in outboxes
                      is published once more, or dropped, as it is told
"""

import asyncio
from random import Random
from typing import TYPE_CHECKING, Any

from statefun_runtime.connectors.kafka.egress.records import FORM
from statefun_runtime.connectors.playground.ingress_log import LOG_SPLIT, first_kept
from statefun_runtime.core.checkpoints.commits import History
from statefun_runtime.core.checkpoints.manifest import ObjectId, Positions
from statefun_runtime.engine.beginning import Beginning
from statefun_runtime.engine.checkpoints.recovery import read_manifest, read_outbox
from statefun_runtime.engine.worker import Worker
from statefun_runtime.errors import UnavailableError
from statefun_runtime.ports.checkpoint_store import CheckpointStore
from tests.fakes.off_loop import AT_ONCE
from tests.simulation import checker
from tests.simulation.machine.fake_disk import FakePath
from tests.simulation.machine.loop import current_process

if TYPE_CHECKING:
    from tests.simulation.world import World


# Tenths of a second.
_PATIENCE = 40


class Operator:
    """Says where a worker begins; what was said holds for every start until something else is said."""

    def __init__(self, world: "World", rng: Random) -> None:
        self._world = world
        self._rng = rng
        self._worker: Worker | None = None
        self._goes_back = False
        self._origin: ObjectId | None = None
        self._place: str | None = None
        self._drops = False
        self._savepoints: list[str] = []
        self._asked = 0
        # How often a new lineage was asked for.
        self.decisions = 0
        # Applications that were left for one in another folder.
        self.left: list[FakePath] = []
        # Address and text of what was dropped of the outboxes of an application, and by which others.
        self.dropped: dict[tuple[str, str], dict[FakePath, None]] = {}

    @property
    def has_decided(self) -> bool:
        """Whether a new lineage was asked for, also one that has not begun yet."""
        return bool(self.decisions) or self._goes_back

    def folder(self, place: str) -> Any:
        """Return the folder of a savepoint."""
        return FakePath(self._world.disk, place)

    def runs(self, worker: Worker) -> None:
        """A worker has begun to run."""
        self._worker = worker

    def go_back(self, *, is_kill: bool) -> None:
        """End the worker; the next one is started from an older checkpoint than the last."""
        self._goes_back = True
        self._end(is_kill=is_kill)

    def ask_for_savepoint(self) -> None:
        """Ask the running worker for a savepoint; nobody waits for the answer."""
        world, worker = self._world, self._worker
        if worker is None or world.process is None or world.process.is_dead:
            return
        self._asked += 1
        place = f"savepoints/{self._asked}"
        world.loop.create_task(self._take(worker, place), context=world.process.context)

    async def _take(self, worker: Worker, place: str) -> None:
        disk = self._world.disk
        refusals = disk.refusals
        try:
            made = await worker.parts.checkpointer.savepoint(place)
        except UnavailableError as error:
            self._world.say(f"no savepoint: {error.code}")
            # What a zombie has is collected by the one after it.
            if disk.refusals == refusals and not current_process().is_zombie:
                self._world.fail(f"no savepoint could be written on a good disk: {error.message}")
            return
        # One that was taken before it was known where reading begins would begin anew.
        if checker.is_whole(self._world, made.manifest):
            self._savepoints.append(place)
        self._world.say(f"savepoint {place} of checkpoint {made.epoch}")

    async def start_from_savepoint(self, *, is_kill: bool, is_elsewhere: bool) -> None:
        """End the worker; the next one is started from a savepoint, in this folder or in another.

        One that is being taken is waited for, but not for ever.
        """
        world = self._world
        for _ in range(_PATIENCE):
            if self._savepoints:
                break
            await asyncio.sleep(0.1)
        else:
            return
        self.decisions += 1
        self._place = self._rng.choice(self._savepoints)
        where = "another folder" if is_elsewhere else "the same folder"
        world.say(f"starts from savepoint {self._place} in {where}")
        if is_elsewhere:
            self.left.append(world.folder)
            world.folder = FakePath(world.disk, f"state-{len(self.left)}")
            self._drops = self._rng.random() < 0.5
        self._end(is_kill=is_kill)

    def _end(self, *, is_kill: bool) -> None:
        if is_kill:
            self._world.kill(with_power=False)
        else:
            self._world.stop()

    async def origin(self, history: History, objects: CheckpointStore) -> ObjectId | None:
        """Return where a start is told to begin."""
        if self._place is not None:
            manifest = await objects.take_in_savepoint(self._place)
            if self._reaches((await read_manifest(objects, manifest)).positions):
                return manifest
            self._world.say("the HTTP log begins behind the savepoint")
            self._place = None
        older = [entry.manifest for entry in history.completed[:-1]]
        older = [one for one in older if checker.is_whole(self._world, one)]
        if self._goes_back and older:
            self._goes_back = False
            self.decisions += 1
            self._origin = self._world.rng.choice(older)
            self._world.say(f"goes back to {self._origin[:8]}")
        return self._origin

    def _reaches(self, positions: Positions) -> bool:
        """Return whether the log of the HTTP ingress holds what comes after a savepoint."""
        for ingress, splits in positions.items():
            folder: Any = self._world.folder / "ingress" / ingress.replace("/", ".")
            position, first = splits.get(LOG_SPLIT), first_kept(folder)
            if isinstance(position, int) and first is not None and position < first:
                return False
        return True

    async def told_of_outboxes(self, beginning: Beginning, objects: CheckpointStore) -> Beginning:
        """Return it with the outboxes that are to be published: another application may have published some."""
        if beginning.start.is_ours or beginning.start.manifest is None or not self._drops:
            return beginning
        for outbox in beginning.outboxes:
            for record in await read_outbox(outbox.object.id, objects, AT_ONCE):
                told = checker.parse(FORM.decode(record).value.decode())
                self.dropped.setdefault((told[0], told[4]), {})[self._world.folder] = None
        return beginning.without_outboxes()
