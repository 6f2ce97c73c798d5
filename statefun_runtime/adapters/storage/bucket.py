"""What an object store does with keys and bytes, through `obstore`: each call is repeated until it has an answer.

Every call raises UnavailableError if there is none, or the store does not let it be done.
"""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO, Any, TypeVar

from statefun_runtime.adapters.storage.object_folder import unavailable
from statefun_runtime.adapters.storage.store_requests import (
    Gone,
    Patience,
    Raced,
    Refused,
    StoreRequests,
)
from statefun_runtime.core.checkpoints.store_url import StoreUrl
from statefun_runtime.errors import ConfigError
from statefun_runtime.ports.off_loop import OffLoop

T = TypeVar("T")

PIECE_BYTES = 1024 * 1024
# Stores take parts of 5 MiB and more; what is smaller than one goes in one request, and is kept in memory when read.
PART_BYTES = 8 * 1024 * 1024
_PARTS_AT_ONCE = 4
_DELETED_AT_ONCE = 1000
# The library notices a body that does not go on; this is a limit behind that, for sizes that are not known before.
_UNKNOWN_BYTES = 1024 * PIECE_BYTES

Content = bytes | list[bytes] | Path


class Bucket:
    """The objects of one bucket, by their keys."""

    def __init__(
        self, url: StoreUrl, off_loop: OffLoop, *, options: dict[str, Any], patience: Patience
    ) -> None:
        self._off_loop = off_loop
        self._requests = StoreRequests(url, options, patience)
        self._obstore: Any = self._requests.obstore
        self._store = self._requests.store

    async def check(self, prefix: str) -> None:
        """Raise ConfigError if the bucket is not there or may not be listed."""

        async def list_some() -> None:
            async for _ in self._obstore.list(self._store, prefix=prefix):
                return

        try:
            await self._requests.ask("the checkpoint store was tried", list_some, is_start=True)
        except Refused as error:
            raise ConfigError(
                f"--checkpoints {self._requests.url}: its objects cannot be listed: {error}",
                code="SF1082",
                hint="see that the bucket exists, and that the credentials in the environment may list, read, write "
                "and delete there",
            ) from error

    async def put(self, key: str, content: Content, size: int) -> None:
        """Write an object, in parts if it is large; it is there whole or not at all, and to stay."""

        async def upload() -> None:
            await self._obstore.put_async(
                self._store,
                key,
                content,
                use_multipart=size >= PART_BYTES,
                chunk_size=PART_BYTES,
                max_concurrency=_PARTS_AT_ONCE,
            )

        await self._ask(f"{key} is to be written, {size} bytes", upload, size_bytes=size)

    async def size(self, key: str) -> int | None:
        """Return how large an object is, None if it is not there."""

        async def head() -> int:
            return int((await self._obstore.head_async(self._store, key))["size"])

        try:
            return await self._ask(f"{key} is looked for", head)
        except Gone:
            return None

    async def get(self, key: str) -> bytes:
        """Return an object's content, or raise Gone."""

        async def download() -> bytes:
            result = await self._obstore.get_async(self._store, key)
            return bytes(await result.bytes_async())

        return await self._ask(f"{key} is to be read", download, size_bytes=_UNKNOWN_BYTES)

    async def get_file(self, key: str, path: Path) -> str:
        """Write an object's content to a file; return its hash, or raise Gone."""
        return await self._ask(
            f"{key} is to be read", lambda: self._download(key, path), size_bytes=_UNKNOWN_BYTES
        )

    async def _download(self, key: str, path: Path) -> str:
        digest = hashlib.sha256()
        result = await self._obstore.get_async(self._store, key)
        try:
            file = await self._off_loop(lambda: path.open("wb"))
        except OSError as error:
            raise unavailable(f"{path} cannot be written", error) from error
        with file:
            async for piece in result.stream(min_chunk_size=PIECE_BYTES):
                try:
                    await self._off_loop(partial(_write, file, digest, bytes(piece)))
                except OSError as error:
                    raise unavailable(f"{path} cannot be written", error) from error
        return digest.hexdigest()

    async def keys(self, prefix: str) -> list[str]:
        """Return which keys the store lists below a prefix."""

        async def list_all() -> list[str]:
            found: list[str] = []
            async for some in self._obstore.list(self._store, prefix=prefix):
                found += [str(meta["path"]) for meta in some]
            return found

        return await self._ask(f"{prefix} is to be listed", list_all, size_bytes=_UNKNOWN_BYTES)

    async def copy(self, source: str, target: str) -> None:
        """Copy an object within the store, or raise Gone."""
        await self._ask(
            f"{source} is to be copied",
            lambda: self._obstore.copy_async(self._store, source, target),
            size_bytes=_UNKNOWN_BYTES,
        )

    async def delete(self, keys: Sequence[str]) -> None:
        """Delete objects; those that are gone already are no error."""
        for start in range(0, len(keys), _DELETED_AT_ONCE):
            some = list(keys[start : start + _DELETED_AT_ONCE])
            try:
                await self._delete(some)
            except Gone:
                # Not every kind of store takes that for done.
                for key in some:
                    with suppress(Gone):
                        await self._delete([key])

    async def _delete(self, keys: list[str]) -> None:
        await self._ask(
            f"{len(keys)} objects are to be deleted",
            lambda: self._obstore.delete_async(self._store, keys),
        )

    async def replace(self, key: str, content: bytes, *, instead_of: bytes | None) -> None:
        """Write an object if there is exactly this one, or none; raise Raced or Gone if there is another.

        That can also mean that it was written by this call, of which an answer was lost.
        """

        async def replace() -> None:
            store = self._requests.conditional
            mode: Any = "create"
            if instead_of is not None:
                result = await self._obstore.get_async(store, key)
                if bytes(await result.bytes_async()) != instead_of:
                    raise Raced
                meta = result.meta
                mode = {name: meta[name] for name in ("e_tag", "version") if meta[name] is not None}
            await self._obstore.put_async(store, key, content, mode=mode, use_multipart=False)

        await self._ask(f"{key} is to be replaced", replace)

    async def _ask(
        self, what: str, attempt: Callable[[], Awaitable[T]], *, size_bytes: int = 0
    ) -> T:
        try:
            return await self._requests.ask(what, attempt, size_bytes=size_bytes)
        except Refused as error:
            raise self._requests.refusal(what, error) from error


def _write(file: IO[bytes], digest: "hashlib._Hash", piece: bytes) -> None:
    digest.update(piece)
    file.write(piece)
