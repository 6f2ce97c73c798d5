"""How functions are called in some histories: an endpoint that fails for everyone, and one that takes small requests only.

    outage     no message is poison; the endpoint fails for all, once or more, longer than the budget of a call, in any
               way; whoever fails is skipped or made a dead letter, and nobody may be
    crowd      many addresses; some messages are poison in most; large batches are refused; "later" is an answer, too

Drawn apart from the rest: the other seeds keep the histories that they had without.
"""

from dataclasses import dataclass
from random import Random

from statefun_runtime.core.module.specs import OnFailure
from tests.simulation.faults import Fault

_HISTORIES = 5
_CROWD = tuple(f"k{number}" for number in range(12))
FATES = ("slow", "status", "cut", "lost", "garbage", "stale")
_LATER = (*FATES, "later", "later")


@dataclass(frozen=True)
class Calls:
    """What is another way than in other histories; None and 0 leave it as it is."""

    ids: tuple[str, ...] | None = None
    on_failure: OnFailure | None = None
    call_s: float = 0.0
    batch_max: int = 0
    fates: tuple[str, ...] = FATES
    outages: tuple[Fault, ...] = ()
    is_outage: bool = False


def draw_calls(seed: int) -> Calls:
    """Return how functions are called in a history."""
    rng = Random(f"{seed} calls")
    match seed % _HISTORIES:
        case 2:
            return Calls(
                ids=rng.choice((None, _CROWD)),
                on_failure=rng.choice((OnFailure.SKIP, OnFailure.DEAD_LETTER)),
                call_s=rng.choice((0.5, 2.0)),
                outages=_draw_outages(rng, longest_s=rng.choice((3.0, 40.0, 100.0))),
                is_outage=True,
            )
        case 3:
            return Calls(
                ids=_CROWD,
                batch_max=rng.choice((0, 1, 2, 3)),
                fates=_LATER,
                outages=_draw_outages(rng, longest_s=3.0),
            )
    return Calls()


def _draw_outages(rng: Random, *, longest_s: float) -> tuple[Fault, ...]:
    return tuple(
        Fault("outage", rng.uniform(0.0, 5.0), rng.uniform(0.05, longest_s))
        for _ in range(rng.choice((1, 1, 2, 5)))
    )
