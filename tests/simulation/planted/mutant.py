"""A planted bug: a name, and what is replaced by what in which file."""

from dataclasses import dataclass

Edit = tuple[str, str, str]


@dataclass(frozen=True)
class Mutant:
    """A bug; `test` is a unit test that catches it where a whole worker cannot be harmed."""

    name: str
    edits: tuple[Edit, ...]
    test: str | None = None


def one(name: str, file: str, before: str, after: str) -> Mutant:
    """Return a bug of one edit that the simulation catches."""
    return Mutant(name, ((file, before, after),))
