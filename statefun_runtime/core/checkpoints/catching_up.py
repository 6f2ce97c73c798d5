"""How a store that holds one checkpoint is brought up to a later one."""

from collections.abc import Sequence

from statefun_runtime.core.checkpoints.manifest import Delta, Part


def lacking(held: Part, wanted: Part) -> Sequence[Delta] | None:
    """Return the deltas that a store lacks which holds an earlier part; None if they do not make it the one that is wanted.

    New ones are behind all that were there: their epochs are later, and deltas stand in the order of epochs.
    """
    count = len(held.deltas)
    if (held.key_groups, held.bases) != (wanted.key_groups, wanted.bases):
        return None
    return wanted.deltas[count:] if held.deltas == wanted.deltas[:count] else None
