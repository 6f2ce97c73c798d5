"""What a worker has still to hear from the others before its snapshot is whole (Chandy and Lamport).

    own cut ─▶ from every other worker: messages are recorded ─▶ its barrier ─▶ nothing of it is recorded any more
                                                    barriers of all ─▶ whole

Invariants: what a worker sent before its cut is in front of its barrier, so it is either delivered before the
receiver's cut, or recorded; what it sent behind is in no snapshot of that epoch. Whoever meets a barrier first cuts first.
"""

from collections.abc import Iterable


class Alignment:
    """The barriers of the `senders`; `epoch` is the last one that was cut here."""

    def __init__(self, senders: Iterable[int], epoch: int) -> None:
        self._barriers = dict.fromkeys(senders, epoch)
        self._awaited: dict[int, None] = {}
        self.epoch = epoch

    def is_new(self, epoch: int) -> bool:
        """Return whether an epoch is to be cut now that somebody has begun it."""
        return epoch > self.epoch

    def cut(self, epoch: int) -> None:
        """This worker has cut."""
        assert self.is_new(epoch), f"epoch {epoch} is cut after {self.epoch}"
        self.epoch = epoch
        self._awaited = {sender: None for sender, last in self._barriers.items() if last < epoch}

    def barrier(self, sender: int, epoch: int) -> None:
        """The barrier of a sender has come, for an epoch that was cut here."""
        assert epoch > self._barriers[sender], f"barriers of {sender} are out of order"
        assert epoch <= self.epoch, f"the barrier {epoch} of {sender} came before the cut"
        self._barriers[sender] = epoch
        if epoch == self.epoch:
            self._awaited.pop(sender, None)

    def is_recording(self, sender: int) -> bool:
        """Return whether what comes from a sender now was sent before it cut."""
        return sender in self._awaited

    @property
    def is_whole(self) -> bool:
        """Whether the barriers of all have come."""
        return not self._awaited
