"""The CheckpointStore port: a folder, a bucket on a server that speaks S3, and the memory of the tests."""

import asyncio
import hashlib
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from statefun_runtime.adapters.off_loop import in_a_thread
from statefun_runtime.adapters.storage.disk import MachineDisk
from statefun_runtime.adapters.storage.object_folder import ObjectFolder
from statefun_runtime.adapters.storage.object_store import ObjectStore
from statefun_runtime.core.checkpoints.manifest import ObjectId
from statefun_runtime.core.checkpoints.retention import Savepoint
from statefun_runtime.core.checkpoints.store_url import StoreUrl
from statefun_runtime.errors import ConfigError, CorruptionError, FencedError, UnavailableError
from statefun_runtime.ports.checkpoint_store import CheckpointStore
from tests.fakes.checkpoint_store import MemoryObjects
from tests.support.loops import on_a_loop
from tests.support.objects.server import S3Server

Place = ObjectFolder | ObjectStore


@pytest.fixture(params=["memory", "folder", "s3"])
def new_store(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], CheckpointStore]:
    if request.param == "memory":
        return lambda name: MemoryObjects()
    if request.param == "folder":
        return lambda name: ObjectFolder(tmp_path / name, in_a_thread)
    server: S3Server = request.getfixturevalue("s3")
    bucket = server.new_bucket()
    return lambda name: ObjectStore(
        StoreUrl("s3", bucket, name),
        in_a_thread,
        scratch=tmp_path / "scratch",
        options=server.options(),
    )


@pytest.fixture
def store(new_store: Callable[[str], CheckpointStore]) -> CheckpointStore:
    return new_store("objects")


@on_a_loop
async def test_an_object_is_read_as_it_was_written(store: CheckpointStore):
    stored = await store.put([b"first ", b"", b"second"])
    await store.sync()

    assert stored.size_bytes == 12
    assert await store.get(stored.id) == b"first second"
    assert await store.ids() == {stored.id}


@on_a_loop
async def test_a_large_object_is_read_in_pieces(store: CheckpointStore):
    content = bytes(range(256)) * 12_345
    stored = await store.put([content])
    pieces = [piece async for piece in store.read(stored.id)]

    assert b"".join(pieces) == content
    assert len(pieces) > 1
    empty = await store.put([])
    assert [piece async for piece in store.read(empty.id)] == []


@on_a_loop
async def test_what_is_larger_than_one_part_is_one_object(store: CheckpointStore, tmp_path: Path):
    pieces = [bytes([number]) * 3_000_000 for number in range(7)]
    content = b"".join(pieces)
    (tmp_path / "1.sst").write_bytes(content[::-1])

    stored, table = await store.put(pieces), await store.put_file(tmp_path / "1.sst")
    await store.place_file(table, tmp_path / "2.sst")

    assert stored.id == hashlib.sha256(content).hexdigest()
    assert b"".join([piece async for piece in store.read(stored.id)]) == content
    assert (tmp_path / "2.sst").read_bytes() == content[::-1]
    assert await store.ids() == {stored.id, table.id}


@on_a_loop
async def test_the_same_content_is_one_object(store: CheckpointStore):
    assert await store.put([b"ab", b"c"]) == await store.put([b"abc"])
    assert len(await store.ids()) == 1


@on_a_loop
async def test_an_empty_object_is_an_object(store: CheckpointStore):
    empty = await store.put([])
    assert await store.get(empty.id) == b""


@on_a_loop
async def test_a_file_becomes_an_object_and_a_file_again(store: CheckpointStore, tmp_path: Path):
    (tmp_path / "1.sst").write_bytes(b"table")
    (tmp_path / "CURRENT").write_bytes(b"current")

    table = await store.put_file(tmp_path / "1.sst")
    current = await store.put_file(tmp_path / "CURRENT")
    live = tmp_path / "live"
    live.mkdir()
    await store.place_file(table, live / "2.sst")
    await store.place_file(current, live / "CURRENT")

    assert (live / "2.sst").read_bytes() == b"table"
    # A store writes into such files: the object must not change with them.
    (live / "CURRENT").write_bytes(b"changed")
    assert await store.get(current.id) == b"current"


@on_a_loop
async def test_an_object_outlives_the_file_it_was_made_of(store: CheckpointStore, tmp_path: Path):
    path = tmp_path / "1.sst"
    path.write_bytes(b"table")
    stored = await store.put_file(path)
    path.unlink()

    assert await store.get(stored.id) == b"table"


@on_a_loop
async def test_what_is_missing_is_told_and_not_made_up(store: CheckpointStore, tmp_path: Path):
    missing = ObjectId("0" * 64)

    with pytest.raises(CorruptionError):
        await store.get(missing)
    with pytest.raises(CorruptionError):
        await anext(store.read(missing))


@on_a_loop
async def test_deleted_objects_are_gone_and_deleting_again_is_no_error(store: CheckpointStore):
    kept, deleted = await store.put([b"kept"]), await store.put([b"deleted"])
    await store.sync()

    await store.delete([deleted.id])
    await store.delete([deleted.id])

    assert await store.ids() == {kept.id}
    with pytest.raises(CorruptionError):
        await store.get(deleted.id)


@on_a_loop
async def test_a_savepoint_needs_nothing_of_the_store_and_is_taken_into_another(
    store: CheckpointStore, new_store: Callable[[str], CheckpointStore], tmp_path: Path
):
    place = str(tmp_path / "savepoints" / "first")
    manifest, rows, other = [
        await store.put([content]) for content in (b"manifest", b"rows", b"other")
    ]
    await store.sync()
    await store.write_savepoint(place, Savepoint(manifest.id, 7, (manifest.id, rows.id)))
    await store.delete([manifest.id, rows.id, other.id])

    elsewhere = new_store("elsewhere")
    assert await elsewhere.take_in_savepoint(place) == manifest.id
    assert await elsewhere.ids() == {manifest.id, rows.id}
    assert await elsewhere.get(rows.id) == b"rows"
    # Taken in again it is the same.
    assert await elsewhere.take_in_savepoint(place) == manifest.id


@on_a_loop
async def test_a_place_holds_one_savepoint(store: CheckpointStore, tmp_path: Path):
    place = str(tmp_path / "savepoint")
    savepoint = Savepoint((stored := await store.put([b"manifest"])).id, 7, (stored.id,))
    await store.write_savepoint(place, savepoint)

    with pytest.raises(UnavailableError) as refusal:
        await store.write_savepoint(place, savepoint)
    assert refusal.value.code == "SF3013"


@on_a_loop
async def test_what_is_no_savepoint_is_told(store: CheckpointStore, tmp_path: Path):
    with pytest.raises(ConfigError) as refusal:
        await store.take_in_savepoint(str(tmp_path / "nowhere"))
    assert refusal.value.code == "SF1048"


@pytest.fixture(params=["folder", "s3"])
def new_place(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Place]:
    """Return what opens the same place again."""
    if request.param == "folder":
        return lambda: ObjectFolder(
            tmp_path / "objects", in_a_thread, sweep=False, disk=MachineDisk(str(uuid4()))
        )
    server: S3Server = request.getfixturevalue("s3")
    url = StoreUrl("s3", server.new_bucket(), "")
    return lambda: ObjectStore(
        url, in_a_thread, scratch=tmp_path / "scratch", options=server.options()
    )


@on_a_loop
async def test_of_those_who_would_hold_a_place_instead_of_one_the_first_does(
    new_place: Callable[[], Place],
):
    first, second = new_place(), new_place()

    assert await first.holder() is None
    assert await first.hold(b"first", instead_of=None)
    assert not await second.hold(b"second", instead_of=None)
    assert await second.holder() == b"first"
    assert await second.hold(b"second", instead_of=b"first")
    assert not await first.hold(b"again", instead_of=b"first")
    assert await first.holder() == b"second"


@on_a_loop
async def test_of_many_at_the_same_time_one_holds_a_place(new_place: Callable[[], Place]):
    await new_place().hold(b"before", instead_of=None)
    held: list[int] = []

    async def take(number: int) -> None:
        if await new_place().hold(str(number).encode(), instead_of=b"before"):
            held.append(number)

    async with asyncio.TaskGroup() as tasks:
        for number in range(12):
            tasks.create_task(take(number))

    assert len(held) == 1
    assert await new_place().holder() == str(held[0]).encode()


@on_a_loop
async def test_who_holds_a_place_no_more_deletes_nothing_there(new_place: Callable[[], Place]):
    old, new = new_place(), new_place()
    stored = await old.put([b"content"])
    await old.sync()
    await old.hold(b"old", instead_of=None)
    await new.hold(b"new", instead_of=b"old")

    with pytest.raises(FencedError):
        await old.delete([stored.id])
    assert await new.ids() == {stored.id}
    await new.delete([stored.id])
    assert await new.ids() == set()
