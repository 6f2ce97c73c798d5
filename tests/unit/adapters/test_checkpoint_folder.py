"""Checkpoints on disk: damage is found, one worker at a time, old ones go, a crash is remembered."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from statefun_runtime.adapters.checkpoint_folder import CheckpointFolder, StateFolder
from statefun_runtime.core.checkpoint import Manifest
from statefun_runtime.errors import ConfigError, CorruptionError


def manifest(number: int = 1) -> Manifest:
    return Manifest(number, 1_700_000_000_000, 128, 8, {"t/in": {"topic/0": 7}}, 1)


def snapshot(content: bytes = b"state") -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        folder.mkdir()
        (folder / "000001.sst").write_bytes(content)
        (folder / "CURRENT").write_bytes(b"current")

    return write


@pytest.fixture
def checkpoints(tmp_path: Path) -> CheckpointFolder:
    made = CheckpointFolder(tmp_path)
    made.save(manifest(), snapshot(), [("t/out", b"record")])
    return made


def latest(checkpoints: CheckpointFolder) -> Manifest:
    found = checkpoints.latest()
    assert found is not None
    return found


FILES = ("state/000001.sst", "state/CURRENT", "unpublished")


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["gone", "shorter", "longer", "one bit"])
def test_damage_is_found_before_anything_is_used(
    checkpoints: CheckpointFolder, tmp_path: Path, name: str, damage: str
):
    path = tmp_path / "00000001" / name
    content = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        changes = {
            "shorter": content[:-1],
            "longer": content + b"x",
            "one bit": bytes([content[0] ^ 1]) + content[1:],
        }
        path.write_bytes(changes[damage])

    with pytest.raises(CorruptionError) as found:
        checkpoints.restore(latest(checkpoints), tmp_path / "live")

    assert str(found.value) == (
        f"SF5002: {path} of checkpoint 1 is missing or damaged\n"
        f"hint: delete {tmp_path / '00000001'} to start from the checkpoint before it"
    )


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"null",
        b'"text"',
        b"[]",
        b"{}",
        b"\xff",
        b'{"format": 2, "files": []}',
        b'{"format": 1, "files": []}',
        b'{"format": 1, "files": [{}]}',
        b'{"format": 1, "files": 5}',
    ],
)
def test_a_manifest_that_cannot_be_read_is_an_error_and_not_no_checkpoint(
    checkpoints: CheckpointFolder, tmp_path: Path, content: bytes
):
    path = tmp_path / "00000001" / "manifest.json"
    path.write_bytes(content)

    with pytest.raises(CorruptionError) as found:
        checkpoints.latest()

    assert str(found.value).startswith(f"SF5003: {path} cannot be read: ")
    assert found.value.hint == (
        f"delete {tmp_path / '00000001'} to start from the checkpoint before it"
    )


def test_a_folder_without_manifest_is_no_checkpoint(checkpoints: CheckpointFolder, tmp_path: Path):
    (tmp_path / "00000002" / "state").mkdir(parents=True)
    (tmp_path / "00000003.tmp").mkdir()
    (tmp_path / "notes").mkdir()
    (tmp_path / "lost+found").write_text("")

    assert latest(checkpoints).number == 1


def test_the_manifest_names_every_file_with_size_and_hash(
    checkpoints: CheckpointFolder, tmp_path: Path
):
    content = json.loads((tmp_path / "00000001" / "manifest.json").read_text())

    assert content["format"] == 1
    assert [file["name"] for file in content["files"]] == sorted(FILES)
    assert [file["size_bytes"] for file in content["files"]] == [5, 7, 13]
    assert all(len(file["sha256"]) == 64 for file in content["files"])


def test_only_the_newest_are_kept(checkpoints: CheckpointFolder, tmp_path: Path):
    for number in range(2, 7):
        checkpoints.save(manifest(number), snapshot(), [])

    assert sorted(path.name for path in tmp_path.iterdir()) == ["00000004", "00000005", "00000006"]


def test_what_was_left_half_written_is_written_anew(checkpoints: CheckpointFolder, tmp_path: Path):
    left = tmp_path / "00000002.tmp" / "state"
    left.mkdir(parents=True)
    (left / "rubbish").write_text("rubbish")

    checkpoints.save(manifest(2), snapshot(), [])

    checkpoints.restore(latest(checkpoints), tmp_path / "live")
    assert not (tmp_path / "live" / "rubbish").exists()


def test_files_that_never_change_are_linked_and_others_copied(
    checkpoints: CheckpointFolder, tmp_path: Path
):
    checkpoints.restore(latest(checkpoints), tmp_path / "live")

    def is_linked(name: str) -> bool:
        return os.path.samefile(tmp_path / "live" / name, tmp_path / "00000001" / "state" / name)

    assert is_linked("000001.sst")
    assert not is_linked("CURRENT")


# ── the worker's folder ──


def test_a_second_worker_is_kept_out_until_the_first_has_left(tmp_path: Path):
    first = StateFolder(tmp_path / "state")
    with pytest.raises(ConfigError) as refused:
        StateFolder(tmp_path / "state")
    assert str(refused.value) == (
        f"SF1042: the state folder {tmp_path / 'state'} is used by another worker "
        f"(process {os.getpid()})\n"
        "hint: stop that worker, or choose another folder with --state-dir"
    )

    first.close()
    StateFolder(tmp_path / "state").close()


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path):
    (tmp_path / "file").write_text("")

    with pytest.raises(ConfigError) as refused:
        StateFolder(tmp_path / "file" / "state")

    assert str(refused.value).startswith(
        f"SF1041: the state folder {tmp_path / 'file' / 'state'} cannot be used: "
    )
    assert refused.value.hint == "choose another with --state-dir"


def test_a_life_that_did_not_end_cleanly_is_remembered(tmp_path: Path):
    first = StateFolder(tmp_path)
    assert not first.has_crashed
    first.fresh_live_folder()
    first.close()

    second = StateFolder(tmp_path)
    assert second.has_crashed
    second.fresh_live_folder()
    second.ended_cleanly()
    second.close()

    third = StateFolder(tmp_path)
    assert not third.has_crashed
    third.close()


def test_the_live_folder_of_an_earlier_life_is_thrown_away(tmp_path: Path):
    folder = StateFolder(tmp_path)
    live = folder.fresh_live_folder()
    live.mkdir()
    (live / "row").write_text("old")

    assert not folder.fresh_live_folder().exists()
    folder.close()
