"""A store that is made before anybody goes on from it holds, at each checkpoint, what one that is opened then would."""

from dataclasses import replace
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from statefun_runtime.core.checkpoints.delta import MAGIC, encode_rows
from statefun_runtime.core.checkpoints.manifest import Base, BaseFile, Delta, KeyGroups, Part
from statefun_runtime.engine.checkpoints.prepared import PreparedStore
from statefun_runtime.errors import UnavailableError
from tests.fakes.checkpoint_store import MemoryObjects
from tests.fakes.off_loop import AT_ONCE, result_of
from tests.fakes.state_store import DictStore

GROUPS = KeyGroups(0, 1)
HEAD, ROW = b"\0\0bh", b"\0\0sa"


class Place:
    """Objects, and folders for live stores of which each is known."""

    def __init__(self, folder: Path) -> None:
        self.objects = MemoryObjects()
        self.opened: list[DictStore] = []
        self._folder, self._numbers = folder, count()
        self.ports: Any = SimpleNamespace(
            checkpoints=self.objects,
            open_store=self._open,
            scratch=self._scratch,
            discard=lambda _: None,
            off_loop=AT_ONCE,
        )

    def _scratch(self) -> Path:
        return self._folder / str(next(self._numbers))

    def _open(self, folder: Path) -> DictStore:
        self.opened.append(DictStore(folder))
        return self.opened[-1]

    def base(self, epoch: int, *rows: tuple[bytes, bytes]) -> Base:
        store, folder = DictStore(), self._scratch()
        store.write(rows)
        store.snapshot(folder)
        files = [
            BaseFile(path.name, result_of(self.objects.put_file(path))) for path in folder.iterdir()
        ]
        return Base(epoch, GROUPS, tuple(files))

    def delta(self, epoch: int, *rows: tuple[bytes, bytes | None]) -> Delta:
        return Delta(epoch, result_of(self.objects.put([MAGIC, encode_rows(rows)])))


def reached(place: Place, *parts: Part) -> tuple[dict[bytes, bytes], dict[bytes, bytes]]:
    """Return rows and heads of a store that has reached one part after the other."""
    store = PreparedStore(place.ports)
    for part in parts[:-1]:
        result_of(store.reach(part))
    live, heads = result_of(store.take(parts[-1]))
    return dict(live.scan(b"")), heads


def test_what_has_come_since_is_applied_to_what_is_open(tmp_path: Path):
    place = Place(tmp_path)
    first = Part("one", GROUPS, (place.base(1, (ROW, b"1")),), (place.delta(2, (HEAD, b"h")),))
    newer = place.delta(3, (ROW, b"3"), (b"\0\0bi", b"i"))
    later = replace(first, deltas=(*first.deltas, newer))

    assert reached(place, first, later) == ({ROW: b"3"}, {HEAD: b"h", b"\0\0bi": b"i"})
    assert len(place.opened) == 1


def test_a_store_of_other_bases_is_opened_anew(tmp_path: Path):
    place = Place(tmp_path)
    first = Part("one", GROUPS, (place.base(1, (ROW, b"1"), (b"\0\0sb", b"1")),), ())
    later = Part("one", GROUPS, (place.base(3, (ROW, b"3")),), ())

    assert reached(place, first, later) == ({ROW: b"3"}, {})
    assert len(place.opened) == 2
    assert place.opened[0].is_closed


@pytest.mark.parametrize("is_shorter", [True, False])
def test_a_store_that_knows_more_or_others_is_opened_anew(tmp_path: Path, is_shorter: bool):
    place = Place(tmp_path)
    first = Part("one", GROUPS, (), (place.delta(1, (ROW, b"1")), place.delta(2, (ROW, b"2"))))
    others = () if is_shorter else (place.delta(2, (ROW, b"other")),)
    later = replace(first, deltas=(first.deltas[0], *others))

    assert reached(place, first, later) == ({ROW: b"1" if is_shorter else b"other"}, {})


def test_a_store_that_could_not_be_brought_up_is_opened_anew(tmp_path: Path):
    place = Place(tmp_path)
    first = Part("one", GROUPS, (), (place.delta(1, (ROW, b"1")),))
    later = replace(first, deltas=(*first.deltas, place.delta(2, (ROW, b"2"))))
    store = PreparedStore(place.ports)
    result_of(store.reach(first))
    place.opened[0].is_broken = True

    with pytest.raises(UnavailableError):
        result_of(store.reach(later))

    live, _ = result_of(store.take(later))
    assert dict(live.scan(b"")) == {ROW: b"2"}


def test_an_application_that_has_no_checkpoint_begins_with_an_empty_store(tmp_path: Path):
    place = Place(tmp_path)

    live, heads = result_of(PreparedStore(place.ports).take(None))

    assert (dict(live.scan(b"")), heads) == ({}, {})
