"""Where checkpoints are kept: immutable objects, named by the hash of their content."""

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Protocol

from statefun_runtime.core.checkpoints.manifest import ObjectId, StoredObject
from statefun_runtime.core.checkpoints.retention import Savepoint


class CheckpointStore(Protocol):
    """Keeps objects.

    Guarantees: an object is there whole or not at all, whatever dies while it is written, and never changes. After
    `sync` every object that was put before survives the loss of power. A read returns what was written, or raises
    CorruptionError. Everything may block, and is called off the loop.
    """

    def put(self, pieces: Iterable[bytes]) -> StoredObject:
        """Write an object; the same content twice is one object. Raise UnavailableError if it cannot be written."""
        ...

    def put_file(self, path: Path) -> StoredObject:
        """Take a file that will never change in as an object, without copying where that can be done."""
        ...

    def sync(self) -> None:
        """Make what was put survive; raise UnavailableError if that cannot be done."""
        ...

    def get(self, object_id: ObjectId) -> bytes:
        """Return an object's content, verified."""
        ...

    def read(self, object_id: ObjectId) -> Iterator[bytes]:
        """Yield an object's content in pieces of at most a few MiB, one of them in memory at a time.

        It is verified before the first.
        """
        ...

    def place_file(self, stored: StoredObject, path: Path) -> None:
        """Make an object a file, verified; it is linked if its name ends with .sst, else copied."""
        ...

    def ids(self) -> set[ObjectId]:
        """Return which objects there are."""
        ...

    def write_savepoint(self, place: str, savepoint: Savepoint) -> None:
        """Keep what a savepoint needs at a place of its own, where nothing is ever deleted by us, and make it survive.

        What a place is depends on the store. A place is a savepoint when all of it is there. Raise UnavailableError if
        that cannot be done, as where there is something already.
        """
        ...

    def take_in_savepoint(self, place: str) -> ObjectId:
        """Have what is at a place among the objects here, durable; return its manifest.

        Raise ConfigError if that is no savepoint.
        """
        ...

    def delete(self, object_ids: Collection[ObjectId]) -> None:
        """Delete objects that nobody names any more."""
        ...
