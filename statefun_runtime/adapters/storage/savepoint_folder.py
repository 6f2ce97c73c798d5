"""Savepoints: a checkpoint a person asked for, in a folder of its own that needs nothing else.

FOLDER/savepoint.json      which manifest it is; written last
      /objects/…           everything that manifest names
"""

import json
from pathlib import Path

from statefun_runtime.adapters.storage.disk import MACHINE_DISK, Disk
from statefun_runtime.core.checkpoints.manifest import ObjectId
from statefun_runtime.core.checkpoints.retention import Kept
from statefun_runtime.errors import ConfigError, UnavailableError
from statefun_runtime.ports.checkpoint_store import CheckpointStore

_NAME = "savepoint.json"


def write_savepoint(
    folder: Path, chain: list[Kept], source: Path, *, disk: Disk = MACHINE_DISK
) -> None:
    """Write the last of `chain`, with the manifests it looks back to, from a store's folder to a new folder."""
    try:
        objects = folder / "objects"
        objects.mkdir(parents=True)
        for kept in chain:
            is_last = kept is chain[-1]
            outboxes = (outbox.object for outbox in kept.manifest.outboxes)
            named = kept.manifest.objects() if is_last else outboxes
            for object_id in {kept.id, *(stored.id for stored in named)}:
                _link(source / object_id, objects / object_id, disk)
        disk.sync_folder(objects)
        writing = folder / f"{_NAME}.tmp"
        writing.write_text(
            json.dumps({"manifest": chain[-1].id, "epoch": chain[-1].manifest.epoch})
        )
        writing.rename(folder / _NAME)
        disk.sync_folder(folder)
    except OSError as error:
        raise UnavailableError(
            f"the savepoint {folder} cannot be written: {error.strerror or error}", code="SF3013"
        ) from error


def _link(source: Path, target: Path, disk: Disk) -> None:
    if target.exists():
        return
    try:
        disk.link(source, target)
    except OSError:
        # Another file system.
        disk.copy(source, target)


def take_in_savepoint(folder: Path, objects: CheckpointStore) -> ObjectId:
    """Make a savepoint's objects those of a store; return its manifest. Raise ConfigError if there is none."""
    try:
        manifest = ObjectId(json.loads((folder / _NAME).read_text())["manifest"])
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(
            f"{folder} is not a savepoint: {error}",
            code="SF1048",
            hint="name the folder that `statefun-worker savepoint` printed",
        ) from error
    for path in sorted((folder / "objects").iterdir()):
        objects.put_file(path)
    objects.sync()
    return manifest
