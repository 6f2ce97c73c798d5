"""The CommitLog port: a folder, a topic, and the list of the tests."""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from statefun_runtime.adapters.off_loop import in_a_thread
from statefun_runtime.adapters.storage.commit_log_folder import CommitLogFolder
from statefun_runtime.connectors.kafka.cluster.log import TopicLog
from statefun_runtime.connectors.kafka.cluster.topics import Brokers
from statefun_runtime.core.checkpoints.commits import Completed, Entry, Started
from statefun_runtime.core.checkpoints.manifest import ObjectId
from statefun_runtime.errors import FencedError
from statefun_runtime.ports.commit_log import CommitLog
from tests.fakes.checkpoint_store import MemoryLog
from tests.support.kafka.broker import KafkaBroker
from tests.support.kafka.cluster import cluster_topics
from tests.support.loops import on_a_loop

Opener = Callable[[], CommitLog]


class Topic(TopicLog):
    """The log of a cluster, for who claims it when it has something to add; anybody may read it."""

    def __init__(self, brokers: Brokers, broker: KafkaBroker) -> None:
        super().__init__(brokers)
        self._broker = broker
        self._has_claimed = False

    async def read(self) -> list[Entry]:
        if self._has_claimed:
            return await super().read()
        mark = uuid.uuid4().hex.encode()
        self._broker.client.produce(self._brokers.log, [(b"leader", mark)])
        return self._entries(await self._content(mark))

    async def append(self, entry: Entry) -> None:
        if not self._has_claimed:
            self._has_claimed = True
            await self.claim("somebody")
        await super().append(entry)


@pytest.fixture(params=["memory", "folder", pytest.param("topic", marks=pytest.mark.kafka)])
def open_log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opener]:
    if request.param == "topic":
        broker = request.getfixturevalue("broker")
        brokers = cluster_topics(broker)
        yield lambda: Topic(brokers, broker)
    elif request.param == "folder":
        yield lambda: CommitLogFolder(tmp_path / "log", in_a_thread)
    else:
        entries: list[Entry] = []
        yield lambda: MemoryLog(entries)


def started(incarnation: int) -> Started:
    return Started("app", incarnation, f"n{incarnation}", "line", 0, None, None, 128)


def completed(epoch: int) -> Completed:
    return Completed(epoch, 1, "line", ObjectId(f"{epoch:064d}"))


@on_a_loop
async def test_a_new_log_is_empty(open_log: Opener):
    assert await open_log().read() == []


@on_a_loop
async def test_entries_are_read_in_the_order_in_which_they_were_added(open_log: Opener):
    log = open_log()
    await log.read()
    entries = [started(1), completed(1), completed(2), started(2), completed(3)]
    for entry in entries:
        await log.append(entry)

    assert await open_log().read() == entries


@on_a_loop
async def test_a_worker_that_was_overtaken_cannot_add_anything(open_log: Opener):
    old, new = open_log(), open_log()
    await old.read()
    await old.append(started(1))
    await new.read()
    await new.append(started(2))

    with pytest.raises(FencedError):
        await old.append(completed(1))
    assert await open_log().read() == [started(1), started(2)]


@on_a_loop
async def test_old_checkpoints_are_forgotten_but_never_a_start_or_the_newest_entry(
    open_log: Opener,
):
    log = open_log()
    await log.read()
    for entry in (started(1), completed(1), completed(2), completed(3)):
        await log.append(entry)

    await log.prune(3)
    assert await open_log().read() == [started(1), completed(3)]
    await log.prune(99)
    assert await open_log().read() == [started(1), completed(3)]
    await log.append(completed(4))
    assert await open_log().read() == [started(1), completed(3), completed(4)]


@on_a_loop
async def test_checkpoints_of_an_earlier_life_are_forgotten_like_one_s_own(open_log: Opener):
    log = open_log()
    await log.read()
    for entry in (started(1), completed(1), completed(2)):
        await log.append(entry)
    again = open_log()
    await again.read()
    await again.append(completed(3))

    await again.prune(2)
    assert await open_log().read() == [started(1), completed(2), completed(3)]


@pytest.fixture
def brokers(broker: KafkaBroker) -> Brokers:
    return cluster_topics(broker)


@pytest.mark.kafka
@on_a_loop
async def test_who_has_followed_a_log_reads_on_up_to_the_life_that_it_looks_for(brokers: Brokers):
    leader, follower = TopicLog(brokers), TopicLog(brokers, nonce="not known yet")
    await leader.claim("somebody")
    for entry in (started(1), completed(1), completed(2)):
        await leader.append(entry)
    await follower.follow()
    await leader.prune(2)
    await leader.append(started(2))
    follower.look_for("n2")

    assert await follower.read() == [started(1), completed(2), started(2)]
    # There is nobody to follow any more: all is read anew.
    assert await follower.read() == [started(1), completed(2), started(2)]
    await leader.close()
