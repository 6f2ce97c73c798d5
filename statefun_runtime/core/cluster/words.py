"""What a leader and its workers say to each other.

    leader                         worker
      Begin n            ─▶          cuts, or has cut at the first barrier n
                         ◀─          Acknowledged n, or Failed n
      Complete n, or Abort n ─▶      before the next Begin
      Hold why           ─▶          ingress waits while anybody is over a limit
                         ◀─          Report: what has changed since the last one
                         ◀─          Wants: a checkpoint now
                         ◀─ Uses     objects are needed that no manifest names
      Granted            ─▶
                         ◀─ Frees
      Finish             ─▶          ingress ends, requests come back
                         ◀─          Rests: nothing moves here until a last checkpoint has ended, of which there are two

Every word is a frozen value, and one object of JSON on the way.
"""

import json
from dataclasses import dataclass
from typing import Any

from statefun_runtime.core.checkpoints.manifest import (
    Base,
    Positions,
    Snapshot,
    form,
    read_base,
)


@dataclass(frozen=True, slots=True)
class Begin:
    """A checkpoint begins; it is the last of all if everybody rests."""

    epoch: int
    is_last: bool = False


@dataclass(frozen=True, slots=True)
class Complete:
    """The checkpoint of an epoch is complete."""

    epoch: int


@dataclass(frozen=True, slots=True)
class Abort:
    """There is no checkpoint of an epoch, and why."""

    epoch: int
    why: str


@dataclass(frozen=True, slots=True)
class Collected:
    """No checkpoint can be begun at any more but those with these positions."""

    left: tuple[Positions, ...]


@dataclass(frozen=True, slots=True)
class Hold:
    """Why no ingress of the application is to read now; nothing if all may."""

    why: str


@dataclass(frozen=True, slots=True)
class Granted:
    """Nothing is collected until `Frees`."""


@dataclass(frozen=True, slots=True)
class Finish:
    """The application stops, or comes to rest for a move; `drain_ms` is for how long requests are waited for, if that is said."""

    drain_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """How a worker is; sent when it is not what it was.

    `closed_by` is the limit that it is over, in words; `confirmed` says, by owner and egress, up to which epoch everything
    has left.
    """

    is_changed: bool = False
    has_published: bool = False
    closed_by: str = ""
    confirmed: tuple[tuple[str, str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The snapshot of an epoch is durable."""

    epoch: int
    snapshot: Snapshot


@dataclass(frozen=True, slots=True)
class Failed:
    """There is no snapshot of an epoch."""

    epoch: int
    why: str
    code: str


@dataclass(frozen=True, slots=True)
class Wants:
    """Somebody waits for a checkpoint."""


@dataclass(frozen=True, slots=True)
class Uses:
    """Nothing is to be collected."""


@dataclass(frozen=True, slots=True)
class Frees:
    """It may be again; `bases` are those that are named by no manifest yet, or by the next."""

    bases: tuple[Base, ...]


@dataclass(frozen=True, slots=True)
class Rests:
    """Nothing more happens here before the next checkpoint has ended."""


Order = Begin | Complete | Abort | Collected | Hold | Granted | Finish
Answer = Report | Acknowledged | Failed | Wants | Uses | Frees | Rests
Word = Order | Answer

_WORDS: dict[str, type[Any]] = {
    one.__name__: one
    for one in (
        *(Begin, Complete, Abort, Collected, Hold, Granted, Finish),
        *(Report, Acknowledged, Failed, Wants, Uses, Frees, Rests),
    )
}


def encode(word: Word) -> bytes:
    """Return a word as JSON, without line ends."""
    name = json.dumps(type(word).__name__)
    if isinstance(word, Acknowledged):
        return (
            f'{{"word":{name},"epoch":{word.epoch},"snapshot":{word.snapshot.encode()}}}'.encode()
        )
    content = {field: form(getattr(word, field)) for field in word.__slots__}
    return json.dumps({"word": type(word).__name__, **content}).encode()


def decode(data: bytes) -> Word:
    """Read a word; raise ValueError, KeyError or TypeError if it is none."""
    content = json.loads(data)
    kind = _WORDS[content.pop("word")]
    if kind is Acknowledged:
        content["snapshot"] = Snapshot.from_json(content["snapshot"])
    elif kind is Frees:
        content["bases"] = tuple(map(read_base, content["bases"]))
    elif kind is Report:
        content["confirmed"] = tuple(map(tuple, content["confirmed"]))
    elif kind is Collected:
        content["left"] = tuple(content["left"])
    word: Word = kind(**content)
    return word
