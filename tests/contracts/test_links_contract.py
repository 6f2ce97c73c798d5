"""The Links port: pairs of sockets, and inboxes on a broker."""

import asyncio
import socket
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

from statefun_runtime.adapters.team.socket_links import SocketLinks
from statefun_runtime.connectors.kafka.cluster.links import TopicLinks
from statefun_runtime.connectors.kafka.cluster.topics import Brokers, inbox_ends
from statefun_runtime.ports.team import Links
from tests.support.kafka.cluster import cluster_topics
from tests.support.loops import on_a_loop

Pair = tuple[Links, Links]
Opener = Callable[[], AbstractAsyncContextManager[Pair]]
_LIMIT_S = 30.0


@asynccontextmanager
async def running(*links: Links) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as tasks:
        beside = [tasks.create_task(one.run()) for one in links]
        yield
        for task in beside:
            task.cancel()


@asynccontextmanager
async def by_sockets() -> AsyncIterator[Pair]:
    one, other = socket.socketpair()
    yield SocketLinks({1: one}), SocketLinks({0: other})


def by_topics(brokers: Brokers) -> Opener:
    @asynccontextmanager
    async def opened() -> AsyncIterator[Pair]:
        ends, nonce = await inbox_ends(brokers, [0, 1]), uuid.uuid4().hex
        yield (
            TopicLinks(brokers, nonce, 0, ends[0]),
            TopicLinks(brokers, nonce, 1, ends[1]),
        )

    return opened


@pytest.fixture(params=["sockets", pytest.param("topics", marks=pytest.mark.kafka)])
def open_pair(request: pytest.FixtureRequest) -> Opener:
    if request.param == "sockets":
        return by_sockets
    return by_topics(cluster_topics(request.getfixturevalue("broker")))


async def left(links: Links) -> None:
    """Return when nothing that was sent is here any more."""
    async with asyncio.timeout(_LIMIT_S):
        while links.waiting_bytes:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


class Taken:
    """What has come, and from whom."""

    def __init__(self) -> None:
        self.frames: list[tuple[int, bytes]] = []
        self._news = asyncio.Event()

    def take(self, slot: int, frame: bytes) -> None:
        self.frames.append((slot, frame))
        self._news.set()

    async def wait_for(self, count: int) -> list[tuple[int, bytes]]:
        async with asyncio.timeout(_LIMIT_S):
            while len(self.frames) < count:
                self._news.clear()
                await self._news.wait()
        return self.frames


@on_a_loop
async def test_frames_come_in_the_order_in_which_they_were_sent(open_pair: Opener):
    async with open_pair() as (one, other):
        taken, nothing = Taken(), Taken()
        one.attach(nothing.take)
        other.attach(taken.take)
        # What is sent before the links run waits for them.
        one.send(1, b"early")
        async with running(one, other):
            for number in range(500):
                one.send(1, b"%d" % number)
            found = await taken.wait_for(501)

    assert found == [(0, b"early"), *((0, b"%d" % number) for number in range(500))]
    assert nothing.frames == []


@on_a_loop
async def test_a_frame_is_as_large_as_a_message_may_be(open_pair: Opener):
    large = bytes(range(256)) * 20_000
    async with open_pair() as (one, other):
        taken = Taken()
        one.attach(Taken().take)
        other.attach(taken.take)
        async with running(one, other):
            one.send(1, large)
            one.send(1, b"behind")
            found = await taken.wait_for(2)

    assert found == [(0, large), (0, b"behind")]


@on_a_loop
async def test_what_is_on_its_way_is_counted_until_it_has_left(open_pair: Opener):
    async with open_pair() as (one, other):
        taken = Taken()
        one.attach(Taken().take)
        other.attach(taken.take)
        async with running(one, other):
            for _ in range(100):
                one.send(1, bytes(100_000))
            assert one.waiting_bytes > 0
            await taken.wait_for(100)
            await left(one)


@pytest.mark.kafka
def test_what_was_sent_in_another_life_does_not_come(broker: Any):
    brokers = cluster_topics(broker)

    @on_a_loop
    async def story() -> None:
        ends = await inbox_ends(brokers, [0, 1])
        old = TopicLinks(brokers, "old", 0, ends[0])
        new, receiver = (TopicLinks(brokers, "new", slot, ends[slot]) for slot in (0, 1))
        taken = Taken()
        for links in (old, new):
            links.attach(Taken().take)
        receiver.attach(taken.take)
        async with running(old, new, receiver):
            old.send(1, b"of a plan that is no more")
            await left(old)
            new.send(1, b"of this one")
            assert await taken.wait_for(1) == [(0, b"of this one")]

    story()
