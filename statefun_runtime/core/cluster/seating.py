"""Which process of a cluster runs the worker of which slot."""

from collections import Counter
from collections.abc import Mapping

Seating = dict[int, str]


def seat(before: Mapping[int, str], offers: Mapping[str, int], slots_max: int) -> Seating:
    """Return who has which slot when processes offer so many seats each; who had one keeps it, new ones take the lowest."""
    taken: Counter[str] = Counter()
    seating: Seating = {}
    for slot, process in sorted(before.items()):
        if taken[process] < offers.get(process, 0):
            seating[slot] = process
            taken[process] += 1
    free = iter([slot for slot in range(slots_max) if slot not in seating])
    for process, seats in offers.items():
        for _, slot in zip(range(seats - taken[process]), free, strict=False):
            seating[slot] = process
    return dict(sorted(seating.items()))
