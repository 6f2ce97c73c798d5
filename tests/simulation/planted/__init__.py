"""All planted bugs."""

from tests.simulation.planted import (
    checkpoints,
    cluster,
    connectors,
    deciding,
    dispatch,
    handover,
    kafka,
    moving,
    state,
    storage,
    team,
)
from tests.simulation.planted.mutant import Mutant

MUTANTS: tuple[Mutant, ...] = (
    *checkpoints.MUTANTS,
    *cluster.MUTANTS,
    *connectors.MUTANTS,
    *deciding.MUTANTS,
    *dispatch.MUTANTS,
    *handover.MUTANTS,
    *kafka.MUTANTS,
    *moving.MUTANTS,
    *state.MUTANTS,
    *storage.MUTANTS,
    *team.MUTANTS,
)
