"""A folder whose disk is not mounted is a store that is away, whenever it comes back."""

from itertools import count
from pathlib import Path

import pytest

from statefun_runtime.adapters.storage.object_folder import ObjectFolder
from statefun_runtime.errors import CorruptionError, UnavailableError
from tests.fakes.off_loop import AT_ONCE, result_of


def test_a_folder_that_comes_back_while_it_is_asked_what_is_wrong_is_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder, away = tmp_path / "objects", tmp_path / "away"
    store = ObjectFolder(folder, AT_ONCE, small_bytes_max=0)
    stored = result_of(store.put([b"content"]))
    folder.rename(away)
    exists, asked = Path.exists, count(1)

    def exists_and_comes_back(path: Path) -> bool:
        was_there = exists(path)
        # Twice it is asked where the object is, then what is wrong.
        if next(asked) == 3:
            away.rename(folder)
        return was_there

    monkeypatch.setattr(Path, "exists", exists_and_comes_back)
    with pytest.raises(UnavailableError):
        result_of(store.get(stored.id))
    assert result_of(store.get(stored.id)) == b"content"


def test_an_object_that_is_not_in_a_folder_that_is_there_is_damage(tmp_path: Path):
    store = ObjectFolder(tmp_path / "objects", AT_ONCE, small_bytes_max=0)
    stored = result_of(store.put([b"content"]))
    (tmp_path / "objects" / stored.id).unlink()
    with pytest.raises(CorruptionError):
        result_of(store.get(stored.id))


def test_a_folder_that_others_share_is_made_by_who_first_holds_it_and_by_nobody_who_finds_it_away(
    tmp_path: Path,
):
    folder, away = tmp_path / "shared" / "objects", tmp_path / "away"

    def opened() -> ObjectFolder:
        return ObjectFolder(folder, AT_ONCE, sweep=False, small_bytes_max=0, may_be_away=True)

    first = opened()
    assert result_of(first.ids()) == set()
    assert result_of(first.hold(b"first", instead_of=None))
    stored = result_of(first.put([b"content"]))
    folder.rename(away)

    with pytest.raises(UnavailableError):
        result_of(opened().get(stored.id))
    with pytest.raises(UnavailableError):
        result_of(opened().put([b"more"]))
    with pytest.raises(UnavailableError):
        result_of(opened().hold(b"second", instead_of=b"first"))
    away.rename(folder)
    assert result_of(opened().get(stored.id)) == b"content"
