"""Where checkpoints are kept: immutable objects, named by the hash of their content."""

from collections.abc import AsyncGenerator, Collection, Iterable
from pathlib import Path
from typing import Protocol

from statefun_runtime.core.checkpoints.manifest import ObjectId, StoredObject
from statefun_runtime.core.checkpoints.retention import Savepoint


class CheckpointStore(Protocol):
    """Keeps objects.

    Guarantees: an object is there whole or not at all, whatever dies while it is written, and never changes. After
    `sync` every object that was put before survives the loss of power. A read returns what was written, or raises
    CorruptionError. Nothing stands in the way of the loop while it is waited for.
    """

    async def put(self, pieces: Iterable[bytes]) -> StoredObject:
        """Write an object; the same content twice is one object. Raise UnavailableError if it cannot be written."""
        ...

    async def put_file(self, path: Path) -> StoredObject:
        """Take a file that will never change in as an object, without copying where that can be done."""
        ...

    async def sync(self) -> None:
        """Make what was put survive; raise UnavailableError if that cannot be done."""
        ...

    async def get(self, object_id: ObjectId) -> bytes:
        """Return an object's content, verified."""
        ...

    def read(self, object_id: ObjectId) -> AsyncGenerator[bytes, None]:
        """Yield an object's content in pieces of at most a few MiB, one of them in memory at a time.

        It is verified before the first.
        """
        ...

    async def place_file(self, stored: StoredObject, path: Path) -> None:
        """Make an object a file, verified; it is linked if its name ends with .sst, else copied."""
        ...

    async def ids(self) -> set[ObjectId]:
        """Return which objects there are."""
        ...

    async def write_savepoint(self, place: str, savepoint: Savepoint) -> None:
        """Keep what a savepoint needs at a place of its own, where nothing is ever deleted by us, and make it survive.

        What a place is depends on the store. A place is a savepoint when all of it is there. Raise UnavailableError if
        that cannot be done, as where there is something already.
        """
        ...

    async def take_in_savepoint(self, place: str) -> ObjectId:
        """Have what is at a place among the objects here, durable; return its manifest.

        Raise ConfigError if that is no savepoint.
        """
        ...

    async def delete(self, object_ids: Collection[ObjectId]) -> None:
        """Delete objects that nobody names any more."""
        ...


class HeldPlace(Protocol):
    """A place that many can reach, held by one of them: who holds it deletes there what nobody names any more.

    Guarantees: of those who want to take over from one holder at the same time one does. Raise UnavailableError if that
    cannot be known now.
    """

    async def holder(self) -> bytes | None:
        """Return what the last one wrote who held the place, None if nobody ever did."""
        ...

    async def hold(self, content: bytes, *, instead_of: bytes | None) -> bool:
        """Hold the place from now on, if it still has this holder; return whether it had."""
        ...
