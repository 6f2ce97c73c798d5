"""Where results leave."""

from collections.abc import Iterable
from typing import Any, Protocol

from statefun_runtime.core.samples import Sample


class RecordRefused(Exception):
    """A typed value cannot leave through an egress; the text says why."""


class EgressSink(Protocol):
    """Takes records out.

    Guarantees: `prepare` refuses whatever the sink could not take for good; a prepared record that was handed to
    `emit` leaves, or is among `unpublished`; order per key is kept.
    """

    def prepare(self, typename: str, value: bytes) -> Any:
        """Check a typed value and return it in the sink's own form; raise RecordRefused."""
        ...

    def emit(self, record: Any) -> None:
        """Take a prepared record; never refuses, never waits."""
        ...

    def backlog_bytes(self) -> int:
        """Return the size of what was taken and has not left."""
        ...

    async def start(self) -> None:
        """Listen, where there is something to listen on; does not wait for others."""
        ...

    async def run(self) -> None:
        """Carry records out until cancelled."""
        ...

    async def flush(self, timeout_s: float) -> None:
        """Try for so long to let everything leave."""
        ...

    def unpublished(self) -> list[bytes]:
        """Return what has not left, encoded, in order."""
        ...

    def restore(self, records: list[bytes]) -> None:
        """Take back what `unpublished` returned in an earlier life."""
        ...

    def samples(self) -> Iterable[Sample]:
        """Return what is counted; whose numbers they are is added by the caller."""
        ...

    async def close(self) -> None:
        """Leave at once."""
        ...
