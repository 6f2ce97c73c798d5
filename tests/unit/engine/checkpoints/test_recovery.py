"""Where a life begins, and which checkpoints it may look back to."""

import asyncio
import json
import shutil
from dataclasses import replace
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from statefun_runtime.core.checkpoints.commits import Completed, History, Started
from statefun_runtime.core.checkpoints.delta import MAGIC, encode_rows
from statefun_runtime.core.checkpoints.manifest import (
    Base,
    BaseFile,
    Delta,
    KeyGroups,
    Manifest,
    ObjectId,
    Outbox,
    Part,
    StoredObject,
)
from statefun_runtime.core.checkpoints.retention import Retention
from statefun_runtime.engine.beginning import Beginning
from statefun_runtime.engine.checkpoints.bases import Bases
from statefun_runtime.engine.checkpoints.recovery import (
    Names,
    choose_start,
    open_live,
    pending_outboxes,
    read_manifest,
)
from statefun_runtime.engine.settings import Pace
from statefun_runtime.errors import CorruptionError
from tests.fakes.checkpoint_store import MemoryObjects
from tests.fakes.off_loop import AT_ONCE, result_of
from tests.fakes.state_store import DictStore
from tests.fakes.virtual_time import run_virtual

ALL = KeyGroups(0, 128)
STARTED = Started("app", 1, "nonce", "line", 0, None, None, 128)


def manifest(epoch: int, **more: Any) -> Manifest:
    part = Part("standalone", ALL, more.pop("bases", ()), more.pop("deltas", ()))
    return Manifest("app", epoch, 1, "line", 0, 128, 8, {}, (part,), **{"outboxes": ()} | more)


def put(store: MemoryObjects, one: Manifest) -> ObjectId:
    return result_of(store.put([one.encode()])).id


def test_a_checkpoint_that_was_half_collected_is_not_looked_back_to():
    store = MemoryObjects()
    there = result_of(store.put([b"records"]))
    gone = StoredObject(ObjectId("0" * 64), 7)
    ids = [
        put(store, manifest(epoch, outboxes=(Outbox("e", epoch, 1, stored, True),)))
        for epoch, stored in ((1, gone), (2, there))
    ]
    last = put(store, manifest(3, pending_parent=ids[1]))
    entries = [
        Completed(epoch, 1, "line", object_id) for epoch, object_id in enumerate([*ids, last], 1)
    ]

    start = result_of(
        choose_start(History((STARTED, *entries)), store, Names("a", "b", "c"), key_group_count=128)
    )

    assert [kept.manifest.epoch for kept in start.kept] == [2, 3]


@pytest.mark.parametrize("is_named_again", [True, False])
def test_a_lineage_without_a_checkpoint_begins_again_where_it_began(is_named_again: bool):
    store = MemoryObjects()
    older, origin = put(store, manifest(7)), put(store, manifest(8))
    # The log forgot the checkpoint of the savepoint, and remembers an older one.
    entries = (
        STARTED,
        Completed(7, 1, "line", older),
        replace(
            STARTED,
            incarnation=2,
            lineage="other",
            from_epoch=8,
            from_manifest=origin,
            from_lineage="line",
        ),
    )

    start = result_of(
        choose_start(
            History(entries),
            store,
            Names("a", "b", "c"),
            key_group_count=128,
            origin=origin if is_named_again else None,
        )
    )

    assert start.started.from_manifest == origin
    assert (start.started.lineage, start.started.from_epoch) == ("other", 8)


def test_outboxes_that_are_dropped_are_pending_in_no_later_checkpoint():
    store = MemoryObjects()
    old, own = (result_of(store.put([content])) for content in (b"1", b"2"))
    parent = put(store, manifest(1, outboxes=(Outbox("e", 1, 1, old, True),)))
    origin = put(
        store, manifest(2, outboxes=(Outbox("d", 2, 1, own, False),), pending_parent=parent)
    )
    history = History(())
    names = Names("another", "nonce", "line")
    start = result_of(choose_start(history, store, names, key_group_count=128, origin=origin))
    outboxes = pending_outboxes(start.manifest, start.kept)
    assert [outbox.egress for outbox in outboxes] == ["e", "d"]

    dropped = Beginning(start, history, tuple(outboxes)).without_outboxes()

    assert dropped.outboxes == ()
    assert dropped.start.manifest is not None
    assert dropped.start.manifest.outboxes == ()
    assert pending_outboxes(dropped.start.manifest, dropped.start.kept) == []
    kept = Retention(3, dropped.start.kept, set(dropped.start.there), origin)
    assert kept.newest_pending({}) is None


def test_no_base_is_taken_while_objects_are_collected(tmp_path: Path):
    calls: list[str] = []
    live = SimpleNamespace(
        flush=lambda: calls.append("flush"),
        snapshot=lambda folder: (calls.append("snapshot"), folder.mkdir()),
    )
    large = manifest(1, deltas=(Delta(1, StoredObject(ObjectId("d"), 1 << 30)),))

    async def main() -> None:
        bases = Bases(
            "standalone",
            ALL,
            SimpleNamespace(store=live, stored_epoch=1),  # type: ignore[arg-type]
            MemoryObjects(),
            AT_ONCE,
            last=large,
            scratch=lambda: tmp_path / "base",
            discard=shutil.rmtree,
            pace=Pace(),
        )
        async with asyncio.TaskGroup() as tasks, bases.in_use:
            tasks.create_task(bases.take())
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

    async def main() -> None:
        large = manifest(1, deltas=(Delta(1, StoredObject(ObjectId("d"), 1 << 30)),))

        async def open_again(_: object) -> Any:
            return states

        def swap(store: Any, epoch: int) -> Any:
            return SimpleNamespace(discard=list)

        states = SimpleNamespace(
            store=SimpleNamespace(flush=list, snapshot=snapshot),
            stored_epoch=0,
            store_lost=lambda epoch: None,
        )
        bases = Bases(
            "standalone",
            ALL,
            states,  # type: ignore[arg-type]
            objects,
            AT_ONCE,
            last=large,
            scratch=lambda: tmp_path / "base",
            discard=shutil.rmtree,
            pace=Pace(),
        )
        found = []
        for epoch in (1, 2):
            states.stored_epoch = epoch
            await bases.take()
            assert bases.adopt()
            (base,) = bases.part().bases
            (file,) = base.files
            found.append(await objects.get(file.object.id))
            await bases.rebuild_store(lambda: large, open_again, swap)
        assert found == [b"old", b"new"]

    run_virtual(main)


def test_the_parts_of_two_owners_make_one_store(tmp_path: Path):
    objects, numbers = MemoryObjects(), count()

    def scratch() -> Path:
        return tmp_path / str(next(numbers))

    def base(epoch: int, key_groups: KeyGroups, *rows: tuple[bytes, bytes]) -> Base:
        store, folder = DictStore(), scratch()
        store.write(rows)
        store.snapshot(folder)
        files = (
            BaseFile(path.name, result_of(objects.put_file(path))) for path in folder.iterdir()
        )
        return Base(epoch, key_groups, tuple(files))

    def delta(epoch: int, *rows: tuple[bytes, bytes | None]) -> Delta:
        return Delta(epoch, result_of(objects.put([MAGIC, encode_rows(rows)])))

    left, right = KeyGroups(0, 1), KeyGroups(1, 2)
    stale = (b"\0\1sx", b"of others")
    parts = (
        Part(
            "one",
            left,
            (base(3, left, (b"\0\0sa", b"1"), (b"\0\0sb", b"1"), stale),),
            (
                delta(4, (b"\0\0sb", None), (b"\0\0bh", b"head")),
                delta(6, (b"\0\0sc", b"6"), (b"\0\1sd", b"of before"), (b"\0\1bh", b"old")),
            ),
        ),
        Part("two", right, (base(4, right, (b"\0\1sd", b"4")),), (delta(5, (b"\0\1sd", b"5")),)),
    )
    whole = Manifest("app", 6, 1, "line", 0, 2, 8, {}, parts, ())

    store, heads = result_of(open_live(whole.whole(), objects, scratch, DictStore, AT_ONCE))

    assert list(store.scan(b"")) == [(b"\0\0sa", b"1"), (b"\0\0sc", b"6"), (b"\0\1sd", b"5")]
    assert heads == {b"\0\0bh": b"head"}


def test_a_checkpoint_of_a_later_version_is_refused_in_words():
    store = MemoryObjects()
    content = {**json.loads(manifest(1).encode()), "format": 9}
    object_id = result_of(store.put([json.dumps(content).encode()])).id

    with pytest.raises(CorruptionError) as refusal:
        result_of(read_manifest(store, object_id))
    assert str(refusal.value) == (
        f"SF5003: manifest {object_id} cannot be read: it is of version 9, and this worker reads versions 2, 3, 4, 5"
    )


def test_what_the_last_checkpoint_names_is_there_though_a_list_does_not_show_it_yet():
    class LateList(MemoryObjects):
        async def ids(self) -> set[ObjectId]:
            return set()

    store = LateList()
    rows, records = (result_of(store.put([content])) for content in (b"rows", b"records"))
    parent = put(store, manifest(1, outboxes=(Outbox("e", 1, 1, records, True),)))
    last = put(store, manifest(2, deltas=(Delta(2, rows),), pending_parent=parent))
    entries = [Completed(1, 1, "line", parent), Completed(2, 1, "line", last)]

    start = result_of(
        choose_start(History((STARTED, *entries)), store, Names("a", "b", "c"), key_group_count=128)
    )

    assert [kept.id for kept in start.kept] == [parent, last]
    assert [one.object for one in pending_outboxes(start.manifest, start.kept)] == [records]
    # What is not kept is deleted when it turns up in a list.
    retention = Retention(3, start.kept, {*start.there}, last)
    assert retention.collect({}, ()) == set()
    assert {rows.id, records.id, parent, last} <= start.there
