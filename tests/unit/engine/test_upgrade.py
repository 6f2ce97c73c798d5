"""Rows of older versions of the format, and what becomes of them."""

from statefun_runtime.core.model.address import Address, TypeName, key_group
from statefun_runtime.core.model.keys import (
    HTTP_EGRESS_OF_VERSION_2,
    chunk_key_of,
    egress_key,
    egress_prefix,
    group_prefix,
    state_key,
    timer_key,
)
from statefun_runtime.core.partition.spill import Chunk
from statefun_runtime.core.partition.timers import Delayed, encode_delayed
from statefun_runtime.engine.state.chunks import stored_chunks
from statefun_runtime.engine.state.upgrade import upgrade_rows
from tests.fakes.state_store import DictStore
from tests.fakes.virtual_time import run_virtual
from tests.unit.engine.engine_world import ENCODER, KEY_GROUPS, World

TYPE = TypeName("t", "f")
KEY = state_key(TYPE, "alice", key_group_count=KEY_GROUPS)
INVOCATION = ENCODER.encode(b"v")


def test_chunks_are_counted():
    async def main() -> None:
        store = DictStore()
        store.write([(chunk_key_of(KEY, number), INVOCATION * number) for number in (5, 6)])
        world = World(store=store)
        upgrade_rows(world.states, 2, key_group_count=KEY_GROUPS)

        assert list(stored_chunks(world.states, KEY[:2])) == [
            (Address(TYPE, "alice"), Chunk(number, number, number * len(INVOCATION)))
            for number in (5, 6)
        ]

    run_virtual(main)


def test_records_of_http_topics_move_to_where_the_port_is():
    async def main() -> None:
        store, place = DictStore(), (7).to_bytes(8, "big") + (3).to_bytes(8, "big")
        for topic in ("out", "ou", "t\u00e4glich"):
            old = b"".join((HTTP_EGRESS_OF_VERSION_2, topic.encode(), b"\0", place))
            store.write([(old, topic.encode())])
        store.write([(KEY, b"state")])
        world = World(store=store)
        upgrade_rows(world.states, 2, key_group_count=KEY_GROUPS)

        wanted = {
            egress_key(egress_prefix(topic), 7, 3): topic.encode()
            for topic in ("out", "ou", "t\u00e4glich")
        }
        assert dict(world.states.scan(b"")) == {**wanted, KEY: b"state"}
        # The store itself is as it was until a checkpoint has what changed.
        assert len(store.rows) == 4

    run_virtual(main)


def test_delayed_messages_are_counted_and_found_by_their_tokens():
    async def main() -> None:
        store = DictStore()
        group = group_prefix(key_group("alice", KEY_GROUPS))
        keys = [timer_key("alice", 5_000, number, key_group_count=KEY_GROUPS) for number in (4, 9)]
        for key, token in zip(keys, ("", "token"), strict=True):
            row = encode_delayed(Delayed("alice", TYPE, "bob", INVOCATION, token))
            store.write([(key, row)])
        world = World(store=store)
        upgrade_rows(world.states, 4, key_group_count=KEY_GROUPS)
        world.delays.restore(group)

        assert len(world.delays) == 2
        assert world.delays.pending(group, "alice", "token") == keys[1]
        assert world.partition("alice").timers.schedule(group, 5_000) > keys[1]

    run_virtual(main)


def test_those_of_version_3_do_so_from_the_key_groups_of_their_names():
    async def main() -> None:
        store, place = DictStore(), (7).to_bytes(8, "big") + (3).to_bytes(8, "big")
        there = [(b"\0\5", "five"), (b"\0\0", "none")]
        store.write(
            [
                (b"".join((group, b"e", topic.encode(), b"\0", place)), b"x")
                for group, topic in there
            ]
        )
        world = World(store=store)
        upgrade_rows(world.states, 3, key_group_count=KEY_GROUPS)

        wanted = {egress_key(egress_prefix(topic), 7, 3): b"x" for _, topic in there}
        assert dict(world.states.scan(b"")) == wanted

    run_virtual(main)
