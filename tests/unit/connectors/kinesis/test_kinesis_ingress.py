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
from statefun_runtime.connectors.kinesis.start import Restart
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.model.dead_letter import Origin
from statefun_runtime.core.model.position import Position
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
from statefun_runtime.errors import FunctionError
from statefun_runtime.ports.module import ModuleSpec
from tests.fakes.ingress import RecordingIngressContext
from tests.fakes.kinesis import START_S, FakeKinesis
from tests.fakes.virtual_time import run_virtual
from tests.support.kinesis.records import packed

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
        self.positions: dict[str, Position] = {}
        self.streams: tuple[str, ...] = ("s",)
        self.restarts: dict[str, Restart] = {}

    def new(self) -> KinesisIngress:
        spec = KinesisIngressSpec(
            id=TypeName("t", "in"),
            routes=tuple(StreamRoute(one, "t/value", self.targets) for one in self.streams),
            startup=self.startup,
            invalid_records=self.invalid_records,
            reading=ShardReading(self.interval_s, discovery_s=50 * self.interval_s),
        )
        return KinesisIngress(
            spec, self.router, self.positions, clients=self.kinesis, restarts=self.restarts
        )

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


def test_a_stream_that_does_not_exist_is_looked_for_and_read_from_its_beginning_when_it_comes(
    caplog: pytest.LogCaptureFixture,
):
    async def body(world: World) -> None:
        world.startup = Latest()
        world.streams = ("s", "other")
        async with world.reading() as ingress:
            assert ingress.positions()["other/read-until"] == "beginning"
            world.put(1)
            await world.router.arrived(1)
        async with world.reading():
            world.kinesis.create("other")
            # It came after the start, also after that of a life before.
            world.kinesis.put("other", "k", b"2")
            await world.router.arrived(2)
        assert world.values() == [1, 2]

    play(body)
    missing = "ingress t/in: stream other does not exist: it is waited for"
    assert [entry.getMessage() for entry in caplog.records] == [missing, missing]


def test_a_stream_that_is_gone_at_a_start_is_gone_on_with_when_it_is_back():
    async def body(world: World) -> None:
        world.streams = ("s", "other")
        world.kinesis.create("other")
        async with world.reading():
            world.put(1)
            await world.router.arrived(1)
        away = world.kinesis.streams.pop("s")
        async with world.reading():
            world.kinesis.put("other", "k", b"2")
            await world.router.arrived(2)
            world.kinesis.streams["s"] = away
            world.put(3)
            await world.router.arrived(3)
        assert world.values() == [1, 2, 3]
        world.put(4)
        world.kinesis.split("s", 0)
        away = world.kinesis.streams.pop("s")
        async with world.reading() as ingress:
            await asyncio.sleep(30)
            # It comes back without the shard of which something was not read.
            world.kinesis.streams["s"] = away[1:]
            world.put(5)
            await asyncio.sleep(30)
            assert value(ingress, "lost_splits") == 1
        assert world.values() == [1, 2, 3]

    play(body)


def test_an_ingress_that_is_stopped_while_it_waits_leaves_nothing_open():
    async def body(world: World) -> None:
        world.kinesis.fail("list_shards", *["AccessDeniedException"] * 100)
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


HINT = (
    "; it waits there, and the others go on; hint: to go on without what is lost, start with "
    "--restart-topic s, or with s=latest to skip what is there now, too"
)
SHARD = "s/shardId-000000000000"


def lost_line(position: int, why: str) -> str:
    return (
        "SF3090: ingress 't/in' cannot go on at stream s, shardId-000000000000, sequence number "
        f"{position}: {why}{HINT}"
    )


def value(ingress: KinesisIngress, name: str) -> float:
    (found,) = (m.value for m in ingress.metrics() if m.name == f"statefun_ingress_{name}")
    assert isinstance(found, float | int)
    return found


async def lose_a_shard(world: World) -> int:
    """Have two shards, read both, and let the first vanish unread; return where it was."""
    world.put(1, shard=0, key="k")
    world.put(1, shard=1, key="other")
    async with world.reading():
        await world.router.arrived(2)
    world.put(2, shard=0, key="k")
    world.kinesis.split("s", 0)
    await asyncio.sleep(25 * HOUR_S)
    world.kinesis.drop_old()
    return number_of(world.positions[SHARD])


def test_a_shard_that_vanished_unread_waits_alone_with_what_goes_on_where_it_ended(
    caplog: pytest.LogCaptureFixture,
):
    at: list[int] = []

    async def body(world: World) -> None:
        at.append(await lose_a_shard(world))
        for _ in range(2):
            async with world.reading() as ingress:
                world.put(3, shard=1, key="k")
                world.put(2, shard=0, key="other")
                world.kinesis.calls.clear()
                await asyncio.sleep(120)
                # Every ten seconds two pages.
                assert world.kinesis.calls.count("list_shards") < 30
                assert value(ingress, "lost_splits") == 1
                assert ingress.waits() == ["has 1 shards whose position is lost [SF3090]"]
                assert ingress.why_cut_off() is None
            assert world.values() == [1]
            assert world.positions[SHARD] == {
                "sequence": str(at[0]),
                "lost": "the stream does not have this shard any more",
            }
        assert world.values("other") == [1, 2, 2]

    play(body, shards=2)
    errors = [entry.getMessage() for entry in caplog.records]
    assert errors == [lost_line(at[0], "the stream does not have this shard any more")] * 2


def test_what_waits_for_a_person_is_told_again_every_five_minutes(
    caplog: pytest.LogCaptureFixture,
):
    async def body(world: World) -> None:
        await lose_a_shard(world)
        async with world.reading():
            await asyncio.sleep(700)

    play(body, shards=2)
    still = f"ingress t/in still waits where its position is lost: {SHARD} (SF3090); --restart-topic says where to go on"
    assert [entry.getMessage() for entry in caplog.records][1:] == [still, still]


def test_a_person_says_that_a_lost_shard_is_gone_on_without_and_others_stay_where_they_are(
    caplog: pytest.LogCaptureFixture,
):
    async def body(world: World) -> None:
        await lose_a_shard(world)
        async with world.reading():
            await asyncio.sleep(60)
        world.put(3, shard=1, key="k")
        world.put(2, shard=0, key="other")
        world.restarts = {"s": Earliest()}
        caplog.clear()
        async with world.reading() as ingress:
            await world.router.arrived(4)
            assert value(ingress, "lost_splits") == 0
            assert value(ingress, "restarted_splits") == 1
        assert world.positions[SHARD] == "finished"
        async with world.reading():
            await asyncio.sleep(60)
        assert (world.values(), world.values("other")) == ([1, 3], [1, 2])

    play(body, shards=2)
    assert [entry.getMessage() for entry in caplog.records] == [
        "ingress t/in goes on at stream s, shardId-000000000000, which has nothing more, as "
        "--restart-topic says: what was lost is skipped"
    ]


def test_a_person_may_skip_what_is_there_now_too():
    async def body(world: World) -> None:
        await lose_a_shard(world)
        world.put(3, shard=1, key="k")
        world.restarts = {"s": Latest()}
        async with world.reading():
            await asyncio.sleep(60)
            world.put(4, shard=1, key="k")
            await world.router.arrived(3)
        assert world.values() == [1, 4]

    play(body, shards=2)


def test_a_stream_that_was_made_anew_is_read_from_its_beginning(
    caplog: pytest.LogCaptureFixture,
):
    async def body(world: World) -> None:
        world.put(1)
        async with world.reading():
            await world.router.arrived(1)
        world.kinesis.create("s", 2)
        world.put(2)
        async with world.reading() as ingress:
            await world.router.arrived(2)
            assert value(ingress, "made_anew") == 2
        async with world.reading():
            await asyncio.sleep(60)
        assert world.values() == [1, 2]

    play(body)
    assert [entry.getMessage() for entry in caplog.records] == [
        "ingress t/in: stream s was made anew: its shards are not read from where the ones of before were left, "
        "and what was not read of those is lost [SF3091]"
    ]


def test_a_stream_that_was_made_anew_is_told_by_finished_shards_too():
    async def body(world: World) -> None:
        world.kinesis.split("s", 0)
        async with world.reading():
            await asyncio.sleep(30)
        world.kinesis.create("s", 3)
        world.put(1, shard=0)
        world.put(2, shard=2)
        async with world.reading():
            await world.router.arrived(2)
        assert sorted(world.values()) == [1, 2]

    play(body)


def test_a_stream_that_is_made_anew_while_it_is_read_is_read_from_its_beginning():
    async def body(world: World) -> None:
        world.put(1)
        async with world.reading():
            await world.router.arrived(1)
            world.kinesis.create("s", 1)
            # Its one shard has all hash keys, and that of the same name had one half of them.
            world.kinesis.put("s", "x", packed([(key, key.encode()) for key in "23456789"]))
            await world.router.arrived(9)
            await asyncio.sleep(600)
        assert [key for _, key, _ in world.router.delivered] == ["k", *"23456789"]

    play(body, shards=2)


def test_records_that_were_dropped_unread_are_a_lost_position(caplog: pytest.LogCaptureFixture):
    at: list[int] = []

    async def body(world: World) -> None:
        world.put(1)
        async with world.reading():
            await world.router.arrived(1)
            await asyncio.sleep(1)
        at.append(number_of(world.positions[SHARD]))
        world.put(2)
        await asyncio.sleep(26 * HOUR_S)
        world.put(3)
        world.kinesis.drop_old()
        async with world.reading():
            await asyncio.sleep(60)
        assert world.values() == [1]
        world.restarts = {"s": Earliest()}
        async with world.reading():
            await world.router.arrived(2)
        assert world.values() == [1, 3]

    play(body)
    lost, restarted = (entry.getMessage() for entry in caplog.records)
    why = (
        "it is not there any more, and nothing was read for longer than the 24 hours that the stream "
        "keeps records"
    )
    assert lost == lost_line(at[0], why)
    assert restarted.endswith("its beginning, as --restart-topic says: what was lost is skipped")


def test_records_that_were_dropped_while_their_shard_was_held_back_are_a_lost_position(
    caplog: pytest.LogCaptureFixture,
):
    async def body(world: World) -> None:
        world.put(1)
        async with world.reading():
            await world.router.arrived(1)
            await asyncio.sleep(60)
            world.router.close_gate()
            await asyncio.sleep(60)
            world.put(2)
            await asyncio.sleep(26 * HOUR_S)
            world.put(3)
            world.kinesis.drop_old()
            world.router.open_gate()
            await asyncio.sleep(60)
        assert world.values() == [1]

    play(body)
    (lost,) = (entry.getMessage() for entry in caplog.records)
    assert "nothing was read for longer than the 24 hours that the stream keeps records" in lost


def test_records_that_were_read_long_before_they_were_dropped_are_none():
    async def body(world: World) -> None:
        world.interval_s = 60
        world.put(1)
        async with world.reading():
            await world.router.arrived(1)
            # Idle for longer than the stream keeps records, but not away.
            await asyncio.sleep(25 * HOUR_S)
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


def test_a_position_that_vanishes_while_running_waits_alone_too(
    caplog: pytest.LogCaptureFixture,
):
    async def body(world: World) -> None:
        world.put(1, shard=0, key="a")
        world.put(1, shard=1, key="b")
        async with world.reading() as ingress:
            await world.router.arrived(2)
            world.kinesis.fail("get_records", "ExpiredIteratorException")
            world.kinesis.fail("get_shard_iterator", "InvalidArgumentException")
            await asyncio.sleep(30)
            world.put(2, shard=0, key="a")
            world.put(2, shard=1, key="b")
            await world.router.arrived(3)
            await asyncio.sleep(30)
            assert value(ingress, "lost_splits") == 1
        assert sorted([world.values("a"), world.values("b")]) == [[1], [1, 2]]

    play(body, shards=2)
    (lost,) = (entry.getMessage() for entry in caplog.records)
    assert "InvalidArgumentException was asked for; it waits there, and the others go on" in lost


def test_a_kinesis_that_gives_no_answer_is_told_within_ten_seconds_and_when_it_is_back(
    caplog: pytest.LogCaptureFixture,
):
    caplog.set_level("INFO")
    loop_s: list[float] = []

    async def body(world: World) -> None:
        async with world.reading() as ingress:
            await asyncio.sleep(30)
            assert value(ingress, "connected") == 1
            assert value(ingress, "answer_age_seconds") < 2
            caplog.clear()
            world.kinesis.is_silent = True
            since_s = asyncio.get_running_loop().time()
            while value(ingress, "connected"):
                await asyncio.sleep(0.1)
            loop_s.append(asyncio.get_running_loop().time() - since_s)
            assert ingress.why_cut_off() is not None
            await asyncio.sleep(120)
            world.kinesis.is_silent = False
            world.put(1)
            await world.router.arrived(1)
            await asyncio.sleep(10)
            assert value(ingress, "connected") == 1
            assert ingress.why_cut_off() is None

    play(body)
    assert loop_s[0] < 10
    silence, end = (entry.getMessage() for entry in caplog.records)
    assert silence.startswith(
        "ingress t/in has had no answer of Kinesis in the default region since "
    )
    assert silence.endswith(": nothing is read, nobody knows how much waits")
    assert end.startswith("ingress t/in reaches Kinesis again, after 12")
