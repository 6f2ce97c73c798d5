"""The CheckpointStore and CommitLog ports in memory: what was not synced is gone after `crash`."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Collection, Iterable
from pathlib import Path

from statefun_runtime.core.checkpoints.commits import Entry
from statefun_runtime.core.checkpoints.manifest import ObjectId, StoredObject
from statefun_runtime.core.checkpoints.retention import Savepoint
from statefun_runtime.errors import (
    ConfigError,
    CorruptionError,
    UnavailableError,
)
from statefun_runtime.testing import memory

# What all of them share, as folders do.
SAVEPOINTS: dict[str, tuple[ObjectId, list[bytes]]] = {}


class MemoryObjects:
    """A CheckpointStore; while `is_full` nothing can be written, and what is asked takes `takes_s`."""

    def __init__(self) -> None:
        self.takes_s = 0.0
        self._durable: dict[ObjectId, bytes] = {}
        self._written: dict[ObjectId, bytes] = {}
        self.is_full = False

    async def put(self, pieces: Iterable[bytes]) -> StoredObject:
        content = b"".join(pieces)
        await self._moment()
        if self.is_full:
            raise UnavailableError("no space left", code="SF3010")
        object_id = ObjectId(hashlib.sha256(content).hexdigest())
        self._written[object_id] = content
        return StoredObject(object_id, len(content))

    async def put_file(self, path: Path) -> StoredObject:
        content = path.read_bytes()  # noqa: ASYNC240
        return await self.put([content])

    async def sync(self) -> None:
        await self._moment()
        if self.is_full:
            raise UnavailableError("no space left", code="SF3010")
        self._durable.update(self._written)
        self._written.clear()

    def crash(self) -> None:
        self._written.clear()

    async def get(self, object_id: ObjectId) -> bytes:
        for objects in (self._written, self._durable):
            if object_id in objects:
                content = objects[object_id]
                if hashlib.sha256(content).hexdigest() == object_id:
                    return content
        raise CorruptionError(f"object {object_id} is missing or damaged", code="SF5002")

    async def read(self, object_id: ObjectId) -> AsyncGenerator[bytes, None]:
        content = await self.get(object_id)
        for start in range(0, len(content), 7):
            yield content[start : start + 7]

    def damage(self, object_id: ObjectId) -> None:
        self._durable[object_id] = b"damaged"

    async def place_file(self, stored: StoredObject, path: Path) -> None:
        path.write_bytes(await self.get(stored.id))  # noqa: ASYNC240

    async def ids(self) -> set[ObjectId]:
        return {*self._durable, *self._written}

    async def write_savepoint(self, place: str, savepoint: Savepoint) -> None:
        if self.is_full or place in SAVEPOINTS:
            raise UnavailableError(f"the savepoint {place} cannot be written", code="SF3013")
        SAVEPOINTS[place] = savepoint.manifest, [await self.get(one) for one in savepoint.objects]

    async def take_in_savepoint(self, place: str) -> ObjectId:
        if place not in SAVEPOINTS:
            raise ConfigError(f"{place} is not a savepoint", code="SF1048")
        manifest, contents = SAVEPOINTS[place]
        for content in contents:
            await self.put([content])
        await self.sync()
        return manifest

    async def delete(self, object_ids: Collection[ObjectId]) -> None:
        await self._moment()
        for object_id in object_ids:
            self._durable.pop(object_id, None)
            self._written.pop(object_id, None)

    async def _moment(self) -> None:
        if self.takes_s:
            await asyncio.sleep(self.takes_s)


class MemoryLog(memory.MemoryLog):
    """A CommitLog over a list; what is asked takes `takes_s`."""

    def __init__(self, entries: list[Entry] | None = None) -> None:
        super().__init__(entries)
        self.takes_s = 0.0

    async def read(self) -> list[Entry]:
        await self._moment()
        return await super().read()

    async def append(self, entry: Entry) -> None:
        await self._moment()
        await super().append(entry)

    async def _moment(self) -> None:
        if self.takes_s:
            await asyncio.sleep(self.takes_s)
