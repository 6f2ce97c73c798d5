"""The planted bugs can be planted: each text that a mutant replaces is there, once."""

from pathlib import Path

import pytest

from tests.simulation.planted import MUTANTS
from tests.simulation.planted.mutant import Mutant
from tests.support.provisions import ROOT


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_what_a_mutant_replaces_is_there_once(mutant: Mutant):
    for name, before, _ in mutant.edits:
        text = (ROOT / "statefun_runtime" / name).read_text()
        assert text.count(before) == 1, name


def test_the_tests_that_catch_mutants_exist():
    named = [mutant.test for mutant in MUTANTS if mutant.test is not None]

    assert [name for name in named if not Path(ROOT / name.partition("::")[0]).exists()] == []
