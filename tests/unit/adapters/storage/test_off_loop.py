"""What storage does that blocks is done where it is told to be, and never on the loop."""

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest

from statefun_runtime.adapters.storage.commit_log_folder import CommitLogFolder
from statefun_runtime.adapters.storage.object_folder import ObjectFolder
from statefun_runtime.core.checkpoints.commits import Started
from statefun_runtime.core.checkpoints.manifest import StoredObject
from statefun_runtime.core.checkpoints.retention import Savepoint
from tests.fakes.off_loop import result_of

T = TypeVar("T")
Work = Callable[[ObjectFolder, StoredObject, Path], Coroutine[Any, Any, object]]


class Away:
    """An OffLoop that can be closed: then nothing is done that was to be done off the loop."""

    def __init__(self) -> None:
        self.is_closed = False
        self.asked = 0

    async def __call__(self, work: Callable[[], T], /) -> T:
        self.asked += 1
        if self.is_closed:
            raise NotHereError
        return work()


class NotHereError(Exception):
    pass


@pytest.mark.parametrize(
    "work",
    [
        lambda store, one, path: store.put([bytes(1_000_000)]),
        lambda store, one, path: store.put_file(path / "file"),
        lambda store, one, path: store.sync(),
        lambda store, one, path: store.get(one.id),
        lambda store, one, path: anext(store.read(one.id)),
        lambda store, one, path: store.place_file(one, path / "placed"),
        lambda store, one, path: store.ids(),
        lambda store, one, path: store.write_savepoint(
            str(path / "s"), Savepoint(one.id, 1, (one.id,))
        ),
        lambda store, one, path: store.take_in_savepoint(str(path / "savepoint")),
        lambda store, one, path: store.delete([one.id]),
    ],
)
def test_a_folder_of_objects_is_touched_off_the_loop_only(tmp_path: Path, work: Work):
    away = Away()
    store = ObjectFolder(tmp_path / "objects", away)
    one = result_of(store.put([b"content"]))
    result_of(store.sync())
    (tmp_path / "file").write_bytes(b"file")
    result_of(store.write_savepoint(str(tmp_path / "savepoint"), Savepoint(one.id, 1, (one.id,))))
    before = _tree(tmp_path)
    away.is_closed = True

    with pytest.raises(NotHereError):
        result_of(_awaited(work(store, one, tmp_path)))
    assert _tree(tmp_path) == before


def test_a_commit_log_is_touched_off_the_loop_only(tmp_path: Path):
    away = Away()
    log = CommitLogFolder(tmp_path / "log", away)
    started = Started("app", 1, "nonce", "line", 0, None, None, 128)
    result_of(log.append(started))
    before = _tree(tmp_path)
    away.is_closed = True

    for work in (log.read(), log.append(started), log.prune(9)):
        with pytest.raises(NotHereError):
            result_of(work)
    assert _tree(tmp_path) == before


async def _awaited(work: Coroutine[Any, Any, T]) -> T:
    return await work


def _tree(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))
