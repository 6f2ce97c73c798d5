"""Small objects of a folder of objects: many to a file, and there whole or not at all."""

import os
from pathlib import Path
from typing import IO

import pytest

from statefun_runtime.adapters.storage.disk import MachineDisk
from statefun_runtime.adapters.storage.object_folder import ObjectFolder
from statefun_runtime.core.checkpoints.manifest import ObjectId
from statefun_runtime.errors import CorruptionError, UnavailableError
from tests.fakes.off_loop import AT_ONCE, result_of


class CountingDisk(MachineDisk):
    """A disk of this machine that counts, and fails when it is told to; `name` is that of its process."""

    def __init__(self, name: str = "1") -> None:
        self.name = name
        self.syncs = self.folder_syncs = 0
        self.fails = False

    def sync(self, file: IO[bytes]) -> None:
        self.syncs += 1
        if self.fails:
            raise OSError(28, "No space left on device")
        os.fsync(file.fileno())

    def sync_folder(self, folder: Path) -> None:
        self.folder_syncs += 1
        if self.fails:
            raise OSError(5, "Input/output error")
        super().sync_folder(folder)

    def writer(self) -> str:
        return self.name


def opened(folder: Path, disk: CountingDisk | None = None, *, sweep: bool = True) -> ObjectFolder:
    return ObjectFolder(folder, AT_ONCE, sweep=sweep, disk=disk or CountingDisk())


def put(store: ObjectFolder, *contents: bytes) -> list[ObjectId]:
    """Put objects and make them survive."""
    ids = [result_of(store.put([content])).id for content in contents]
    result_of(store.sync())
    return ids


def files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def test_all_that_is_small_between_two_syncs_takes_one_write(tmp_path: Path):
    disk = CountingDisk()
    store = opened(tmp_path, disk)
    put(store, b"first")
    assert (disk.syncs, disk.folder_syncs) == (1, 1)

    put(store, b"delta", b"outbox", b"manifest")
    # The file has its name already.
    assert (disk.syncs, disk.folder_syncs) == (2, 1)
    assert len(files(tmp_path)) == 1


def test_another_life_finds_what_was_synced_and_nothing_else(tmp_path: Path):
    store = opened(tmp_path)
    ids = put(store, b"delta", b"", b"manifest")
    unsynced = result_of(store.put([b"more"])).id

    again = opened(tmp_path)
    assert result_of(again.ids()) == set(ids)
    assert [result_of(again.get(one)) for one in ids] == [b"delta", b"", b"manifest"]
    with pytest.raises(CorruptionError):
        result_of(again.get(unsynced))


def test_a_life_under_the_same_number_leaves_the_segments_of_the_one_before_alone(tmp_path: Path):
    # In a container every worker has the same number.
    ids = put(opened(tmp_path), b"old")
    ids += put(opened(tmp_path), b"new")

    assert len(files(tmp_path)) == 2
    assert result_of(opened(tmp_path).ids()) == set(ids)


def test_a_reader_sees_what_is_written_while_it_looks(tmp_path: Path):
    store, reader = opened(tmp_path), opened(tmp_path, sweep=False)
    (first,) = put(store, b"first")
    assert result_of(reader.get(first)) == b"first"
    (second,) = put(store, b"second")
    assert result_of(reader.get(second)) == b"second"
    assert result_of(reader.ids()) == {first, second}


@pytest.mark.parametrize("cut", range(1, 55))
def test_what_was_cut_off_is_not_there(tmp_path: Path, cut: int):
    first, second = put(opened(tmp_path), b"first", b"the second")
    (path,) = files(tmp_path)
    os.truncate(path, path.stat().st_size - cut)

    again = opened(tmp_path)
    assert result_of(again.ids()) == {first}
    # It is not appended to: what is behind the cut would not be found.
    ids = put(again, b"the second")
    assert ids == [second]
    assert result_of(opened(tmp_path).ids()) == {first, second}


def test_what_cannot_be_written_is_not_there_and_nothing_is_appended_behind_it(tmp_path: Path):
    disk = CountingDisk()
    store = opened(tmp_path, disk)
    (first,) = put(store, b"first")
    lost = result_of(store.put([b"lost"])).id
    disk.fails = True
    with pytest.raises(UnavailableError) as refusal:
        result_of(store.sync())
    assert refusal.value.code == "SF3010"
    assert refusal.value.message == (
        f"{tmp_path} cannot be written or synced: No space left on device"
    )
    assert result_of(store.ids()) == {first}
    with pytest.raises(CorruptionError):
        result_of(store.get(lost))

    disk.fails = False
    (second,) = put(store, b"second")
    assert len(files(tmp_path)) == 2
    assert {first, second} <= result_of(opened(tmp_path).ids())


def test_a_disk_that_stays_full_is_not_littered(tmp_path: Path):
    disk = CountingDisk()
    store = opened(tmp_path, disk)
    disk.fails = True
    for number in range(3):
        with pytest.raises(UnavailableError):
            put(store, b"%d" % number)
    assert files(tmp_path) == []


def test_names_that_could_not_be_synced_are_synced_with_the_next(tmp_path: Path):
    disk = CountingDisk()
    store = opened(tmp_path, disk)
    result_of(store.put([bytes(1_000_000)]))
    disk.fails = True
    with pytest.raises(UnavailableError):
        result_of(store.sync())
    disk.fails = False
    put(store, b"small")
    put(store, b"more")
    assert disk.folder_syncs == 2


def test_a_folder_that_was_taken_away_is_not_written_to_elsewhere(tmp_path: Path):
    store = opened(tmp_path / "objects")
    put(store, b"first")
    (tmp_path / "objects").rename(tmp_path / "away")

    with pytest.raises(UnavailableError):
        put(store, b"second")
    (tmp_path / "away").rename(tmp_path / "objects")
    (second,) = put(store, b"second")
    assert second in result_of(opened(tmp_path / "objects").ids())


def test_a_segment_goes_with_the_last_of_its_objects(tmp_path: Path):
    ids = put(opened(tmp_path), b"delta", b"manifest")
    store = opened(tmp_path)
    assert result_of(store.ids()) == set(ids)

    result_of(store.delete(ids[:1]))
    assert result_of(store.ids()) == set(ids[1:])
    assert len(files(tmp_path)) == 1
    result_of(store.delete(ids[1:]))
    assert files(tmp_path) == []


def test_a_segment_that_is_written_to_stays_until_it_is_full(tmp_path: Path):
    store = opened(tmp_path)
    for number in range(128):
        result_of(store.delete(put(store, b"%d" % number)))
    assert files(tmp_path) == []


def test_the_segment_of_another_process_stays_until_that_has_filled_it(tmp_path: Path):
    theirs, ours = opened(tmp_path, CountingDisk("2")), opened(tmp_path, sweep=False)
    ids = put(theirs, b"first")
    assert result_of(ours.ids()) == set(ids)
    result_of(ours.delete(ids))
    assert len(files(tmp_path)) == 1

    for number in range(127):
        ids = put(theirs, b"%d" % number)
    result_of(ours.delete(result_of(ours.ids())))
    assert files(tmp_path) == []


def test_who_holds_a_folder_deletes_the_segments_of_those_who_held_it_before(tmp_path: Path):
    before = opened(tmp_path / "objects", CountingDisk("2"), sweep=False)
    assert result_of(before.hold(b"before", instead_of=None))
    ids = put(before, b"first")
    ours = opened(tmp_path / "objects", sweep=False)
    assert result_of(ours.hold(b"ours", instead_of=b"before"))

    assert result_of(ours.ids()) == set(ids)
    result_of(ours.delete(ids))
    assert list((tmp_path / "objects").glob("*.segment")) == []


def test_an_object_that_is_put_again_is_there_until_it_is_deleted(tmp_path: Path):
    (one,) = put(opened(tmp_path), b"same")
    store = opened(tmp_path)
    assert result_of(store.ids()) == {one}
    assert put(store, b"same") == [one]
    (other,) = put(store, b"other")
    result_of(store.delete([other]))
    assert result_of(store.get(one)) == b"same"
    result_of(store.delete([one]))
    with pytest.raises(CorruptionError):
        result_of(store.get(one))


def test_a_byte_that_changed_is_told_with_its_place(tmp_path: Path):
    (one,) = put(opened(tmp_path), b"content")
    (path,) = files(tmp_path)
    path.write_bytes(path.read_bytes()[:-1] + b"T")

    with pytest.raises(CorruptionError) as refusal:
        result_of(opened(tmp_path).get(one))
    assert refusal.value.code == "SF5002"
    assert refusal.value.message == (
        f"{path} is damaged: the content at byte 44 is not object {one}"
    )


def test_small_objects_become_files_of_a_live_store(tmp_path: Path):
    store = opened(tmp_path / "objects")
    stored = result_of(store.put([b"content"]))
    for place in (tmp_path / "1.sst", tmp_path / "CURRENT"):
        result_of(store.place_file(stored, place))
        assert place.read_bytes() == b"content"
