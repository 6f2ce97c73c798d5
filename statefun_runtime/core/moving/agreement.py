"""Whether two topics say the same to each key: the same values, in the same order.

    same      both say the same                       one of them goes on: so far the same, if that is allowed
    reordered the same values in another order        differs: one has values that the other has not

What is compared are digests of values; both sides are read as often as it takes, so that a key of any number of values
takes little memory.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from itertools import islice
from typing import NamedTuple

# So many different values are counted at once; a key with more is read several times.
_COUNTED_MAX = 200_000
# At so many places where the other side may have begun it is looked whether it has.
_BEGINNINGS_MAX = 100


class Spot(NamedTuple):
    """Where a record is: topic partition and offset."""

    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.partition}/{self.offset}"


class Said(NamedTuple):
    """A value that a key was given, by its digest, and where."""

    digest: bytes
    spot: Spot


# Reads what one topic says to a key from the beginning, as often as it is called.
Side = Callable[[], Iterator[Said]]


class Verdict(Enum):
    """What two topics are to each other for one key."""

    SAME = "same"
    OPEN = "goes on in one of them"
    REORDERED = "other order"
    DIFFERS = "differs"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is to be said of a key: `missing` values are in the first topic alone, `additional` ones in the second.

    `first` and `second` are where the topics first differ; None where a topic says nothing any more.
    """

    verdict: Verdict
    missing: int = 0
    additional: int = 0
    first: Spot | None = None
    second: Spot | None = None


@dataclass(slots=True)
class Tolerance:
    """What is no difference: that a topic goes on behind the other's end, or begins before the other."""

    end: bool = False
    start: bool = False


@dataclass(slots=True)
class Tally:
    """What all keys come to; of those that differ the first `kept_max` are kept."""

    kept_max: int
    keys: int = 0
    verdicts: Counter[Verdict] = field(default_factory=Counter)
    missing: int = 0
    additional: int = 0
    kept: list[tuple[str, Judgement]] = field(default_factory=list)
    earliest: tuple[str, Judgement] | None = None

    def add(self, key: str, judgement: Judgement) -> None:
        """Take a key into account."""
        self.keys += 1
        self.verdicts[judgement.verdict] += 1
        self.missing += judgement.missing
        self.additional += judgement.additional
        if judgement.verdict in (Verdict.SAME, Verdict.OPEN):
            return
        if len(self.kept) < self.kept_max:
            self.kept.append((key, judgement))
        if self.earliest is None or _where(judgement) < _where(self.earliest[1]):
            self.earliest = key, judgement

    @property
    def is_same(self) -> bool:
        """Whether nothing differs."""
        return not (self.verdicts[Verdict.REORDERED] or self.verdicts[Verdict.DIFFERS])


def _where(judgement: Judgement) -> tuple[int, int]:
    """Sort by offset, for offsets of several topic partitions grow side by side."""
    spot = judgement.first or judgement.second
    assert spot is not None, "what differs, differs somewhere"
    return spot.offset, spot.partition


def judge(first: Side, second: Side, tolerance: Tolerance, *, is_ordered: bool = True) -> Judgement:
    """Compare what two topics say to one key; without `is_ordered` the order is nobody's."""
    at = _differ_at(first(), second(), tolerance)
    if at is None:
        return Judgement(Verdict.SAME)
    if at == _IS_OPEN:
        return Judgement(Verdict.OPEN)
    if tolerance.start and is_ordered and _begins_later(first, second, tolerance):
        return Judgement(Verdict.OPEN)
    missing, additional = _count(first, second)
    spots = _spot(first, at), _spot(second, at)
    if missing or additional:
        if not is_ordered and tolerance.end and not (missing and additional):
            return Judgement(Verdict.OPEN)
        return Judgement(Verdict.DIFFERS, missing, additional, *spots)
    return Judgement(Verdict.REORDERED if is_ordered else Verdict.SAME, 0, 0, *spots)


_IS_OPEN = -1


def _differ_at(first: Iterator[Said], second: Iterator[Said], tolerance: Tolerance) -> int | None:
    """Return how many values are the same before the first that is not; _IS_OPEN if it may be missing yet."""
    at = 0
    while True:
        one, other = next(first, None), next(second, None)
        if one is None and other is None:
            return None
        if one is None or other is None:
            return _IS_OPEN if tolerance.end else at
        if one.digest != other.digest:
            return at
        at += 1


def _begins_later(first: Side, second: Side, tolerance: Tolerance) -> bool:
    """Whether one of them begins in the midst of the other, and says the same from there on."""
    for long, short in ((first, second), (second, first)):
        opening = next(short(), None)
        if opening is None:
            return True
        places = (at for at, said in enumerate(long()) if said.digest == opening.digest)
        for at in islice(places, _BEGINNINGS_MAX):
            if _differ_at(islice(long(), at, None), short(), tolerance) in (None, _IS_OPEN):
                return True
    return False


def _count(first: Side, second: Side) -> tuple[int, int]:
    """Return how many values are on one side only, each as often as it is there."""
    values = max(sum(1 for _ in first()), sum(1 for _ in second()))
    rounds = values // _COUNTED_MAX + 1
    missing = additional = 0
    for number in range(rounds):
        surplus: Counter[bytes] = Counter()
        for side, one in ((first, 1), (second, -1)):
            for said in side():
                if int.from_bytes(said.digest[:4], "big") % rounds == number:
                    surplus[said.digest] += one
        missing += sum(count for count in surplus.values() if count > 0)
        additional -= sum(count for count in surplus.values() if count < 0)
    return missing, additional


def _spot(side: Side, at: int) -> Spot | None:
    said = next(islice(side(), at, None), None)
    return None if said is None else said.spot
