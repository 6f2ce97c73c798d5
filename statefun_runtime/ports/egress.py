"""Where results leave.

A sink has one of three outboxes, and that says how its records leave:

    EpochOutbox    they wait until the checkpoint of their epoch is complete
    DirectOutbox   they leave at once; a checkpoint holds what is not acknowledged
    RowOutbox      they are rows of the state until somebody has read them

The engine fills the outbox, cuts it, tells it of checkpoints and takes back what an earlier life had; the sink empties it.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

from statefun_runtime.core.checkpoints.manifest import Progress
from statefun_runtime.core.model.metrics import Metric
from statefun_runtime.core.outboxes.direct_outbox import DirectOutbox
from statefun_runtime.core.outboxes.outbox import EpochOutbox
from statefun_runtime.core.outboxes.row_outbox import RowOutbox

R = TypeVar("R")


class RecordRefused(Exception):
    """A typed value cannot leave through an egress; the text says why."""


class Refused(NamedTuple):
    """A record that the outside will never take: its topic or stream, its key and its value."""

    topic: str
    key: bytes | None
    value: bytes


# Is told of a record that will never leave, and why; returns whether a dead letter was made of it.
TellRefused = Callable[[Refused, str], bool]


def nobody_is_told(record: Refused, why: str) -> bool:
    """There are no dead letters."""
    return False


class EgressSink(Protocol[R]):
    """Takes records out.

    Guarantees: `prepare` refuses whatever the sink could not take for good; what is in its outbox leaves, or stays in
    it; order per key is kept. A fenced sink cannot publish, where the outside can tell it from a newer one.
    """

    @property
    def outbox(self) -> "EpochOutbox[R] | DirectOutbox[Any, R] | RowOutbox":
        """What has not left; it is the same one as long as the sink lives."""
        ...

    def prepare(self, typename: str, value: bytes) -> R:
        """Check a typed value and return it in the sink's own form; raise RecordRefused."""
        ...

    async def run(self) -> None:
        """Carry records out until cancelled."""
        ...

    def metrics(self) -> Iterable[Metric]:
        """Return what is counted; whose numbers they are is added by the caller."""
        ...

    async def close(self) -> None:
        """Leave at once."""
        ...


@runtime_checkable
class Listens(Protocol):
    """What an ingress or egress has besides that others come to."""

    async def listen(self) -> None:
        """Take the port, or raise UnavailableError: before anything runs, and without waiting for others."""
        ...


@runtime_checkable
class Publishes(Protocol):
    """What an egress has besides that remembers in checkpoints how far it has published."""

    def progress(self) -> Progress | None:
        """Return what the next life shall know; None before anything is known."""
        ...
