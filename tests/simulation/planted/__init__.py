"""All planted bugs."""

from tests.simulation.planted import (
    checkpoints,
    connectors,
    dispatch,
    kafka,
    moving,
    state,
    storage,
    team,
)
from tests.simulation.planted.mutant import Mutant

MUTANTS: tuple[Mutant, ...] = (
    *checkpoints.MUTANTS,
    *connectors.MUTANTS,
    *dispatch.MUTANTS,
    *kafka.MUTANTS,
    *moving.MUTANTS,
    *state.MUTANTS,
    *storage.MUTANTS,
    *team.MUTANTS,
)
