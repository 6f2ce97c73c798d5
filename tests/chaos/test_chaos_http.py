"""An application with no Kafka at all is killed, its disk fills up, its clock is set: each PUT that got 200 has one effect."""

import sys
from pathlib import Path

import pytest

from tests.chaos.http_rig import running_http
from tests.chaos.rig import IS_FULL, Tell
from tests.chaos.small_disk import SmallDisk
from tests.support.processes import wait_until

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("interval", ["50ms", "1s"] if IS_FULL else ["50ms"])
def test_puts_with_a_key_and_reads_by_cursor_across_kills(
    tmp_path: Path, interval: str, tell: Tell
):
    with running_http(tmp_path, seed=20 + len(interval), interval=interval) as rig:
        rig.wait_for_more()
        for _ in range(20 if IS_FULL else 2):
            rig.pause_at_random(1.5)
            rig.kill_and_start()
        tell(rig.check())


def test_a_full_disk_refuses_puts_and_loses_none(small_disk: SmallDisk, tell: Tell):
    with running_http(small_disk.folder, seed=23, python=small_disk.python) as rig:
        for _ in range(5 if IS_FULL else 1):
            rig.wait_for_more()
            small_disk.fill()
            wait_until(
                lambda: rig.worker.metrics().total("statefun_ingress_skipped_total", reason="disk"),
                "a refused PUT",
            )
            small_disk.free()
            rig.wait_for_more()
        if IS_FULL:
            rig.kill_and_start()
        tell(rig.check())


def test_a_wall_clock_that_is_set_back_and_forth_loses_and_doubles_nothing(
    tmp_path: Path, tell: Tell
):
    offset = tmp_path / "offset"
    _set_clock(offset, hours=0)
    with running_http(tmp_path, seed=24, python=_skewed(tmp_path, offset)) as rig:
        for hours in (6, -6, 0, -12, 3, 0) if IS_FULL else (6, -6):
            rig.wait_for_more()
            _set_clock(offset, hours=hours)
            rig.wait_for_more()
            rig.kill_and_start()
        tell(rig.check())


def _set_clock(offset: Path, *, hours: int) -> None:
    """Replace the file at once: the worker reads it at any moment."""
    new = offset.with_suffix(".new")
    new.write_text(str(hours * 3600))
    new.replace(offset)


def _skewed(folder: Path, offset: Path) -> Path:
    """Return what is run in place of Python: a worker whose clock is off by what is in a file."""
    program = folder / "skewed"
    # The first two arguments are `-m statefun_runtime.cli`.
    program.write_text(
        f'#!/bin/sh\nshift 2\nexec {sys.executable} -m tests.chaos.skewed_worker {offset} "$@"\n'
    )
    program.chmod(0o755)
    return program
