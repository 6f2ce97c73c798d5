"""Damage: what a file of a savepoint has that nobody wrote so."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

# More are counted, not kept.
_KEPT_MAX = 200


@dataclass(frozen=True, slots=True)
class Damage:
    """A place that cannot be what was written, why, and what of the savepoint is not read because of it."""

    file: str
    offset: int
    what: str
    lost: str

    def __str__(self) -> str:
        return f"{self.file}, offset {self.offset}: {self.what}; lost: {self.lost}"


class Damages:
    """What is found while a savepoint is read: reading goes on with the next row, block, key group or file."""

    def __init__(self) -> None:
        self.found: list[Damage] = []
        self.count = 0

    def add(self, damage: Damage) -> None:
        """Keep one more."""
        self.count += 1
        if len(self.found) < _KEPT_MAX:
            self.found.append(damage)

    @contextmanager
    def at(self, file: str, offset: int, lost: str) -> Iterator[None]:
        """What cannot be read within is damage at this place, and is left out."""
        try:
            yield
        except ValueError as error:
            self.add(Damage(file, offset, str(error), lost))
