"""Chunks of spilled backlogs: what is said about them, and what a restart reads."""

from statefun_runtime.core.model.address import Address, TypeName
from statefun_runtime.core.model.keys import (
    CHUNK,
    backlog_key_of,
    state_key,
)
from statefun_runtime.core.partition.spill import MIDDLE_SEQUENCE, Chunk, SpillLimits
from statefun_runtime.engine.state.chunks import (
    delete_chunk,
    keep,
    keep_head,
    read_chunk,
    stored_chunks,
    write_chunk,
)
from tests.fakes.endpoint import Answer
from tests.fakes.state_store import DictStore
from tests.fakes.virtual_time import run_virtual
from tests.unit.engine.engine_world import ENCODER, KEY_GROUPS, World

TYPE = TypeName("t", "f")
KEY = state_key(TYPE, "alice", key_group_count=KEY_GROUPS)
GROUP = KEY[:2]
INVOCATION = ENCODER.encode(b"v")


class Watched(DictStore):
    """Knows which values were asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[bytes] = []

    def get(self, key: bytes) -> bytes | None:
        self.read.append(key)
        return super().get(key)

    def scan(self, prefix: bytes):  # type: ignore[no-untyped-def]
        for key, row in super().scan(prefix):
            self.read.append(key)
            yield key, row

    def scan_sizes(self, prefix: bytes):  # type: ignore[no-untyped-def]
        return ((key, len(row)) for key, row in super().scan(prefix))

    def chunks_read(self) -> int:
        return sum(1 for key in self.read if key[2:3] == CHUNK)


def test_a_restart_reads_no_chunk():
    async def main() -> None:
        spilling = SpillLimits(head_bytes_max=60, chunk_bytes=60)
        world = World(store=Watched(), spilling=spilling, batch_bytes_max=60)
        world.serve("f", lambda _: Answer(after_s=1e6))
        for number in range(100):
            world.send("f", "alice", b"%d" % number)
        await world.passes()
        await world.stopped()
        world.store.read.clear()  # type: ignore[attr-defined]

        after = World(store=world.store)
        after.take_over(world)

        backlog = after.backlog("f", "alice")
        assert backlog.spill is not None
        assert len(backlog.spill.chunks) > 20
        assert backlog.waiting_count == 100
        assert after.load.spilled_bytes == world.load.spilled_bytes > 0
        assert after.store.chunks_read() == 0  # type: ignore[attr-defined]

    run_virtual(main)


def test_a_chunk_and_what_is_said_of_it_are_there_together_or_not_at_all():
    async def main() -> None:
        world = World()
        chunk = Chunk(7, 2, 2 * len(INVOCATION))
        write_chunk(world.states, KEY, chunk, INVOCATION * 2)

        assert list(stored_chunks(world.states, GROUP)) == [(Address(TYPE, "alice"), chunk)]
        assert read_chunk(world.states, KEY, chunk) == INVOCATION * 2
        delete_chunk(world.states, KEY, chunk)
        assert list(world.states.scan(b"")) == []

    run_virtual(main)


def test_what_nobody_can_work_on_lies_in_front_of_and_behind_what_is_there():
    async def main() -> None:
        world = World()
        states = world.states
        # An id that begins like another's has chunks of its own.
        other = state_key(TYPE, "alice\0", key_group_count=KEY_GROUPS)
        keep(states, other, INVOCATION)
        keep(states, KEY, INVOCATION)
        keep_head(states, backlog_key_of(KEY), INVOCATION * 3)
        keep(states, KEY, INVOCATION)

        chunks = [chunk for address, chunk in stored_chunks(states, GROUP) if address.id == "alice"]
        assert [(chunk.sequence - MIDDLE_SEQUENCE, chunk.count) for chunk in chunks] == [
            (-1, 3),
            (0, 1),
            (1, 1),
        ]

    run_virtual(main)
