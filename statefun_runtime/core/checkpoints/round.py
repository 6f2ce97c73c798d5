"""One checkpoint among all who take part in it, from its trigger to its end.

    TRIGGERED ──every participant has cut──▶ ALIGNED ──every snapshot is durable──▶ ACKNOWLEDGED ──logged──▶ COMPLETE
        │                                      │                                        │
        └────────── a snapshot fails ──────────┴───────── it is not in the log ─────────┴──▶ ABORTED

Invariants: a checkpoint is complete only if every participant has cut and its snapshot is durable; whether it is in
the log decides alone, and is known before it ends: what may have been logged is neither aborted nor merged. What comes
too late, for a checkpoint that has ended, changes nothing.
"""

from collections.abc import Sequence
from enum import Enum
from typing import Generic, TypeVar

P = TypeVar("P")


class Station(Enum):
    """How far a checkpoint has come."""

    TRIGGERED = "triggered"
    ALIGNED = "aligned"
    ACKNOWLEDGED = "acknowledged"
    COMPLETE = "complete"
    ABORTED = "aborted"


LEGAL_MOVES: dict[Station, tuple[Station, ...]] = {
    Station.TRIGGERED: (Station.ALIGNED, Station.ABORTED),
    Station.ALIGNED: (Station.ACKNOWLEDGED, Station.ABORTED),
    Station.ACKNOWLEDGED: (Station.COMPLETE, Station.ABORTED),
    Station.COMPLETE: (),
    Station.ABORTED: (),
}


class Round(Generic[P]):
    """The checkpoint of an epoch; `participants` are named in the order in which their parts are to be listed."""

    def __init__(self, epoch: int, participants: Sequence[str]) -> None:
        assert participants, "nobody takes part in the checkpoint"
        assert len(set(participants)) == len(participants), "two participants have one name"
        self.epoch = epoch
        self.station = Station.TRIGGERED
        self._participants = tuple(participants)
        self._has_cut = dict.fromkeys(participants, False)
        self._parts: dict[str, P] = {}

    @property
    def has_ended(self) -> bool:
        """Whether nothing can happen to it any more."""
        return not LEGAL_MOVES[self.station]

    @property
    def parts(self) -> tuple[P, ...]:
        """What the participants have acknowledged, in their order; all of it."""
        assert self.station in (Station.ACKNOWLEDGED, Station.COMPLETE)
        return tuple(self._parts[name] for name in self._participants)

    def cut(self, participant: str) -> Station:
        """A participant has cut."""
        assert not self._has_cut[participant], f"{participant} has cut epoch {self.epoch} twice"
        self._has_cut[participant] = True
        if self.station is Station.TRIGGERED and all(self._has_cut.values()):
            self._move(Station.ALIGNED)
        return self.station

    def acknowledge(self, participant: str, part: P) -> Station:
        """The snapshot of a participant is durable."""
        assert self._has_cut[participant], f"{participant} has not cut epoch {self.epoch}"
        assert participant not in self._parts, f"{participant} has acknowledged twice"
        self._parts[participant] = part
        if self.station is Station.ALIGNED and len(self._parts) == len(self._participants):
            self._move(Station.ACKNOWLEDGED)
        return self.station

    def fail(self, participant: str) -> Station:
        """There is no snapshot of a participant, and there will be none."""
        assert participant not in self._parts, f"{participant} has acknowledged already"
        if not self.has_ended:
            self._move(Station.ABORTED)
        return self.station

    def decide(self, *, is_logged: bool) -> Station:
        """The log was asked, and it is known for good whether it has the checkpoint."""
        self._move(Station.COMPLETE if is_logged else Station.ABORTED)
        return self.station

    def _move(self, to: Station) -> None:
        assert to in LEGAL_MOVES[self.station], f"epoch {self.epoch}: {self.station} to {to}"
        self.station = to
