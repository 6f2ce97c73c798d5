"""Whether a worker does its work, and if not, why: for whoever sends it traffic, or waits for it in a rollout.

An ingress whose topics do not exist yet is as declared; one that has not found out where to begin is not.
"""

from collections.abc import Collection
from typing import Protocol

from statefun_runtime.engine.stop import Stop

CHECKPOINT_AGE_MAX_S = 60.0
_INTERVALS = 5


class Saving(Protocol):
    """What a checkpointer tells: why the last checkpoint failed, and for how long something is in none."""

    trouble: str

    def age_s(self) -> float:
        """Return seconds."""
        ...


class Readiness:
    """Knows what a worker is waiting for; `begun` is told by the worker as its ingresses begin."""

    def __init__(
        self,
        checkpointer: Saving,
        stop: Stop,
        ingresses: Collection[str],
        *,
        interval_s: float,
    ) -> None:
        self._checkpointer = checkpointer
        self._stop = stop
        self._waiting = dict.fromkeys(ingresses)
        self._age_max_s = max(CHECKPOINT_AGE_MAX_S, _INTERVALS * interval_s)
        self._is_running = False

    def running(self) -> None:
        """The past is restored, and everything runs."""
        self._is_running = True

    def begun(self, ingress: str) -> None:
        """An ingress reads, from a position that is in a checkpoint."""
        self._waiting.pop(ingress, None)

    def reasons(self) -> list[str]:
        """Return what stands against being ready; nothing if it is."""
        if self._stop.is_asked:
            return ["the worker is stopping"]
        if not self._is_running:
            return ["the worker is starting"]
        reasons = [
            f"ingress '{ingress}' does not read yet: it waits for what it reads from"
            for ingress in self._waiting
        ]
        checkpointer = self._checkpointer
        if checkpointer.trouble:
            reasons.append(f"checkpoints cannot be written: {checkpointer.trouble}")
        age_s = checkpointer.age_s()
        if age_s > self._age_max_s:
            reasons.append(
                f"what was done in the last {age_s:.0f} s is in no complete checkpoint; "
                f"more than {self._age_max_s:g} s is too long"
            )
        return reasons
