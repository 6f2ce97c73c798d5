"""Whether a worker does its work, and if not, why: for whoever sends it traffic, or waits for it in a rollout.

An ingress whose topics do not exist yet is as declared; one that has not found out where to begin is not. Later a
worker is ready as long as anything can come in: one cluster that is away is no reason to keep others from a worker.
"""

from collections.abc import Iterator, Mapping
from typing import Protocol

from statefun_runtime.engine.stop import Stop
from statefun_runtime.ports.ingress import Connects

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
        ingresses: Mapping[str, object],
        *,
        interval_s: float,
    ) -> None:
        self._checkpointer = checkpointer
        self._stop = stop
        self._ingresses = ingresses
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
        cut_off = self._cut_off()
        if len(cut_off) == len(self._ingresses):
            reasons += cut_off
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

    def waits(self) -> list[str]:
        """Return what waits though the worker is ready, or would be."""
        cut_off = self._cut_off()
        some = cut_off if len(cut_off) < len(self._ingresses) else []
        return [*some, *self._ingress_waits()]

    def _cut_off(self) -> list[str]:
        return [
            f"ingress '{name}' {why}"
            for name, ingress in self._begun()
            if (why := ingress.why_cut_off()) is not None
        ]

    def _ingress_waits(self) -> Iterator[str]:
        for name, ingress in self._begun():
            for wait in ingress.waits():
                yield f"ingress '{name}' {wait}"

    def _begun(self) -> Iterator[tuple[str, Connects]]:
        for name, ingress in self._ingresses.items():
            if name not in self._waiting and isinstance(ingress, Connects):
                yield name, ingress
