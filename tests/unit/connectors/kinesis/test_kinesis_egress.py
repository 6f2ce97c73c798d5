"""What a Kinesis egress refuses, and how it deals with what Kinesis refuses; in memory and in virtual time."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
from statefun._wire import KinesisEgressRecord

from statefun_runtime.connectors.kinesis.records import RECORD_TYPENAME, Record, prepare_record
from statefun_runtime.connectors.kinesis.specs import KinesisEgressSpec
from statefun_runtime.connectors.kinesis.writer import KinesisEgress
from statefun_runtime.core.checkpoints.manifest import ObjectId, Outbox, StoredObject
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.engine.egress import Egress
from statefun_runtime.ports.egress import RecordRefused
from tests.fakes.kinesis import FakeKinesis
from tests.fakes.virtual_time import run_virtual

THROTTLED = "ProvisionedThroughputExceededException"


def record(value: bytes = b"v", *, stream: str = "s", key: str = "k", hash_key: str = "") -> bytes:
    return KinesisEgressRecord(
        stream=stream, partition_key=key, value_bytes=value, explicit_hash_key=hash_key
    ).SerializeToString()


def reading(records: list[bytes]) -> Callable[[], Awaitable[list[bytes]]]:
    """Return what reads an outbox that holds these records."""

    async def read() -> list[bytes]:
        return records

    return read


def outbox(epoch: int, name: str = "0") -> Outbox:
    return Outbox("t/out", epoch, 10, StoredObject(ObjectId(name), 1), True)


class World:
    """A Kinesis with the streams `s` and `other`, and an egress that writes to them."""

    def __init__(self, **settings: Any) -> None:
        self.kinesis = FakeKinesis()
        self.kinesis.create("s", 2)
        self.kinesis.create("other")
        self.settings = settings
        self.letters: list[tuple[str, bytes, bytes, str]] = []
        self.has_letters = False
        self.stored: dict[ObjectId, list[bytes]] = {}
        self.sink = self.new()
        self.epoch = 0

    def new(self, past_epoch: int = 0) -> Egress[Record]:
        spec = KinesisEgressSpec(TypeName("t", "out"), **self.settings)
        sink = KinesisEgress(
            spec,
            clients=self.kinesis,
            past_epoch=past_epoch,
            read=self.read,
            tell_refused=self.tell_refused,
        )
        return Egress(spec.id, sink)

    async def read(self, object_id: ObjectId) -> list[bytes]:
        await asyncio.sleep(0.01)
        return self.stored[object_id]

    def tell_refused(self, record: tuple[str, bytes, bytes, bytes], why: str) -> bool:
        self.letters.append((*record[:3], why))
        return self.has_letters

    def emit(self, *records: bytes) -> None:
        for one in records:
            self.sink.emit(self.sink.prepare(RECORD_TYPENAME, one))

    def complete(self, *records: bytes) -> list[bytes]:
        """Make records, end their epoch, and complete its checkpoint; return what that holds."""
        self.emit(*records)
        self.epoch += 1
        kept = self.sink.encode(self.sink.cut(self.epoch))
        self.sink.completed(self.epoch)
        return kept

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(self.sink.run())
            yield
            task.cancel()
        assert self.kinesis.open_clients == 0


def play(body: Callable[[World], Coroutine[Any, Any, None]], **settings: Any) -> None:
    async def main() -> None:
        async with asyncio.timeout(3600):
            await body(World(**settings))

    run_virtual(main)


def refusal(data: bytes, typename: str = RECORD_TYPENAME) -> str:
    with pytest.raises(RecordRefused) as refused:
        prepare_record(typename, data)
    return str(refused.value)


def test_what_kinesis_could_not_take_is_refused_when_the_reply_is_applied():
    assert refusal(record(stream="a/b")) == "'a/b' is not the name of a stream"
    assert refusal(record(stream="")) == "'' is not the name of a stream"
    assert refusal(record(key="")) == "the partition key must have 1 to 256 characters, found 0"
    assert refusal(record(key="é" * 257)) == (
        "the partition key must have 1 to 256 characters, found 257"
    )
    assert refusal(record(b"x" * (10 * 1024 * 1024))) == (
        "a record of 10485761 bytes for stream 's' is larger than Kinesis takes (10485760)"
    )
    for wrong in ("-1", "01", "ff", str(2**128)):
        assert refusal(record(hash_key=wrong)) == (
            f"the explicit hash key must be a number from 0 to 2^128 - 1, found '{wrong}'"
        )
    assert refusal(b"\xff").startswith("not a KinesisEgressRecord message")
    assert refusal(record(), "t/other") == (
        "a record must be of type 'type.googleapis.com/io.statefun.sdk.egress.KinesisEgressRecord', "
        "found 't/other'"
    )


def test_what_kinesis_can_take_is_taken():
    for fine in (
        record(b""),
        record(key="é" * 256),
        record(b"x" * (1024 * 1024 - 1)),
        record(hash_key="0"),
        record(hash_key=str(2**128 - 1)),
    ):
        assert prepare_record(RECORD_TYPENAME, fine).encoded == fine


def test_a_record_is_sent_with_the_hash_key_that_it_has():
    entry = prepare_record(RECORD_TYPENAME, record(hash_key="7")).entry()
    assert entry == {"Data": b"v", "PartitionKey": "k", "ExplicitHashKey": "7"}
    assert "ExplicitHashKey" not in prepare_record(RECORD_TYPENAME, record()).entry()


def test_nothing_leaves_before_its_checkpoint_is_complete():
    async def body(world: World) -> None:
        async with world.running():
            world.emit(record())
            world.sink.cut(1)
            await asyncio.sleep(60)
            assert world.kinesis.values("s", "k") == []
            world.sink.failed(1)
            assert world.sink.is_changed
            assert world.complete(record(b"w")) == [record(), record(b"w")]
            await world.sink.flush(10)
            assert world.kinesis.values("s", "k") == [b"v", b"w"]

    play(body)


def test_records_that_are_refused_for_now_keep_the_order_of_their_key(
    caplog: pytest.LogCaptureFixture,
):
    async def body(world: World) -> None:
        refused: dict[tuple[str, bytes], int] = {}

        def judge(stream: str, key: str, data: bytes) -> str:
            tries = refused[key, data] = refused.get((key, data), 0) + 1
            return THROTTLED if tries <= int(data) % 3 else ""

        world.kinesis.judge = judge
        async with world.running():
            keys = [f"key{n}" for n in range(7)]
            world.complete(*(record(b"%d" % n, key=key) for n in range(20) for key in keys))
            await world.sink.flush(3000)
            for key in keys:
                assert world.kinesis.values("s", key) == [b"%d" % n for n in range(20)]

    play(body)
    assert caplog.records == []


def test_a_key_that_is_refused_again_and_again_holds_no_other_key_up():
    async def body(world: World) -> None:
        world.kinesis.judge = lambda stream, key, data: THROTTLED if key == "hot" else ""
        async with world.running():
            records = [record(b"%d" % n, key=key) for n in range(100) for key in ("hot", "k")]
            world.complete(*records)
            await asyncio.sleep(3)
            assert len(world.kinesis.values("s", "k")) == 100

    play(body)


def test_a_stream_that_does_not_exist_holds_no_other_up(caplog: pytest.LogCaptureFixture):
    async def body(world: World) -> None:
        async with world.running():
            world.complete(record(stream="missing"), record(stream="other"))
            await asyncio.sleep(120)
            assert world.kinesis.values("other", "k") == [b"v"]
            assert world.sink.confirmed_epoch() == 0
            world.kinesis.create("missing")
            await world.sink.flush(30)
            assert world.kinesis.values("missing", "k") == [b"v"]
            assert world.sink.confirmed_epoch() == 1

    play(body)
    assert [entry.getMessage() for entry in caplog.records] == [
        "egress t/out tries stream missing again and again: ResourceNotFoundException: "
        "ResourceNotFoundException was asked for"
    ]


def test_an_outage_is_told_once_and_costs_nothing(caplog: pytest.LogCaptureFixture):
    async def body(world: World) -> None:
        async with world.running():
            world.kinesis.fail("put_records", *["AccessDeniedException"] * 5)
            world.complete(*(record(b"%d" % n) for n in range(5)))
            await world.sink.flush(600)
            assert world.kinesis.values("s", "k") == [b"%d" % n for n in range(5)]

    play(body)
    assert len(caplog.records) == 1


def test_who_hands_out_credentials_may_be_away_for_a_while(caplog: pytest.LogCaptureFixture):
    async def body(world: World) -> None:
        world.kinesis.fail("connect", "Away", "Away")
        async with world.running():
            world.complete(record())
            await world.sink.flush(60)
            assert world.kinesis.values("s", "k") == [b"v"]

    play(body)
    assert [entry.getMessage() for entry in caplog.records] == [
        "egress t/out waits: Away: Away was asked for"
    ]


def test_a_record_that_is_refused_for_good_is_given_up_and_no_other(
    caplog: pytest.LogCaptureFixture,
):
    async def body(world: World) -> None:
        world.kinesis.judge = lambda stream, key, data: (
            "ValidationException" if data == b"bad" else ""
        )
        async with world.running():
            world.complete(
                record(b"1", key="a"), record(b"bad", key="b"), record(b"2", key="b"), record(b"3")
            )
            await world.sink.flush(60)
            values = [world.kinesis.values("s", key) for key in ("a", "b", "k")]
            assert values == [[b"1"], [b"2"], [b"3"]]
            metrics = {metric.name: metric.value for metric in world.sink.metrics()}
            assert metrics["statefun_egress_dropped"] == 1
            assert metrics["statefun_egress_waiting"] == 0

    play(body)
    assert [entry.getMessage() for entry in caplog.records] == [
        "egress t/out: Kinesis refuses a record for stream s for good (ValidationException: "
        "ValidationException was asked for); it is dropped"
    ]


def test_a_record_that_is_refused_for_good_may_be_a_dead_letter_once(
    caplog: pytest.LogCaptureFixture,
):
    async def body(world: World) -> None:
        world.has_letters = True
        world.kinesis.judge = lambda stream, key, data: {
            b"bad": "ValidationException",
            b"later": THROTTLED,
        }.get(data, "")
        async with world.running():
            kept = world.complete(record(b"bad"), record(b"later"))
            await asyncio.sleep(30)
        assert world.letters == [
            ("s", b"k", b"bad", "ValidationException: ValidationException was asked for")
        ]
        # The epoch is not done with, so a checkpoint names what was given up of it, and a restore leaves that out.
        assert list(world.sink.refused()) == [(1, 0)]
        world.kinesis.judge = lambda stream, key, data: ""
        world.sink = world.new(past_epoch=5)
        await world.sink.restore(outbox(1), reading(kept), [0])
        assert list(world.sink.refused()) == [(1, 0)]
        async with world.running():
            await world.sink.flush(30)
        assert world.kinesis.values("s", "k") == [b"later"]
        assert list(world.sink.refused()) == []

    play(body)
    assert caplog.records == []


def test_what_memory_has_no_room_for_waits_on_disk():
    async def body(world: World) -> None:
        value = bytes(1024 * 1024 - 10)
        judge, world.kinesis.judge = world.kinesis.judge, lambda stream, key, data: THROTTLED
        async with world.running():
            for epoch in range(1, 8):
                world.emit(*(record(b"%d" % epoch + value) for _ in range(10)))
                kept = world.sink.encode(world.sink.cut(epoch))
                world.stored[ObjectId(str(epoch))] = kept
                world.sink.completed(epoch, outbox(epoch, str(epoch)))
            await asyncio.sleep(10)
            assert world.sink.backlog_bytes() < 45 * len(value)
            assert world.sink.stored_bytes() > 25 * len(value)
            assert world.sink.confirmed_epoch() == 0
            world.kinesis.judge = judge
            await world.sink.flush(600)
        assert world.sink.confirmed_epoch() == 7
        assert (world.sink.backlog_bytes(), world.sink.stored_bytes()) == (0, 0)
        values = [data[:1] for data in world.kinesis.values("s", "k")]
        assert values == [b"%d" % epoch for epoch in range(1, 8) for _ in range(10)]

        # The next life leaves on disk what it has no room for.
        world.sink = world.new(past_epoch=9)
        for epoch in range(1, 8):
            restored = outbox(epoch, str(epoch))
            kept = world.stored[restored.object.id]
            await world.sink.restore(restored, reading(kept))
        assert world.sink.backlog_bytes() < 45 * len(value)
        assert world.sink.stored_bytes() > 0
        async with world.running():
            await world.sink.flush(600)
        assert len(world.kinesis.values("s", "k")) == 140

    play(body)


def test_a_large_record_goes_alone_and_its_refusal_is_final(caplog: pytest.LogCaptureFixture):
    large = bytes(10 * 1024 * 1024 - 1)
    requests = []

    async def body(world: World) -> None:
        put = world.kinesis.put_records

        async def seen(*, StreamName: str, Records: Any) -> dict[str, Any]:
            requests.append([len(one["Data"]) for one in Records])
            return await put(StreamName=StreamName, Records=Records)

        world.kinesis.put_records = seen  # type: ignore[method-assign]
        world.kinesis.judge = lambda stream, key, data: (
            "ValidationException" if len(data) > 1024 * 1024 else ""
        )
        async with world.running():
            world.complete(record(b"a", key="1"), record(large, key="2"), record(b"b", key="3"))
            await world.sink.flush(30)
        assert world.kinesis.values("s", "1") + world.kinesis.values("s", "3") == [b"a", b"b"]
        assert world.sink.confirmed_epoch() == 1

    play(body)
    assert requests == [[1], [len(large)], [1]]
    assert "Kinesis refuses a record for stream s for good" in caplog.text


def test_no_more_records_are_on_their_way_than_is_allowed():
    async def body(world: World) -> None:
        seen = []
        put = world.kinesis.put_records

        async def count(*, StreamName: str, Records: list[dict[str, Any]]) -> dict[str, Any]:
            seen.append(len(Records))
            return await put(StreamName=StreamName, Records=Records)

        world.kinesis.put_records = count  # type: ignore[method-assign]
        async with world.running():
            world.complete(*(record(key=f"key{n}") for n in range(50)))
            await world.sink.flush(60)
        assert sum(seen) == 50
        assert max(seen) == 7

    play(body, outstanding_max=7)


def test_what_is_confirmed_is_worth_a_checkpoint_once():
    async def body(world: World) -> None:
        async with world.running():
            assert not world.sink.is_changed
            world.complete(record())
            await world.sink.flush(10)
            assert world.sink.is_changed
            assert list(world.sink.cut(2)) == []
            assert not world.sink.is_changed
            # A checkpoint that was not made has recorded nothing.
            world.sink.failed(2)
            assert world.sink.is_changed

    play(body)


def test_the_next_life_sends_what_the_checkpoint_does_not_know_to_have_left():
    async def body(world: World) -> None:
        kept = world.complete(record(b"1"), record(b"2", hash_key="7"))
        world.sink = world.new(past_epoch=5)
        assert world.sink.confirmed_epoch() == 5
        await world.sink.restore(outbox(5), reading(kept))
        assert world.sink.confirmed_epoch() == 4
        assert world.sink.backlog_bytes() > 0
        async with world.running():
            await world.sink.flush(10)
        assert sorted(world.kinesis.values("s", "k")) == [b"1", b"2"]
        assert world.sink.confirmed_epoch() == 5
        assert world.sink.backlog_bytes() == 0

    play(body)


def test_a_flush_that_takes_too_long_says_what_is_kept(caplog: pytest.LogCaptureFixture):
    async def body(world: World) -> None:
        world.kinesis.streams.clear()
        async with world.running():
            world.complete(record())
            await world.sink.flush(1)

    play(body)
    assert caplog.records[-1].getMessage() == (
        "egress t/out: 202 bytes have not left; they are kept for the next start"
    )


def test_a_kinesis_that_gives_no_answer_is_told_with_what_waits_and_when_it_is_back(
    caplog: pytest.LogCaptureFixture,
):
    caplog.set_level("INFO")

    async def body(world: World) -> None:
        def connected() -> float:
            (found,) = (m.value for m in world.sink.metrics() if m.name.endswith("connected"))
            assert isinstance(found, float)
            return found

        async with world.running():
            await asyncio.sleep(30)
            assert connected() == 1
            world.kinesis.is_silent = True
            world.complete(record())
            await asyncio.sleep(10)
            assert connected() == 0
            await asyncio.sleep(100)
            world.kinesis.is_silent = False
            await world.sink.flush(60)
            await asyncio.sleep(10)
            assert connected() == 1
            assert world.kinesis.values("s", "k") == [b"v"]

    play(body)
    silence, end = (entry.getMessage() for entry in caplog.records)
    assert silence.startswith(
        "egress t/out has had no answer of Kinesis in the default region since "
    )
    assert silence.endswith(": 1 records wait to leave")
    assert end.startswith("egress t/out reaches Kinesis again, after 11")
