"""Which checkpoints of a folder are offered."""

import asyncio
from pathlib import Path

import pytest

from statefun_runtime.adapters.storage.commit_log_folder import CommitLogFolder
from statefun_runtime.adapters.storage.object_folder import ObjectFolder
from statefun_runtime.app.inspect import StateFolderView, list_lines
from statefun_runtime.core.checkpoints.commits import Completed, Started
from statefun_runtime.core.checkpoints.delta import MAGIC, encode_rows
from statefun_runtime.core.checkpoints.manifest import (
    Delta,
    KeyGroups,
    Manifest,
    ObjectId,
    Outbox,
    Part,
)
from tests.fakes.off_loop import AT_ONCE, result_of

INGRESS = "io.statefun.playground/ingress"


class Folder:
    """A state folder; checkpoints are added to it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder
        # A file for each, so that what is deleted is gone at once.
        self.objects = ObjectFolder(folder / "objects", AT_ONCE, small_bytes_max=0)
        self._log = CommitLogFolder(folder / "log", AT_ONCE)
        result_of(self._log.append(Started("app", 1, "nonce", "line", 0, None, None, 4)))

    def add(self, epoch: int, *, position: int = 0, parent: ObjectId | None = None) -> Manifest:
        delta = result_of(self.objects.put([MAGIC, encode_rows([(b"\0\0sx", b"%d" % epoch)])]))
        records = result_of(self.objects.put([b"records of %d" % epoch]))
        manifest = Manifest(
            "app",
            epoch,
            1,
            "line",
            0,
            4,
            8,
            {INGRESS: {"log": position}},
            (Part("standalone", KeyGroups(0, 4), (), (Delta(epoch, delta),)),),
            (Outbox("e", epoch, 1, records, is_transactional=True),),
            parent,
        )
        self.last = result_of(self.objects.put([manifest.encode()])).id
        result_of(self.objects.sync())
        result_of(self._log.append(Completed(epoch, 1, "line", self.last)))
        return manifest

    def listed(self) -> list[int]:
        async def lines() -> list[str]:
            return [line async for line in list_lines(StateFolderView(self.path))]

        return [int(line.split()[0]) for line in asyncio.run(lines())[1:]]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_all_that_can_be_started_from_are_listed(folder: Folder):
    for epoch in (1, 2, 3):
        folder.add(epoch, parent=folder.last if epoch > 1 else None)
    (folder.path / "ingress" / "io.statefun.playground.ingress").mkdir(parents=True)

    assert folder.listed() == [1, 2, 3]


def test_one_that_is_only_looked_back_to_is_not_listed(folder: Folder):
    (part,) = folder.add(1).parts
    folder.add(2, parent=folder.last)
    result_of(folder.objects.delete([delta.object.id for delta in part.deltas]))

    assert folder.listed() == [2]


def test_one_that_would_look_back_to_what_is_gone_is_not_listed(folder: Folder):
    first = folder.add(1)
    folder.add(2, parent=folder.last)
    result_of(folder.objects.delete([outbox.object.id for outbox in first.outboxes]))

    assert folder.listed() == []


def test_one_whose_http_records_are_gone_is_not_listed(folder: Folder):
    for epoch in (1, 2, 3):
        folder.add(epoch, position=epoch * 10)
    log = folder.path / "ingress" / "io.statefun.playground.ingress"
    log.mkdir(parents=True)
    for first in (20, 25):
        (log / f"{first:020d}.log").touch()

    assert folder.listed() == [2, 3]
