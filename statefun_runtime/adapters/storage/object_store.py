"""A checkpoint store in a bucket: one object per content, named by its SHA-256.

BUCKET/PREFIX/objects/SHA-256    what checkpoints are made of
             /holder.json        whose checkpoints these are: the life that deletes what nobody names any more
             /savepoints/NAME/…  savepoints, as they are in folders

An upload is there whole or not at all, and survives when it is acknowledged. Whether an object is there is never
concluded from a list: lists say only what may be deleted.
"""

import hashlib
import logging
from collections.abc import AsyncGenerator, Collection, Iterable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from statefun_runtime.adapters.storage.bucket import PART_BYTES, PIECE_BYTES, Bucket
from statefun_runtime.adapters.storage.disk import MACHINE_DISK
from statefun_runtime.adapters.storage.object_folder import damaged, unavailable
from statefun_runtime.adapters.storage.savepoint_folder import find_savepoint
from statefun_runtime.adapters.storage.store_requests import Gone, Patience, Raced
from statefun_runtime.adapters.storage.store_savepoints import (
    copy_in,
    copy_out,
    download,
    sibling,
)
from statefun_runtime.core.checkpoints.commits import fenced
from statefun_runtime.core.checkpoints.manifest import ObjectId, StoredObject
from statefun_runtime.core.checkpoints.retention import Savepoint
from statefun_runtime.core.checkpoints.store_url import StoreUrl, is_store_url
from statefun_runtime.errors import CorruptionError, UnavailableError
from statefun_runtime.ports.off_loop import OffLoop

log = logging.getLogger("statefun.checkpoints")

_HOLDER = "holder.json"
_HOLDS_MAX = 5


class ObjectStore:
    """A CheckpointStore in a bucket; a savepoint's place is a URL in the same bucket, or a folder of this machine.

    What is too large to be held in memory while it is verified is held in `scratch`, where nothing stays.
    """

    def __init__(
        self,
        url: StoreUrl,
        off_loop: OffLoop,
        *,
        scratch: Path,
        options: dict[str, Any] | None = None,
        patience: Patience | None = None,
    ) -> None:
        self.url = url
        self._off_loop = off_loop
        self._scratch = scratch
        self._bucket = Bucket(url, off_loop, options=options or {}, patience=patience or Patience())
        self._numbers = count()
        self._held: bytes | None = None

    async def check(self) -> None:
        """Raise ConfigError if the bucket is not there or may not be used, UnavailableError if there is no answer."""
        await self._bucket.check(self.url.key("objects"))

    # ── objects ──

    async def put(self, pieces: Iterable[bytes]) -> StoredObject:
        """Upload an object."""
        content = list(pieces)
        stored = await self._off_loop(lambda: _stored(content))
        is_small = stored.size_bytes < PART_BYTES
        await self._bucket.put(
            self._key(stored.id), b"".join(content) if is_small else content, stored.size_bytes
        )
        return stored

    async def put_file(self, path: Path) -> StoredObject:
        """Upload a file, unless the same was uploaded before."""
        try:
            stored = await self._off_loop(lambda: _stored_file(path))
        except OSError as error:
            raise unavailable(f"{path} cannot be read", error) from error
        key = self._key(stored.id)
        if await self._bucket.size(key) != stored.size_bytes:
            await self._bucket.put(key, path, stored.size_bytes)
        return stored

    async def sync(self) -> None:
        """What was acknowledged is there to stay."""

    async def get(self, object_id: ObjectId) -> bytes:
        """Download an object."""
        with self._reading(object_id):
            content = await self._bucket.get(self._key(object_id))
        if await self._off_loop(lambda: hashlib.sha256(content).hexdigest()) != object_id:
            raise self._damaged(object_id)
        return content

    async def read(self, object_id: ObjectId) -> AsyncGenerator[bytes, None]:
        """Yield an object's content in pieces; a large one is a file that has no name meanwhile."""
        size = await self._bucket.size(self._key(object_id))
        if size is None or size < PART_BYTES:
            content = await self.get(object_id)
            for start in range(0, len(content), PIECE_BYTES):
                yield content[start : start + PIECE_BYTES]
            return
        path = await self._off_loop(self._fresh)
        await self.place_file(StoredObject(object_id, size), path)
        with await self._off_loop(lambda: path.open("rb")) as file:
            await self._off_loop(path.unlink)
            while piece := await self._off_loop(lambda: file.read(PIECE_BYTES)):
                yield piece

    async def place_file(self, stored: StoredObject, path: Path) -> None:
        """Download an object to a file."""
        with self._reading(stored.id):
            digest = await self._bucket.get_file(self._key(stored.id), path)
        if digest != stored.id:
            await self._off_loop(lambda: path.unlink(missing_ok=True))
            raise self._damaged(stored.id)

    async def ids(self) -> set[ObjectId]:
        """Return which objects the store lists."""
        names = [key.rpartition("/")[2] for key in await self._bucket.keys(self.url.key("objects"))]
        return {ObjectId(name) for name in names if len(name) == 64}

    async def delete(self, object_ids: Collection[ObjectId]) -> None:
        """Delete objects; those that cannot be deleted now are found, and deleted, by the next life.

        Raise FencedError if somebody else holds the place by now: what is unneeded here may be needed there.
        """
        if not object_ids:
            return
        try:
            if self._held is not None and await self.holder() != self._held:
                raise fenced(str(self.url))
            await self._bucket.delete([self._key(object_id) for object_id in sorted(object_ids)])
        except UnavailableError as error:
            log.warning(
                "up to %d unneeded objects stay in %s until the next start: %s",
                len(object_ids),
                self.url,
                error.line,
            )

    # ── whose they are ──

    async def holder(self) -> bytes | None:
        """Return what the last one wrote who held the place, None if nobody ever did."""
        try:
            return await self._bucket.get(self.url.key(_HOLDER))
        except Gone:
            return None

    async def hold(self, content: bytes, *, instead_of: bytes | None) -> bool:
        """Hold the place from now on, if it still has this holder; return whether it had."""
        for _ in range(_HOLDS_MAX):
            try:
                await self._bucket.replace(self.url.key(_HOLDER), content, instead_of=instead_of)
            except (Raced, Gone):
                # A store says so also when it was busy with another such write, or when this one was made before.
                found = await self.holder()
                if found not in (content, instead_of):
                    return False
                if found != content:
                    continue
            self._held = content
            return True
        return False

    # ── savepoints ──

    async def write_savepoint(self, place: str, savepoint: Savepoint) -> None:
        """Copy a savepoint's objects within the store, or download them to a new folder."""
        if is_store_url(place):
            await copy_out(self._bucket, self.url, sibling(place, self.url), savepoint)
        else:
            folder = await self._off_loop(self._fresh)
            await download(self, Path(place), savepoint, folder, self._off_loop)

    async def take_in_savepoint(self, place: str) -> ObjectId:
        """Copy a savepoint's objects within the store, or upload those of a folder; return its manifest."""
        if is_store_url(place):
            return await copy_in(self._bucket, sibling(place, self.url), self.url)
        manifest, paths = await self._off_loop(lambda: find_savepoint(Path(place)))
        for path in paths:
            await self.put_file(path)
        return manifest

    # ── what goes wrong ──

    @contextmanager
    def _reading(self, object_id: ObjectId) -> Iterator[None]:
        """What is not there is damage, what cannot be read now is not."""
        try:
            yield
        except Gone as error:
            raise damaged(f"{self.url}/objects/{object_id}", "it is not there") from error

    def _damaged(self, object_id: ObjectId) -> CorruptionError:
        where = f"{self.url}/objects/{object_id}"
        return damaged(where, "its content is not what its name says")

    def _key(self, object_id: ObjectId) -> str:
        return self.url.key(f"objects/{object_id}")

    def _fresh(self) -> Path:
        """Return a path below the scratch folder that is not there."""
        self._scratch.mkdir(parents=True, exist_ok=True)
        return self._scratch / f"{MACHINE_DISK.writer()}-{next(self._numbers)}"


def _stored(pieces: list[bytes]) -> StoredObject:
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return StoredObject(ObjectId(digest.hexdigest()), sum(map(len, pieces)))


def _stored_file(path: Path) -> StoredObject:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return StoredObject(ObjectId(digest), path.stat().st_size)
