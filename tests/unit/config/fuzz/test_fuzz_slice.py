"""A slice of `make fuzz`, and that it would notice what it looks for."""

import pytest

from statefun_runtime.config import LoadedModule
from tests.fuzz import module_files
from tests.fuzz.module_files import FILES, damaged, play


@pytest.mark.parametrize("first", range(0, 500, 50))
def test_damaged_files_are_refused_with_a_position_or_read(first: int):
    for number in range(first, first + 50):
        outcome = play(damaged(7, number))
        assert outcome.defect is None, f"run {number} of seed 7: {outcome.defect}"


def test_the_files_are_good_before_they_are_damaged():
    assert len(FILES) == 6
    for content in FILES:
        outcome = play(content)
        assert (outcome.is_refused, outcome.defect) == (False, None)


def test_a_run_is_the_same_each_time_it_is_played():
    assert damaged(7, 1) == damaged(7, 1)
    assert damaged(7, 1) != damaged(7, 2)


def test_a_traceback_and_a_slow_load_are_noticed(monkeypatch: pytest.MonkeyPatch):
    def crash(*_: object, **__: object) -> LoadedModule:
        raise KeyError("spec")

    monkeypatch.setattr(module_files, "LIMIT_S", 0.0)
    assert "it took " in str(play(FILES[0]).defect)
    monkeypatch.setattr(module_files, "parse_module", crash)
    assert "KeyError" in str(play(FILES[0]).defect)
