"""The CheckpointStore port: a folder, and the memory of the tests."""

from collections.abc import Callable
from pathlib import Path

import pytest

from statefun_runtime.adapters.storage.object_folder import ObjectFolder
from statefun_runtime.core.checkpoints.manifest import ObjectId
from statefun_runtime.core.checkpoints.retention import Savepoint
from statefun_runtime.errors import ConfigError, CorruptionError, UnavailableError
from statefun_runtime.ports.checkpoint_store import CheckpointStore
from tests.fakes.checkpoint_store import MemoryObjects


@pytest.fixture(params=["memory", "folder"])
def new_store(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], CheckpointStore]:
    is_memory = request.param == "memory"
    return lambda name: MemoryObjects() if is_memory else ObjectFolder(tmp_path / name)


@pytest.fixture
def store(new_store: Callable[[str], CheckpointStore]) -> CheckpointStore:
    return new_store("objects")


def test_an_object_is_read_as_it_was_written(store: CheckpointStore):
    stored = store.put([b"first ", b"", b"second"])
    store.sync()

    assert stored.size_bytes == 12
    assert store.get(stored.id) == b"first second"
    assert store.ids() == {stored.id}


def test_a_large_object_is_read_in_pieces(store: CheckpointStore):
    content = bytes(range(256)) * 12_345
    stored = store.put([content])
    pieces = list(store.read(stored.id))

    assert b"".join(pieces) == content
    assert len(pieces) > 1
    assert list(store.read(store.put([]).id)) == []


def test_the_same_content_is_one_object(store: CheckpointStore):
    assert store.put([b"ab", b"c"]) == store.put([b"abc"])
    assert len(store.ids()) == 1


def test_an_empty_object_is_an_object(store: CheckpointStore):
    assert store.get(store.put([]).id) == b""


def test_a_file_becomes_an_object_and_a_file_again(store: CheckpointStore, tmp_path: Path):
    (tmp_path / "1.sst").write_bytes(b"table")
    (tmp_path / "CURRENT").write_bytes(b"current")

    table = store.put_file(tmp_path / "1.sst")
    current = store.put_file(tmp_path / "CURRENT")
    live = tmp_path / "live"
    live.mkdir()
    store.place_file(table, live / "2.sst")
    store.place_file(current, live / "CURRENT")

    assert (live / "2.sst").read_bytes() == b"table"
    # A store writes into such files: the object must not change with them.
    (live / "CURRENT").write_bytes(b"changed")
    assert store.get(current.id) == b"current"


def test_an_object_outlives_the_file_it_was_made_of(store: CheckpointStore, tmp_path: Path):
    path = tmp_path / "1.sst"
    path.write_bytes(b"table")
    stored = store.put_file(path)
    path.unlink()

    assert store.get(stored.id) == b"table"


def test_what_is_missing_is_told_and_not_made_up(store: CheckpointStore, tmp_path: Path):
    missing = ObjectId("0" * 64)

    with pytest.raises(CorruptionError):
        store.get(missing)
    with pytest.raises(CorruptionError):
        list(store.read(missing))


def test_deleted_objects_are_gone_and_deleting_again_is_no_error(store: CheckpointStore):
    kept, deleted = store.put([b"kept"]), store.put([b"deleted"])
    store.sync()

    store.delete([deleted.id])
    store.delete([deleted.id])

    assert store.ids() == {kept.id}
    with pytest.raises(CorruptionError):
        store.get(deleted.id)


def test_a_savepoint_needs_nothing_of_the_store_and_is_taken_into_another(
    store: CheckpointStore, new_store: Callable[[str], CheckpointStore], tmp_path: Path
):
    place = str(tmp_path / "savepoints" / "first")
    manifest, rows, other = (store.put([content]) for content in (b"manifest", b"rows", b"other"))
    store.sync()
    store.write_savepoint(place, Savepoint(manifest.id, 7, (manifest.id, rows.id)))
    store.delete([manifest.id, rows.id, other.id])

    elsewhere = new_store("elsewhere")
    assert elsewhere.take_in_savepoint(place) == manifest.id
    assert elsewhere.ids() == {manifest.id, rows.id}
    assert elsewhere.get(rows.id) == b"rows"
    # Taken in again it is the same.
    assert elsewhere.take_in_savepoint(place) == manifest.id


def test_a_place_holds_one_savepoint(store: CheckpointStore, tmp_path: Path):
    place = str(tmp_path / "savepoint")
    savepoint = Savepoint((stored := store.put([b"manifest"])).id, 7, (stored.id,))
    store.write_savepoint(place, savepoint)

    with pytest.raises(UnavailableError) as refusal:
        store.write_savepoint(place, savepoint)
    assert refusal.value.code == "SF3013"


def test_what_is_no_savepoint_is_told(store: CheckpointStore, tmp_path: Path):
    with pytest.raises(ConfigError) as refusal:
        store.take_in_savepoint(str(tmp_path / "nowhere"))
    assert refusal.value.code == "SF1048"
