"""What can befall a state folder: a full disk, a damaged file, a changed module, another number of partitions."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from statefun_runtime.adapters.storage.disk import MACHINE_DISK
from statefun_runtime.adapters.storage.object_folder import ObjectFolder
from statefun_runtime.adapters.storage.segments import Segments
from statefun_runtime.core.checkpoints.manifest import ObjectId
from tests.chaos.http_rig import MODULE, ask, running_http
from tests.chaos.rig import IS_FULL, Rig, Tell, running
from tests.chaos.small_disk import SmallDisk
from tests.fakes.off_loop import AT_ONCE, result_of
from tests.support.kafka.broker import KafkaBroker
from tests.support.processes import wait_until
from tests.support.provisions import ROOT
from tests.support.sockets import free_port
from tests.support.worker import Worker

pytestmark = [pytest.mark.integration, pytest.mark.kafka]


def test_a_second_worker_on_the_same_folder_is_refused(tmp_path: Path):
    module = MODULE.format(url="http://127.0.0.1:1", ingress=free_port(), egress=free_port())
    first, second = Worker(module, tmp_path), Worker(module, tmp_path)
    try:
        first.start()
        assert _refusal(second) == 1
        owner = f"is used by another worker (process {first.pid})"
        assert f"SF3042: the state folder {second.state_dir} {owner}" in second.output()
        first.stop_cleanly()
        second.start()
    finally:
        first.close()
        second.close()


# ── a full disk ──


def test_a_full_disk_publishes_nothing_until_there_is_space_again(
    broker: KafkaBroker, small_disk: SmallDisk, tell: Tell
):
    with running(broker, small_disk.folder, seed=31, python=small_disk.python) as rig:
        for _ in range(5 if IS_FULL else 1):
            rig.wait_for_more()
            small_disk.fill()
            _wait_for_silence(rig.worker)
            if IS_FULL:
                rig.kill_and_start()
                wait_until(lambda: rig.worker.process.exit_status is not None, "the refusal")
                assert rig.worker.process.exit_status == 1
                assert "No space left on device" in rig.worker.output()
                small_disk.free()
                rig.worker.start()
            else:
                small_disk.free()
            rig.wait_for_more()
        tell(rig.check())


def test_a_disk_that_stays_full_under_the_live_state_costs_nothing_but_time(
    broker: KafkaBroker, small_disk: SmallDisk, tell: Tell
):
    python = small_disk.folder / "hasty-python"
    python.write_text(
        f'#!/bin/sh\nshift 2\nexec {small_disk.python} -m tests.chaos.hasty_worker "$@"\n'
    )
    python.chmod(0o755)
    with running(broker, small_disk.folder, seed=36, python=python, has_fresh_keys=True) as rig:
        rig.wait_for_more(1000)
        small_disk.fill()
        rig.worker.process.wait_for_line("the live state is rebuilt from the last checkpoint")
        # Cold addresses and warm ones go on being called, for as long as what is unsaved has room.
        time.sleep(60 if IS_FULL else 2)
        assert rig.worker.process.exit_status is None, rig.worker.output()[-3000:]
        small_disk.free()
        rig.worker.process.wait_for_line("the live state is whole again after")
        rig.wait_for_more()
        tell(rig.check())
        assert rig.kills == 0
        assert "Traceback" not in rig.worker.output()


def _wait_for_silence(worker: Worker) -> None:
    """Return when nothing left while checkpoints failed; what was complete before may still be leaving at first."""

    def published() -> float:
        return worker.metrics().total("statefun_egress_records_total")

    def is_silent() -> bool:
        before = published()
        _wait_for_aborted(worker, 3)
        return published() == before

    wait_until(is_silent, "three failed checkpoints in a row, and nothing published meanwhile")


def _wait_for_aborted(worker: Worker, count: int) -> None:
    def aborted() -> float:
        return worker.metrics().total("statefun_checkpoints_aborted_total")

    wanted = aborted() + count
    wait_until(lambda: aborted() >= wanted, f"{count} failed checkpoints")


# ── a damaged file ──


def test_a_damaged_file_is_named_and_an_older_checkpoint_can_be_taken(
    broker: KafkaBroker, tmp_path: Path
):
    with running(broker, tmp_path, seed=32) as rig:
        rig.wait_for_more(500)
        rig.settle()
        rig.worker.stop_cleanly()
        older, damaged = _damage_the_newest(rig.worker.state_dir)

        assert _refusal(rig.worker) == 1
        assert f"SF5002: {damaged} is damaged" in rig.worker.output()
        said = _checkpoints("verify", rig.worker.state_dir)
        assert damaged.name in said
        assert f"checkpoint {older}: good" in said

        rig.worker.arguments += ["--from-checkpoint", str(older)]
        rig.worker.start()
        assert "a new lineage begins" in rig.worker.output()
        rig.feed.once_more()
        # The ingress, too, went on from the older checkpoint: every count is right; what came after it comes again.
        rig.check(may_repeat=True)


def _damage_the_newest(state_dir: Path) -> tuple[int, Path]:
    """Change a byte of what only the newest checkpoint needs; return the epoch before it, and the file it is in."""
    entries = [json.loads(path.read_bytes()) for path in sorted((state_dir / "log").iterdir())]
    complete = [entry for entry in entries if entry["kind"] == "completed"]
    objects = ObjectFolder(state_dir / "objects", AT_ONCE, sweep=False)
    ids = result_of(objects.ids())
    there = [entry for entry in complete if entry["manifest"] in ids]
    needs = [(entry["epoch"], _named(objects, entry["manifest"])) for entry in there]
    newest = needs[-1][1]
    older, kept = next((epoch, names) for epoch, names in reversed(needs) if newest - names)
    only = ObjectId(min((newest - kept) & ids))
    place = Segments(state_dir / "objects", MACHINE_DISK).find(only)
    path = state_dir / "objects" / only if place is None else place.path
    begin, size = (0, path.stat().st_size) if place is None else (place.begin, place.size_bytes)
    content = bytearray(path.read_bytes())
    content[begin + size // 2] ^= 1
    path.write_bytes(content)
    return older, path


def _named(objects: ObjectFolder, manifest: ObjectId) -> set[str]:
    """Return all that looks like an object's name in a manifest but older manifests."""
    content = json.loads(result_of(objects.get(manifest)))
    content.pop("pending_parent", None)
    return set(_texts(content))


def _texts(content: object) -> list[str]:
    match content:
        case str():
            return [content] if len(content) == 64 else []
        case dict():
            return [text for value in content.values() for text in _texts(value)]
        case list():
            return [text for value in content for text in _texts(value)]
    return []


def _refusal(worker: Worker) -> int:
    worker.start(is_ready_awaited=False)
    wait_until(lambda: worker.process.exit_status is not None, "the refusal")
    assert worker.process.exit_status is not None
    return worker.process.exit_status


def _checkpoints(command: str, state_dir: Path) -> str:
    program = [sys.executable, "-m", "statefun_runtime.cli", "checkpoints", command]
    done = subprocess.run(
        [*program, "--state-dir", state_dir], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


# ── a changed module ──


@pytest.mark.usefixtures("only_full")
def test_an_egress_with_records_that_have_not_left_cannot_go(mortal: KafkaBroker, tmp_path: Path):
    with running(mortal, tmp_path, seed=33) as rig:
        rig.worker.arguments += ["--stop-timeout", "1s"]
        rig.wait_for_more()
        rig.kill_and_start()
        rig.wait_for_more()
        mortal.kill()
        _wait_for_waiting(rig)
        rig.worker.stop_cleanly()
        module = rig.worker.module_file.read_text()
        rig.worker.module_file.write_text(
            module.partition("---\nkind: io.statefun.kafka.v1/egress")[0]
        )

        assert _refusal(rig.worker) == 2
        assert re.search(
            r"SF1047: egress 'demo.io/out' is not in the module any more, but has \d+ records that may not have left",
            rig.worker.output(),
        )

        rig.worker.module_file.write_text(module)
        rig.worker.start(is_ready_awaited=False)
        mortal.start()
        rig.check()


def _wait_for_waiting(rig: Rig) -> None:
    def waiting() -> float:
        return rig.worker.metrics().total("statefun_egress_waiting")

    wait_until(waiting, "records that cannot leave")


def test_an_endpoint_that_goes_and_comes_back_finds_its_state(tmp_path: Path):
    with running_http(tmp_path, seed=34) as rig:
        rig.wait_for_more()
        rig.stop()
        rig.worker.stop_cleanly()
        module = rig.worker.module_file.read_text()
        rig.worker.module_file.write_text(module.replace("chaos/*", "chaos/late"))
        rig.worker.start()
        rig.wait_until_listening()
        answer = ask("PUT", f"{rig.ingress_url}/chaos/counter/c0-0", b"lost")
        assert answer is not None
        assert answer[0] == 404
        rig.worker.stop_cleanly()
        rig.worker.module_file.write_text(module)
        rig.worker.start()
        rig.start()
        rig.wait_for_more()
        rig.check()


@pytest.mark.usefixtures("only_full")
def test_another_number_of_partitions_at_each_start(
    broker: KafkaBroker, tmp_path: Path, tell: Tell
):
    with running(broker, tmp_path, seed=35) as rig:
        for number in (1, 3, 16, 128, 2):
            rig.wait_for_more()
            rig.worker.stop_cleanly()
            rig.worker.arguments += ["--partitions", str(number)]
            rig.worker.start()
            rig.wait_for_more()
            rig.kill_and_start()
        tell(rig.check())
