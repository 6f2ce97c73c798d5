"""A planted bug: a name, and what is replaced by what in which file."""

from dataclasses import dataclass

Edit = tuple[str, str, str]


@dataclass(frozen=True)
class Mutant:
    """A bug; `test` is a unit test that catches it where a whole worker cannot be harmed.

    It shows where so many `workers` at most share the work, or processes of so many machines are a `cluster`; none of both
    stands for one that is alone.
    """

    name: str
    edits: tuple[Edit, ...]
    test: str | None = None
    workers: int = 0
    cluster: int = 0


def one(name: str, file: str, before: str, after: str) -> Mutant:
    """Return a bug of one edit that the simulation catches."""
    return Mutant(name, ((file, before, after),))


def shared(name: str, file: str, before: str, after: str) -> Mutant:
    """Return a bug of one edit that the simulation catches where several workers share the work."""
    return Mutant(name, ((file, before, after),), workers=3)


def clustered(name: str, file: str, before: str, after: str) -> Mutant:
    """Return a bug of one edit that the simulation catches where processes of several machines are a cluster."""
    return Mutant(name, ((file, before, after),), cluster=3)
