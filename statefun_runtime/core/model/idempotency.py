"""What an idempotency key says about a record."""

from enum import Enum


class Repeat(Enum):
    """Whether a record with a key was there before."""

    NEW = "new"
    SAME = "same"
    CONFLICT = "conflict"
