"""Who of a cluster's processes is there, and who leads: judged by one's own heartbeats.

    beat ─▶ everybody's hear it, one's own too ─▶ who was not heard for so many of one's own beats is silent
                                                  └─ nobody who leads was heard ─▶ it is time to claim the lead

Time is counted in own heartbeats that came back: while the brokers are away none comes, and nobody is judged. Who leads is
whoever has the highest term; that two believe it for a moment is harmless, since only one of them can write.
"""

import json
from dataclasses import asdict, dataclass, fields
from typing import Any

BEAT_S = 0.3
SILENT_BEATS = 5
# Of several that are to claim the lead, one by chance is first.
WAIT_BEATS_MAX = 3


@dataclass(frozen=True, slots=True)
class Here:
    """What a process says of itself with every beat.

    `seats` is how many workers it takes, `slots` those it has; `term` is that of its lead, 0 if it does not lead; `form`
    tells what it runs: only processes of one form work together. `home` is the number of the life whose first key groups
    are owned by a worker of it, 0 if there is none.
    """

    host: str
    pid: int
    seats: int
    form: str
    term: int = 0
    is_leaving: bool = False
    slots: tuple[int, ...] = ()
    home: int = 0

    def encode(self) -> bytes:
        """Return it as JSON."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def decode(cls, data: bytes) -> "Here":
        """Read what `encode` made, of another version, too; raise ValueError or TypeError if it is something else."""
        said: dict[str, Any] = json.loads(data)
        content = {one.name: said[one.name] for one in fields(cls) if one.name in said}
        return cls(**{**content, "slots": tuple(content["slots"])})


@dataclass(slots=True)
class _Heard:
    here: Here
    first: int
    last: int


class Presence:
    """What one process knows of all; `wait` is for how many beats it lets others claim first."""

    def __init__(self, own: str, *, wait: int) -> None:
        self._own = own
        self._wait = wait
        self._heard: dict[str, _Heard] = {}
        self._led = 0
        self._patience = SILENT_BEATS
        self.beats = 0

    @property
    def now_s(self) -> float:
        """The time, as far as others could be heard."""
        return self.beats * BEAT_S

    def heard(self, name: str, here: Here) -> None:
        """A process has said that it is there; of one's own it is a beat."""
        if name == self._own:
            self.beats += 1
        before = self._heard.get(name)
        if before is None or not self._is_there(before):
            self._heard[name] = before = _Heard(here, self.beats, self.beats)
        was_leader = before.here.term > 0
        before.here, before.last = here, self.beats
        if here.term:
            self._led, self._patience = self.beats, SILENT_BEATS
        elif was_leader:
            # Who has laid the lead down is not waited for.
            self._led, self._patience = self.beats, 0

    def forget(self, name: str) -> None:
        """A process has said that it goes."""
        gone = self._heard.pop(name, None)
        if gone is not None and gone.here.term:
            self._led, self._patience = self.beats, 0

    def _is_there(self, heard: _Heard) -> bool:
        return self.beats - heard.last < SILENT_BEATS

    @property
    def present(self) -> dict[str, Here]:
        """Who is there, by name, in the order in which they came."""
        return {name: heard.here for name, heard in self._heard.items() if self._is_there(heard)}

    def beats_of(self, name: str) -> int:
        """Return for how many beats a process has been there, as far as it has been heard."""
        heard = self._heard[name]
        return heard.last - heard.first

    @property
    def leader(self) -> str | None:
        """Who leads; None if nobody is heard of who does."""
        leading = {name: here.term for name, here in self.present.items() if here.term}
        return max(leading, key=lambda name: leading[name], default=None)

    @property
    def is_claim_due(self) -> bool:
        """Whether nobody has led for so long that it is this process's turn."""
        return self.leader is None and self.beats - self._led >= self._patience + self._wait
