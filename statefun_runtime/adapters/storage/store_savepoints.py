"""Savepoints of a checkpoint store in a bucket: at a URL in the same bucket, or in a folder of this machine.

URL/objects/…         everything that the manifest names
   /savepoint.json    which manifest it is, and what it names; written last
"""

import json
import shutil
from pathlib import Path

from statefun_runtime.adapters.storage.bucket import Bucket
from statefun_runtime.adapters.storage.disk import MACHINE_DISK
from statefun_runtime.adapters.storage.savepoint_folder import (
    linked_from,
    no_savepoint,
    not_written,
    write_savepoint,
)
from statefun_runtime.adapters.storage.store_requests import Gone
from statefun_runtime.core.checkpoints.manifest import ObjectId, StoredObject
from statefun_runtime.core.checkpoints.retention import Savepoint
from statefun_runtime.core.checkpoints.store_url import StoreUrl, parse_store_url
from statefun_runtime.ports.checkpoint_store import CheckpointStore
from statefun_runtime.ports.off_loop import OffLoop

_NAME = "savepoint.json"


def sibling(place: str, home: StoreUrl) -> StoreUrl:
    """Return a place in the bucket of a store; raise ConfigError for any other."""
    try:
        url = parse_store_url(place)
    except ValueError as error:
        raise no_savepoint("the URL of the savepoint", error) from None
    if (url.scheme, url.bucket) != (home.scheme, home.bucket):
        raise no_savepoint(str(url), f"it is not in the bucket of --checkpoints {home}")
    return url


async def copy_out(bucket: Bucket, home: StoreUrl, url: StoreUrl, savepoint: Savepoint) -> None:
    """Copy what a savepoint needs from a store to a new place in the bucket."""
    if await bucket.keys(url.prefix):
        raise not_written(str(url), "there is something already")
    try:
        for object_id in savepoint.objects:
            await bucket.copy(home.key(f"objects/{object_id}"), url.key(f"objects/{object_id}"))
    except Gone as error:
        raise not_written(str(url), "an object of it is gone") from error
    said = {
        "manifest": savepoint.manifest,
        "epoch": savepoint.epoch,
        "objects": list(savepoint.objects),
    }
    content = json.dumps(said).encode()
    await bucket.put(url.key(_NAME), content, len(content))


async def copy_in(bucket: Bucket, url: StoreUrl, home: StoreUrl) -> ObjectId:
    """Copy the objects of a savepoint to a store; return its manifest."""
    try:
        said = json.loads(await bucket.get(url.key(_NAME)))
        for object_id in said["objects"]:
            await bucket.copy(url.key(f"objects/{object_id}"), home.key(f"objects/{object_id}"))
        return ObjectId(said["manifest"])
    except Gone as error:
        raise no_savepoint(str(url), f"it has no {_NAME}, or not all that this names") from error
    except (ValueError, KeyError, TypeError) as error:
        raise no_savepoint(str(url), error) from error


async def download(
    store: CheckpointStore, place: Path, savepoint: Savepoint, scratch: Path, off_loop: OffLoop
) -> None:
    """Write a savepoint to a new folder, by way of one that is not there."""
    await off_loop(scratch.mkdir)
    try:
        for object_id in savepoint.objects:
            await store.place_file(StoredObject(object_id, 0), scratch / object_id)
        linked = linked_from(scratch, MACHINE_DISK)
        await off_loop(lambda: write_savepoint(place, savepoint, linked, MACHINE_DISK))
    finally:
        await off_loop(lambda: shutil.rmtree(scratch, ignore_errors=True))
