"""What is tried of the outside that a module needs, and how it went."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """One thing outside that a module needs and that was tried: what it is, and how it went."""

    subject: str
    is_good: bool
    found: str
    hint: str | None = None


Attempt = Callable[[], Awaitable[Check]]


def counted(number: int, noun: str) -> str:
    """Return how many there are, in words."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
