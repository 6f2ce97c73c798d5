"""What a Kinesis ingress makes of shards, positions and refusals, on a Kinesis in memory and in virtual time."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
from statefun._wire import ToFunction

from statefun_runtime.connectors.kinesis.reader import KinesisIngress
from statefun_runtime.connectors.kinesis.settings.values import ShardReading, StreamRoute
from statefun_runtime.connectors.kinesis.shards import number_of
from statefun_runtime.connectors.kinesis.specs import KinesisIngressSpec
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.model.dead_letter import Origin
from statefun_runtime.core.module.specs import (
    Date,
    DeadLetterRoute,
    Earliest,
    EndpointSpec,
    FunctionPattern,
    InvalidRecords,
    Latest,
    OnInvalidRecord,
)
from statefun_runtime.errors import FunctionError, UnavailableError
from statefun_runtime.ports.module import ModuleSpec
from tests.fakes.ingress import RecordingIngressContext
from tests.fakes.kinesis import START_S, FakeKinesis
from tests.fakes.virtual_time import run_virtual

TARGET = TypeName("t", "f")
MODULE = ModuleSpec((EndpointSpec(FunctionPattern("t", None), "http://x/"),), (), ())
HOUR_S = 3600.0


class World:
    """A Kinesis with one stream `s`, and an ingress that comes and goes."""

    def __init__(self, *, shards: int = 1) -> None:
        self.kinesis = FakeKinesis()
        self.kinesis.create("s", shards)
        self.router = RecordingIngressContext(MODULE)
        self.startup: Earliest | Latest | Date = Earliest()
        self.interval_s = 0.2
        self.invalid_records = InvalidRecords()
        self.targets: tuple[TypeName, ...] = (TARGET,)
        self.positions: dict[str, int] = {}

    def new(self) -> KinesisIngress:
        spec = KinesisIngressSpec(
            id=TypeName("t", "in"),
            routes=(StreamRoute("s", "t/value", self.targets),),
            startup=self.startup,
            invalid_records=self.invalid_records,
            reading=ShardReading(self.interval_s, discovery_s=50 * self.interval_s),
        )
        return KinesisIngress(spec, self.router, self.positions, clients=self.kinesis)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[KinesisIngress]:
        """Read from the positions of the last time, and keep those that are reached."""
        ingress = self.new()
        await ingress.start()
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(ingress.run())
            yield ingress
            task.cancel()
        self.positions = ingress.positions()
        await ingress.close()
        assert self.kinesis.open_clients == 0

    def put(self, *values: int, key: str = "k", shard: int | None = None) -> None:
        for value in values:
            self.kinesis.put("s", key, b"%d" % value, shard=shard)

    def values(self, key: str = "k") -> list[int]:
        got = [invocation for _, found, invocation in self.router.delivered if found == key]
        batch = ToFunction.InvocationBatchRequest.FromString(b"".join(got))
        return [int(invocation.argument.value) for invocation in batch.invocations]


def play(body: Callable[[World], Coroutine[Any, Any, None]], *, shards: int = 1) -> World:
    world: list[World] = []

    async def main() -> None:
        world.append(World(shards=shards))
        async with asyncio.timeout(100 * 24 * HOUR_S):
            await body(world[0])

    run_virtual(main)
    return world[0]


def test_a_shard_is_polled_no_more_than_five_times_a_second():
    async def body(world: World) -> None:
        async with world.reading():
            world.kinesis.calls.clear()
            await asyncio.sleep(10)
            assert 45 <= world.kinesis.calls.count("get_records") <= 50
            assert world.kinesis.calls.count("list_shards") == 1

    play(body)


def test_children_are_read_after_their_parents_and_the_order_of_a_key_is_kept():
    async def body(world: World) -> None:
        world.put(1, 2)
        world.kinesis.split("s", 0)
        world.put(3, 4)
        world.kinesis.split("s", 1)
        world.kinesis.split("s", 2)
        world.put(5)
        world.kinesis.merge("s", 4, 5)
        world.put(6)
        async with world.reading():
            await world.router.arrived(6)
            assert world.values() == [1, 2, 3, 4, 5, 6]
            await asyncio.sleep(1)
            world.kinesis.split("s", 7)
            world.put(7, 8)
            await world.router.arrived(8)
        assert world.values() == [1, 2, 3, 4, 5, 6, 7, 8]
        finished = [s for s, position in world.positions.items() if position == "finished"]
        assert finished == [f"s/shardId-{n:012}" for n in (0, 1, 2, 4, 5, 7)]

    play(body)


def test_a_parent_that_is_held_back_holds_its_children_back_but_no_other_shard():
    async def body(world: World) -> None:
        world.put(1, 2, key="slow", shard=0)
        world.kinesis.split("s", 0)
        world.put(3, key="slow", shard=2)
        world.put(1, key="other", shard=1)
        world.router.tight_for = {"slow"}
        async with world.reading():
            await world.router.arrived(3)
            await asyncio.sleep(5)
            assert world.values("other") == [1]
            assert world.values("slow") == [1, 2]
            world.router.tight_for = set()
            await world.router.arrived(4)
            assert world.values("slow") == [1, 2, 3]

    play(body, shards=2)


def test_a_shard_whose_address_is_full_is_held_back_until_it_is_not():
    async def body(world: World) -> None:
        world.router.tight_for = {"k"}
        world.put(1)
        async with world.reading() as ingress:
            await world.router.arrived(1)
            world.put(2)
            await asyncio.sleep(60)
            assert world.values() == [1]
            assert [s.value for s in ingress.metrics() if s.name.endswith("held_splits")] == [1]
            world.router.tight_for = set()
            await world.router.arrived(2)

    play(body)


def test_latest_means_one_thing_once_even_if_nothing_came_before_a_crash():
    async def body(world: World) -> None:
        world.startup = Latest()
        world.put(1)
        async with world.reading():
            pass
        assert world.values() == []
        world.put(2)
        async with world.reading():
            await world.router.arrived(1)
        assert world.values() == [2]

    play(body)


def test_latest_on_an_empty_shard_loses_nothing_that_comes_before_the_first_read():
    async def body(world: World) -> None:
        world.startup = Latest()
        ingress = world.new()
        await ingress.start()
        world.positions = ingress.positions()
        await ingress.close()
        await asyncio.sleep(3 * HOUR_S)
        world.put(1)
        async with world.reading():
            await world.router.arrived(1)

    play(body)


def test_latest_passes_over_shards_that_have_ended_also_after_a_restart():
    async def body(world: World) -> None:
        world.startup = Latest()
        world.put(1)
        world.kinesis.split("s", 0)
        world.put(2)
        async with world.reading():
            await asyncio.sleep(30)
        world.put(3)
        async with world.reading():
            await world.router.arrived(1)
            await asyncio.sleep(30)
        assert world.values() == [3]

    play(body)


def test_a_date_begins_at_the_first_record_that_is_not_older():
    async def body(world: World) -> None:
        world.put(1)
        await asyncio.sleep(60)
        world.startup = Date(round((START_S + asyncio.get_running_loop().time()) * 1000) - 1000)
        world.put(2)
        async with world.reading():
            await world.router.arrived(1)
        assert world.values() == [2]

    play(body)


def test_a_date_that_has_not_come_is_waited_for(caplog: pytest.LogCaptureFixture):
    async def body(world: World) -> None:
        world.startup = Date(round((START_S + asyncio.get_running_loop().time() + 60) * 1000))
        world.put(1)
        async with world.reading():
            await asyncio.sleep(70)
            world.put(2)
            await world.router.arrived(1)
        assert world.values() == [2]

    play(body)


def test_an_iterator_that_expired_is_renewed_in_silence(caplog: pytest.LogCaptureFixture):
    async def body(world: World) -> None:
        world.put(1)
        async with world.reading():
            await world.router.arrived(1)
            world.router.close_gate()
            await asyncio.sleep(HOUR_S)
            world.put(2)
            world.router.open_gate()
            await world.router.arrived(2)
        assert world.values() == [1, 2]

    play(body)
    assert caplog.records == []


def test_being_throttled_slows_reading_down_and_is_not_worth_a_line(
    caplog: pytest.LogCaptureFixture,
):
    async def body(world: World) -> None:
        async with world.reading():
            await asyncio.sleep(1)
            world.kinesis.fail("get_records", *["ProvisionedThroughputExceededException"] * 8)
            world.kinesis.calls.clear()
            await asyncio.sleep(5)
            assert world.kinesis.calls.count("get_records") < 10
            assert world.kinesis.calls.count("get_shard_iterator") == 0
            world.put(1)
            await world.router.arrived(1)

    play(body)
    assert caplog.records == []


def test_trouble_is_told_once_and_gone_through(caplog: pytest.LogCaptureFixture):
    async def body(world: World) -> None:
        world.kinesis.fail("connect", "AccessDeniedException")
        world.kinesis.fail("list_shards", "AccessDeniedException", "AccessDeniedException")
        async with world.reading():
            world.kinesis.fail("get_records", *["AccessDeniedException"] * 3)
            world.kinesis.fail("list_shards", *["AccessDeniedException"] * 3)
            await asyncio.sleep(60)
            world.put(1)
            await world.router.arrived(1)

    play(body)
    assert [entry.getMessage() for entry in caplog.records] == [
        "ingress t/in: waits: AccessDeniedException: AccessDeniedException was asked for",
        "ingress t/in: stream s, shardId-000000000000: AccessDeniedException: "
        "AccessDeniedException was asked for",
        "ingress t/in: the shards of stream s: AccessDeniedException: "
        "AccessDeniedException was asked for",
    ]


def test_a_stream_that_does_not_exist_yet_is_waited_for():
    async def body(world: World) -> None:
        shards = world.kinesis.streams.pop("s")
        async with asyncio.TaskGroup() as tasks:
            ingress = world.new()
            task = tasks.create_task(ingress.start())
            await asyncio.sleep(30)
            assert not task.done()
            world.kinesis.streams["s"] = shards
        assert ingress.positions() == {"s/shardId-000000000000": "beginning"}
        await ingress.close()

    play(body)


def test_an_ingress_that_is_stopped_while_it_waits_leaves_nothing_open():
    async def body(world: World) -> None:
        world.kinesis.streams.clear()
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(world.new().start())
            await asyncio.sleep(30)
            task.cancel()
        assert world.kinesis.open_clients == 0

    play(body)


UNSERVED = TypeName("u", "g")


def test_a_record_for_a_function_type_that_nobody_serves_is_told_and_counted(
    caplog: pytest.LogCaptureFixture,
):
    async def body(world: World) -> None:
        world.targets = (UNSERVED, TARGET)
        world.put(1, 2)
        async with world.reading() as ingress:
            await world.router.arrived(2)
            skipped = [s for s in ingress.metrics() if s.name == "statefun_ingress_skipped"]
            assert [(s.value, s.labels) for s in skipped] == [(2, {"reason": "unknown-function"})]

    world = play(body)
    sequence = world.kinesis.streams["s"][0].records[0].sequence
    assert len(caplog.records) == 2
    assert caplog.records[0].getMessage() == (
        f"ingress t/in skipped a record: stream s, shardId-000000000000, sequence number {sequence}: "
        "no endpoint serves its function type u/g"
    )


def test_an_ingress_told_to_fail_stops_in_front_of_the_record():
    async def body(world: World) -> None:
        world.targets = (UNSERVED, TARGET)
        world.invalid_records = InvalidRecords(OnInvalidRecord.FAIL)
        world.put(1)
        ingress = world.new()
        await ingress.start()
        with pytest.raises(ExceptionGroup) as refused:
            await ingress.run()
        assert refused.group_contains(FunctionError, match="SF2002|cannot route a record")
        assert world.router.delivered == []
        assert ingress.positions()["s/shardId-000000000000"] == "beginning"

    play(body)


def test_a_record_that_is_forwarded_says_where_it_was_read():
    async def body(world: World) -> None:
        route = DeadLetterRoute(TypeName("t", "out"), "letters")
        world.targets = (UNSERVED,)
        world.invalid_records = InvalidRecords(OnInvalidRecord.FORWARD, route)
        world.put(1, key="é")
        async with world.reading():
            await asyncio.sleep(1)
        sequence = world.kinesis.streams["s"][0].records[0].sequence
        (found,) = world.router.forwarded
        assert found == Origin(
            "ingress t/in", "s/shardId-000000000000", f"{sequence}", "é".encode(), b"1"
        )

    play(body)


def test_how_far_reading_is_behind_is_shown():
    async def body(world: World) -> None:
        for _ in range(2):
            world.put(*range(2000))
            await asyncio.sleep(600)
        spec = KinesisIngressSpec(
            TypeName("t", "in"), (StreamRoute("s", "t/value", (TARGET,)),), startup=Earliest()
        )
        ingress = KinesisIngress(spec, world.router, {}, clients=world.kinesis)
        await ingress.start()
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(ingress.run())
            await world.router.arrived(4000)
            await asyncio.sleep(1)
            task.cancel()
        shown = {s.name: (s.value, s.labels) for s in ingress.metrics()}
        split = {"split": "s/shardId-000000000000"}
        assert shown["statefun_ingress_behind_ms"] == (0, split)
        assert shown["statefun_ingress_records"] == (4000, {})

    play(body)


async def refusal(world: World) -> str:
    with pytest.raises(UnavailableError) as refused:
        await world.new().start()
    assert world.kinesis.open_clients == 0
    return str(refused.value)


HINT = (
    "\nhint: records are lost, or the stream was made anew; to go on without them, start with a new state "
    "folder (--state-dir) and a startupPosition of your choice"
)


def test_a_shard_that_vanished_unread_is_an_error():
    async def body(world: World) -> None:
        world.put(1)
        async with world.reading():
            await world.router.arrived(1)
        position = number_of(world.positions["s/shardId-000000000000"])
        world.put(2)
        world.kinesis.split("s", 0)
        await asyncio.sleep(25 * HOUR_S)
        world.kinesis.drop_old()
        assert await refusal(world) == (
            "SF3090: ingress 't/in' cannot go on at stream s, shardId-000000000000, sequence number "
            f"{position}: the stream does not have this shard any more{HINT}"
        )

    play(body)


def test_a_stream_that_was_made_anew_is_an_error():
    async def body(world: World) -> None:
        world.put(1)
        async with world.reading():
            await world.router.arrived(1)
        position = number_of(world.positions["s/shardId-000000000000"])
        world.kinesis.create("s")
        begin = world.kinesis.streams["s"][0].first_sequence
        assert await refusal(world) == (
            "SF3090: ingress 't/in' cannot go on at stream s, shardId-000000000000, sequence number "
            f"{position}: the shard begins later, at {begin}{HINT}"
        )

    play(body)


def test_a_stream_that_was_made_anew_is_told_by_finished_shards_too():
    async def body(world: World) -> None:
        world.kinesis.split("s", 0)
        async with world.reading():
            await asyncio.sleep(30)
        world.kinesis.create("s", 3)
        assert "SF3090: ingress 't/in' cannot go on at stream s, shardId-000000000000" in (
            await refusal(world)
        )

    play(body)


def test_records_that_were_dropped_unread_are_an_error():
    async def body(world: World) -> None:
        world.put(1)
        async with world.reading():
            await world.router.arrived(1)
            await asyncio.sleep(1)
        position = number_of(world.positions["s/shardId-000000000000"])
        world.put(2)
        await asyncio.sleep(26 * HOUR_S)
        world.put(3)
        world.kinesis.drop_old()
        assert await refusal(world) == (
            "SF3090: ingress 't/in' cannot go on at stream s, shardId-000000000000, sequence number "
            f"{position}: it is not there any more, and nothing was read for longer than the 24 hours "
            f"that the stream keeps records{HINT}"
        )

    play(body)


def test_records_that_were_read_long_before_they_were_dropped_are_none():
    async def body(world: World) -> None:
        world.interval_s = 60
        world.put(1)
        async with world.reading():
            await world.router.arrived(1)
            # Idle for longer than the stream keeps records, but not away.
            await asyncio.sleep(72 * HOUR_S)
        world.put(2)
        world.kinesis.drop_old()
        async with world.reading():
            await world.router.arrived(2)
        assert world.values() == [1, 2]

    play(body)


def test_an_idle_stream_changes_its_positions_once_an_hour():
    async def body(world: World) -> None:
        world.interval_s = 60
        async with world.reading() as ingress:
            seen = set()
            for _ in range(60):
                await asyncio.sleep(300)
                seen.add(tuple(ingress.positions().items()))
            assert len(seen) <= 6

    play(body)


def test_a_position_that_vanishes_while_running_is_the_same_error():
    async def body(world: World) -> None:
        world.put(1)
        ingress = world.new()
        await ingress.start()

        async def run() -> None:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(ingress.run())
                await world.router.arrived(1)
                world.kinesis.create("s")
                world.kinesis.fail("get_records", "ExpiredIteratorException")
                await asyncio.sleep(30)

        with pytest.raises(ExceptionGroup) as refused:
            await run()
        assert refused.group_contains(UnavailableError, match="cannot go on at stream s, shardId")
        assert world.kinesis.open_clients == 0

    play(body)
