"""Savepoints: a checkpoint a person asked for, in a folder of its own that needs nothing else.

FOLDER/savepoint.json      which manifest it is; written last
      /objects/…           everything that manifest names
"""

import json
from collections.abc import Callable
from pathlib import Path

from statefun_runtime.adapters.storage.disk import Disk
from statefun_runtime.core.checkpoints.manifest import ObjectId
from statefun_runtime.core.checkpoints.retention import Savepoint
from statefun_runtime.errors import ConfigError, UnavailableError

_NAME = "savepoint.json"


def write_savepoint(
    folder: Path, savepoint: Savepoint, place: Callable[[ObjectId, Path], None], disk: Disk
) -> None:
    """Write a savepoint to a new folder; `place` makes an object a file there, synced but for its name."""
    try:
        objects = folder / "objects"
        objects.mkdir(parents=True)
        for object_id in savepoint.objects:
            place(object_id, objects / object_id)
        disk.sync_folder(objects)
        writing = folder / f"{_NAME}.tmp"
        with writing.open("wb") as file:
            content = {"manifest": savepoint.manifest, "epoch": savepoint.epoch}
            file.write(json.dumps(content).encode())
            file.flush()
            disk.sync(file)
        writing.rename(folder / _NAME)
        disk.sync_folder(folder)
    except OSError as error:
        raise not_written(str(folder), error.strerror or str(error)) from error


def not_written(place: str, why: str) -> UnavailableError:
    """Return the error of a savepoint that could not be written."""
    return UnavailableError(f"the savepoint {place} cannot be written: {why}", code="SF3013")


def no_savepoint(place: str, why: object) -> ConfigError:
    """Return the error of a place at which there is no savepoint."""
    return ConfigError(
        f"{place} is not a savepoint: {why}",
        code="SF1048",
        hint="name what `statefun-worker savepoint` printed",
    )


def linked_from(source: Path, disk: Disk) -> Callable[[ObjectId, Path], None]:
    """Return how an object of a folder that has a file for each becomes a file elsewhere, synced but for its name."""

    def place(object_id: ObjectId, target: Path) -> None:
        try:
            disk.link(source / object_id, target)
        except OSError:
            # Another file system.
            disk.copy(source / object_id, target)
            with target.open("r+b") as file:
                disk.sync(file)

    return place


def find_savepoint(folder: Path) -> tuple[ObjectId, list[Path]]:
    """Return the manifest and the files of a savepoint; raise ConfigError if there is none."""
    try:
        manifest = ObjectId(json.loads((folder / _NAME).read_bytes())["manifest"])
        return manifest, sorted((folder / "objects").iterdir())
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise no_savepoint(str(folder), error) from error
