"""What a checkpoint says about itself: the manifest, which is written last and names everything else."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of a checkpoint, by its path inside it."""

    name: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """One consistent cut of the application.

    `positions` holds, per ingress id, the next position of each split; `unpublished_count` is how many egress
    records of it have not left.
    """

    number: int
    created_ms: int
    key_group_count: int
    partition_count: int
    positions: dict[str, dict[str, int]]
    unpublished_count: int
    files: tuple[StoredFile, ...] = ()
