"""How the records of one egress are kept."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

R = TypeVar("R")


# With slots, a frozen class cannot be made under a type argument.
@dataclass(frozen=True)
class RecordForm(Generic[R]):
    """What a record of an egress is outside of its sink: bytes in a checkpoint, and a number of bytes in memory.

    `decode` reads what `encode` wrote, today or in an earlier release; it never refuses what was taken once.
    """

    encode: Callable[[R], bytes]
    decode: Callable[[bytes], R]
    size_of: Callable[[R], int]


def nothing() -> None:
    """Nobody is interested."""
