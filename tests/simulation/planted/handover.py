"""Planted bugs of planned moves: who stands by, what it opens before, and how a life goes on behind another."""

from tests.simulation.planted.mutant import Mutant, clustered

_PREPARED = "engine/checkpoints/prepared.py"
_PREPARATION = "engine/cluster/preparation.py"
_PLANNING = "engine/cluster/planning.py"
_PREPARED_TEST = "tests/unit/engine/checkpoints/test_prepared.py"

MUTANTS: tuple[Mutant, ...] = (
    clustered(
        "go on from a store as it was when it was prepared",
        _PREPARED,
        "                await apply_deltas(added, ports.checkpoints, *self._live, ports.off_loop)\n",
        "                pass\n",
    ),
    Mutant(
        "bring a prepared store up to other bases",
        (
            (
                "core/checkpoints/catching_up.py",
                "(held.key_groups, held.bases) != (wanted.key_groups, wanted.bases)",
                "held.key_groups != wanted.key_groups",
            ),
        ),
        test=_PREPARED_TEST,
    ),
    Mutant(
        "forget the heads of backlogs that have come since",
        (
            (
                _PREPARED,
                "await apply_deltas(added, ports.checkpoints, *self._live, ports.off_loop)\n",
                "await apply_deltas(added, ports.checkpoints, self._live[0], {}, ports.off_loop)\n",
            ),
        ),
        test=_PREPARED_TEST,
    ),
    Mutant(
        "keep a range that has moved elsewhere meanwhile",
        ((_PREPARATION, "if plan != self._plan or not", "if not"),),
        test="tests/unit/engine/cluster/test_preparation.py",
    ),
    Mutant(
        "have lives begin of workers that sit elsewhere now",
        ((_PREPARATION, "or not self._workplace.keeps(numbers)", ""),),
        test="tests/unit/engine/cluster/test_preparation.py",
    ),
    clustered(
        "number epochs as the life before did",
        _PLANNING,
        "manifest.epoch + 1, is_ours=True",
        "beginning.start.first_epoch, is_ours=True",
    ),
)
