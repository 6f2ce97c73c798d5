"""Where a life begins, and which checkpoints it may look back to."""

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from statefun_runtime.core.checkpoints.commits import Completed, History, Started
from statefun_runtime.core.checkpoints.manifest import (
    Delta,
    Manifest,
    ObjectId,
    Outbox,
    StoredObject,
)
from statefun_runtime.engine.checkpoints.bases import Bases
from statefun_runtime.engine.checkpoints.recovery import Names, choose_start
from statefun_runtime.engine.settings import Pace
from tests.fakes.checkpoint_store import MemoryObjects
from tests.fakes.virtual_time import run_virtual

STARTED = Started("app", 1, "nonce", "line", 0, None, None, 128)


def manifest(epoch: int, **more: Any) -> Manifest:
    given = {"base": None, "deltas": (), "outboxes": ()} | more
    return Manifest("app", epoch, 1, "line", 0, 128, 8, {}, **given)


def put(store: MemoryObjects, one: Manifest) -> ObjectId:
    return store.put([json.dumps(one.to_json()).encode()]).id


def test_a_checkpoint_that_was_half_collected_is_not_looked_back_to():
    store = MemoryObjects()
    there = store.put([b"records"])
    gone = StoredObject(ObjectId("0" * 64), 7)
    ids = [
        put(store, manifest(epoch, outboxes=(Outbox("e", epoch, 1, stored, True),)))
        for epoch, stored in ((1, gone), (2, there))
    ]
    last = put(store, manifest(3, pending_parent=ids[1]))
    entries = [
        Completed(epoch, 1, "line", object_id) for epoch, object_id in enumerate([*ids, last], 1)
    ]

    start = choose_start(
        History((STARTED, *entries)), store, Names("a", "b", "c"), key_group_count=128
    )

    assert [kept.manifest.epoch for kept in start.kept] == [2, 3]


def test_no_base_is_taken_while_objects_are_collected(tmp_path: Path):
    calls: list[str] = []
    live = SimpleNamespace(
        flush=lambda: calls.append("flush"),
        snapshot=lambda folder: (calls.append("snapshot"), folder.mkdir()),
    )
    large = manifest(1, deltas=(Delta(1, StoredObject(ObjectId("d"), 1 << 30)),))

    async def at_once(work: Any) -> Any:
        return work()

    async def main() -> None:
        bases = Bases(
            SimpleNamespace(store=live),  # type: ignore[arg-type]
            MemoryObjects(),
            at_once,
            last=large,
            scratch=lambda: tmp_path / "base",
            pace=Pace(),
        )
        async with asyncio.TaskGroup() as tasks, bases.in_use:
            tasks.create_task(bases.stored(1))
            await asyncio.sleep(1)
            assert calls == []
        assert calls == ["flush", "snapshot"]
        assert [base.epoch for base in bases.named] == [1]

    run_virtual(main)


def test_the_files_of_a_rebuilt_store_are_not_taken_for_those_of_the_old_one(tmp_path: Path):
    contents = [b"old", b"new"]
    objects = MemoryObjects()

    def snapshot(folder: Path) -> None:
        folder.mkdir()
        (folder / "000007.sst").write_bytes(contents.pop(0))

    async def at_once(work: Any) -> Any:
        return work()

    async def main() -> None:
        large = manifest(1, deltas=(Delta(1, StoredObject(ObjectId("d"), 1 << 30)),))

        def swap(store: Any, epoch: int) -> Any:
            return SimpleNamespace(discard=list)

        states = SimpleNamespace(
            store=SimpleNamespace(flush=list, snapshot=snapshot), store_lost=lambda epoch: None
        )
        bases = Bases(
            states,  # type: ignore[arg-type]
            objects,
            at_once,
            last=large,
            scratch=lambda: tmp_path / "base",
            pace=Pace(),
        )
        found = []
        for epoch in (1, 2):
            await bases.stored(epoch)
            assert bases.adopt()
            assert bases.current is not None
            (file,) = bases.current.files
            found.append(objects.get(file.object.id))
            await bases.rebuild_store(lambda: large, lambda _: states, swap)
        assert found == [b"old", b"new"]

    run_virtual(main)
