"""What an ingress or egress is given when it is made.

A package of one's own can rely on what is documented in docs/contributing/components.md; the rest is for those that
come with the worker.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from statefun_runtime.core.checkpoints.commits import History, Started
from statefun_runtime.core.checkpoints.manifest import ObjectId, Progress
from statefun_runtime.core.model.position import Position
from statefun_runtime.ports.egress import TellRefused
from statefun_runtime.ports.ingress import IngressContext
from statefun_runtime.ports.off_loop import OffLoop
from statefun_runtime.ports.rows import Rows

# Returns the records of an outbox's object, as the egress encoded them.
ReadOutbox = Callable[[ObjectId], Awaitable[list[bytes]]]


# Returns whether this worker reads a split: a partition, by number, of what is called so.
Reads = Callable[[str, int], bool]


def reads_all(name: str, number: int) -> bool:
    """Nobody else reads."""
    return True


@dataclass(frozen=True, slots=True)
class IngressBuildContext:
    """Where an ingress begins, and what it works with.

    `restored` are the positions of the checkpoint that the worker begins at, empty at a first start. `is_ours` is False
    if that checkpoint is of another application.
    `restarts` says by topic where a person wants to go on if such a position is lost: "earliest" or "latest".
    `reads` says which splits are this worker's, of an ingress that several of them read (`IsShared`).
    `folder` is the ingress's own, below the state folder, and need not exist; `host` is what the worker's ports listen on,
    each for so many connections.
    """

    ingress: IngressContext
    restored: Mapping[str, Position]
    folder: Path
    host: str
    connections_max: int
    off_loop: OffLoop
    is_ours: bool
    restarts: Mapping[str, str]
    reads: Reads = reads_all


@dataclass(frozen=True, slots=True)
class EgressBuildContext:
    """Where an egress begins, and what it works with.

    `started` and `history` tell this life from all others, for what an egress writes to tell old from new; the epochs
    from `first_epoch` on are its own. `owner` is who of the application's workers this is. `folder` is the egress's
    own, below the state folder, and need not exist; `host` is what the worker's ports listen on, each for so many
    connections. Keys of `rows` begin with the key group, one of `key_group_count`, of what a row belongs to, so that they
    can move with it. `progress` is what the
    checkpoint knows of an egress that publishes, and `may_republish` what a person says. `saved` returns when all that
    is so now is in a complete checkpoint.
    """

    started: Started
    history: History
    first_epoch: int
    owner: str
    folder: Path
    host: str
    connections_max: int
    rows: Rows
    key_group_count: int
    read_outbox: ReadOutbox
    saved: Callable[[], Awaitable[None]]
    tell_refused: TellRefused
    progress: Progress | None
    may_republish: bool

    @property
    def application(self) -> str:
        """The name of the application, never that of another one."""
        return self.started.application

    @property
    def incarnation(self) -> int:
        """The number of this life; it only grows."""
        return self.started.incarnation
