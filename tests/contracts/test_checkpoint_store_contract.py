"""The CheckpointStore port: a folder, and the memory of the tests."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from statefun_runtime.adapters.checkpoint_folder import CheckpointFolder
from statefun_runtime.core.checkpoint import Manifest
from statefun_runtime.ports.checkpoint_store import CheckpointStore
from tests.fakes.checkpoint_store import MemoryCheckpoints


@pytest.fixture(params=["memory", "folder"])
def checkpoints(request: pytest.FixtureRequest, tmp_path: Path) -> CheckpointStore:
    return MemoryCheckpoints() if request.param == "memory" else CheckpointFolder(tmp_path / "c")


def manifest(number: int) -> Manifest:
    return Manifest(
        number=number,
        created_ms=1_700_000_000_000 + number,
        key_group_count=128,
        partition_count=8,
        positions={"t/in": {"topic/0": 41 + number}, "t/none": {}},
        unpublished_count=0,
    )


def snapshot(content: bytes) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        assert not folder.exists()
        folder.mkdir()
        (folder / "000001.sst").write_bytes(content)
        (folder / "CURRENT").write_bytes(b"current")

    return write


def test_before_the_first_checkpoint_there_is_none(checkpoints: CheckpointStore):
    assert checkpoints.latest() is None


def test_a_checkpoint_is_found_and_restored_as_it_was_saved(
    checkpoints: CheckpointStore, tmp_path: Path
):
    unpublished = [("t/out", b"first"), ("t/other", b""), ("t/out", b"\x00" * 300)]
    checkpoints.save(manifest(1), snapshot(b"state"), unpublished)

    found = checkpoints.latest()
    assert found is not None
    assert replace(found, files=()) == manifest(1)
    assert list(checkpoints.restore(found, tmp_path / "live")) == unpublished
    assert (tmp_path / "live" / "000001.sst").read_bytes() == b"state"
    assert (tmp_path / "live" / "CURRENT").read_bytes() == b"current"


def test_the_newest_is_the_latest_also_past_ten(checkpoints: CheckpointStore, tmp_path: Path):
    for number in range(1, 13):
        checkpoints.save(manifest(number), snapshot(b"%d" % number), [])

    latest = checkpoints.latest()
    assert latest is not None
    assert latest.number == 12
    checkpoints.restore(latest, tmp_path / "live")
    assert (tmp_path / "live" / "000001.sst").read_bytes() == b"12"


def test_a_number_is_not_written_twice(checkpoints: CheckpointStore):
    checkpoints.save(manifest(1), snapshot(b"state"), [])

    with pytest.raises(AssertionError):
        checkpoints.save(manifest(1), snapshot(b"other"), [])


def test_a_checkpoint_whose_snapshot_fails_is_not_there(
    checkpoints: CheckpointStore, tmp_path: Path
):
    checkpoints.save(manifest(1), snapshot(b"state"), [])

    def fails(folder: Path) -> None:
        folder.mkdir()
        (folder / "half").write_bytes(b"half")
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space"):
        checkpoints.save(manifest(2), fails, [])

    latest = checkpoints.latest()
    assert latest is not None
    assert latest.number == 1
    checkpoints.save(manifest(2), snapshot(b"second"), [])
    again = checkpoints.latest()
    assert again is not None
    checkpoints.restore(again, tmp_path / "live")
    assert not (tmp_path / "live" / "half").exists()


def test_what_was_restored_can_be_changed_without_touching_the_checkpoint(
    checkpoints: CheckpointStore, tmp_path: Path
):
    checkpoints.save(manifest(1), snapshot(b"state"), [])
    latest = checkpoints.latest()
    assert latest is not None
    checkpoints.restore(latest, tmp_path / "live")
    # A store replaces its .sst files, and writes into the others.
    (tmp_path / "live" / "000001.sst").unlink()
    (tmp_path / "live" / "CURRENT").write_bytes(b"changed")

    checkpoints.restore(latest, tmp_path / "again")

    assert (tmp_path / "again" / "CURRENT").read_bytes() == b"current"
    assert (tmp_path / "again" / "000001.sst").read_bytes() == b"state"
