"""Checkpoints of a whole engine on fakes: what is in them, when one fails, and what a restart finds."""

import asyncio
import json
from typing import Any

import pytest

from statefun_runtime.core.checkpoints.commits import Completed, Entry, History
from statefun_runtime.engine.checkpoints.recovery import Names, choose_start
from statefun_runtime.errors import ConfigError, FencedError, UnavailableError
from tests.fakes.checkpoint_store import MemoryLog, MemoryObjects
from tests.fakes.virtual_time import run_virtual
from tests.support.wire_builders import Request, incomplete, result
from tests.unit.engine.engine_world import World


def counting(request: Request) -> bytes:
    if "seen" not in request.state:
        return incomplete("seen")
    count = int(request.state["seen"] or b"0") + len(request.values)
    return result(state={"seen": b"%d" % count})


class Life:
    """One life of an engine over objects and a log that outlive it."""

    def __init__(self, objects: MemoryObjects, log: MemoryLog, *, interval_s: float = 1.0) -> None:
        self.log = log
        nonce = f"nonce{len(log.entries)}"
        self.world = World(
            objects=objects,
            commit_log=log,
            names=Names("app", nonce, "line"),
            interval_s=interval_s,
        )
        self.world.serve("f", counting)
        self.checkpointer = self.world.checkpointer

    @classmethod
    async def begin(
        cls, objects: MemoryObjects, log: MemoryLog, *, interval_s: float = 1.0
    ) -> "Life":
        life = cls(objects, log, interval_s=interval_s)
        await life.world.enter()
        await life.world.restore()
        return life

    async def count(self, function_id: str) -> int:
        """Send one more message and return what the function counts then."""
        self.world.send("f", function_id)
        await asyncio.sleep(0.1)
        backlog = self.world.backlog("f", function_id)
        values = backlog.values or self.world.states.load(backlog)
        return int(values.fields["seen"].rpartition(b"\x1a\x01")[2][:1] or b"0")

    def epochs(self) -> list[int]:
        return [entry.epoch for entry in self.log.entries if isinstance(entry, Completed)]


def lives(body: Any) -> None:
    async def main() -> None:
        entries: list[Entry] = []
        await body(MemoryObjects(), lambda: MemoryLog(entries))

    run_virtual(main)


def test_a_restart_finds_the_last_complete_checkpoint():
    async def body(objects: MemoryObjects, log: Any) -> None:
        first = await Life.begin(objects, log())
        assert [await first.count("a") for _ in range(3)] == [1, 2, 3]
        assert await first.checkpointer.take()
        assert await first.count("a") == 4

        objects.crash()
        second = await Life.begin(objects, log())

        assert second.world.beginning.start.started.incarnation == 2
        assert second.world.beginning.start.started.application == "app"
        assert await second.count("a") == 4

    lives(body)


def test_a_request_that_is_out_belongs_to_the_cut():
    async def body(objects: MemoryObjects, log: Any) -> None:
        first = await Life.begin(objects, log())
        await first.count("a")
        first.world.endpoint("f").is_up = False
        for _ in range(3):
            first.world.send("f", "a")
        assert await first.checkpointer.take()

        second = await Life.begin(objects, log())
        assert second.world.function("f").waiting == 3
        await asyncio.sleep(0.1)
        assert await second.count("a") == 5

    lives(body)


def test_what_a_failed_checkpoint_would_have_held_is_in_the_next():
    async def body(objects: MemoryObjects, log: Any) -> None:
        first = await Life.begin(objects, log())
        await first.count("a")
        objects.is_full = True
        assert not await first.checkpointer.take()
        assert first.epochs() == []
        await first.count("b")
        objects.is_full = False

        assert await first.checkpointer.take()

        assert first.epochs() == [2]
        assert first.checkpointer.aborted_count == 1
        second = await Life.begin(objects, log())
        assert await second.count("a") == 2
        assert await second.count("b") == 2

    lives(body)


@pytest.mark.parametrize("happened", [True, False])
def test_an_unclear_commit_is_decided_by_reading_the_log(happened: bool):
    async def body(objects: MemoryObjects, log: Any) -> None:
        class Unclear(MemoryLog):
            async def append(self, entry: Entry) -> None:
                if not isinstance(entry, Completed) or entry.epoch != 1:
                    await super().append(entry)
                    return
                if happened:
                    await super().append(entry)
                raise UnavailableError("no answer", code="SF3011")

        first = await Life.begin(objects, Unclear(log().entries))
        await first.count("a")

        assert await first.checkpointer.take() is happened
        assert first.checkpointer.completed_count == happened
        await first.count("a")
        assert await first.checkpointer.take()
        assert first.epochs() == ([1, 2] if happened else [2])
        last = await Life.begin(objects, log())
        assert await last.count("a") == 3

    lives(body)


def test_who_reads_the_log_after_an_unclear_commit_and_finds_a_later_life_ends():
    """A frozen worker wakes in the middle of a commit, and somebody else has its folder."""

    async def body(objects: MemoryObjects, log: Any) -> None:
        class Frozen(MemoryLog):
            async def append(self, entry: Entry) -> None:
                await super().append(entry)
                if isinstance(entry, Completed):
                    await Life.begin(objects, log())
                    raise UnavailableError("no answer", code="SF3011")

        first = await Life.begin(objects, Frozen(log().entries))
        await first.count("a")

        with pytest.raises(FencedError, match="no longer the one that runs"):
            await first.checkpointer.take()

    lives(body)


def test_without_a_change_there_is_no_checkpoint():
    async def body(objects: MemoryObjects, log: Any) -> None:
        first = await Life.begin(objects, log(), interval_s=0.1)
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(first.checkpointer.run())
            await first.count("a")
            await asyncio.sleep(1.0)
            count = len(first.epochs())
            assert 1 <= count <= 3
            await asyncio.sleep(60.0)
            assert len(first.epochs()) == count
            running.cancel()

    lives(body)


def test_saved_returns_when_all_that_is_so_now_is_complete_also_under_load():
    async def body(objects: MemoryObjects, log: Any) -> None:
        first = await Life.begin(objects, log(), interval_s=3600.0)
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(first.checkpointer.run())

            async def load() -> None:
                while True:
                    first.world.send("f", "busy")
                    await asyncio.sleep(0.001)

            loading = tasks.create_task(load())
            await first.count("a")
            async with asyncio.timeout(5):
                await first.checkpointer.saved()
            loading.cancel()
            running.cancel()

        last = await Life.begin(objects, log())
        assert await last.count("a") == 2

    lives(body)


def test_old_checkpoints_go_and_the_kept_ones_can_be_read():
    async def body(objects: MemoryObjects, log: Any) -> None:
        first = await Life.begin(objects, log())
        for _ in range(40):
            first.world.send("f", "a")
            await asyncio.sleep(0.1)
            assert await first.checkpointer.take()

        assert first.epochs() == [38, 39, 40]
        manifests = [e.manifest for e in log().entries if isinstance(e, Completed)]
        for manifest in manifests:
            assert json.loads(await objects.get(manifest))["application"] == "app"
        second = await Life.begin(objects, log())
        second.world.send("f", "a")
        await asyncio.sleep(0.1)
        backlog = second.world.backlog("f", "a")
        values = backlog.values or second.world.states.load(backlog)
        assert values.fields["seen"].endswith(b"41")

    lives(body)


def test_the_number_of_key_groups_is_fixed():
    async def body(objects: MemoryObjects, log: Any) -> None:
        first = await Life.begin(objects, log())
        await first.count("a")
        await first.checkpointer.take()
        history = History(tuple(log().entries))

        with pytest.raises(ConfigError) as refused:
            await choose_start(history, objects, Names("x", "y", "z"), key_group_count=64)

        assert str(refused.value) == (
            "SF1045: the state has 128 key groups, the worker 64\n"
            "hint: the number of key groups is fixed for the life of an application"
        )

    lives(body)
