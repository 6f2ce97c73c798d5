"""Arguments of a function's calls: what is wrong with one is told at the call that has it, by its name."""

from datetime import timedelta
from reprlib import repr as shortened
from typing import Any, NoReturn

_INT64_MAX = 2**63 - 1
_INT32_MAX = 2**31 - 1


def text(value: Any, name: str, of: str) -> str:
    """Return an argument that is a text; UTF-8 in bytes is taken as well, as protobuf takes it."""
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise ValueError(f"{name} of {of} is not UTF-8: {shortened(value)}") from None
    if not isinstance(value, str):
        refuse(value, name, of, "a str")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError(f"{name} of {of} cannot be UTF-8: {shortened(value)}") from None
    return value


def integer(value: Any, name: str, of: str, *, low: int, bits: int) -> int:
    """Return an argument that is a whole number from `low` on and fits into so many bits."""
    if not isinstance(value, int) or isinstance(value, bool):
        refuse(value, name, of, "an int")
    high = _INT32_MAX if bits == 32 else _INT64_MAX
    if not low <= value <= high:
        raise ValueError(f"{name} of {of} must be from {low} to {high}, not {value}")
    return value


def milliseconds(duration: Any, name: str, of: str) -> int:
    """Return the whole milliseconds of an argument that is a duration."""
    if not isinstance(duration, timedelta):
        refuse(duration, name, of, "a timedelta")
    # In floating point, where 1.001 seconds are 1000 ms, because the stock SDK's bytes say so.
    whole = int(duration.total_seconds() * 1000)
    if duration < timedelta(0):
        raise ValueError(
            f"{name} of {of} must not be negative, and is {duration.total_seconds():g} s"
        )
    if duration and not whole:
        raise ValueError(f"{name} of {of} is {duration.microseconds} µs; the shortest is 1 ms")
    return whole


def refuse(value: object, name: str, of: str, expected: str) -> NoReturn:
    """Raise the error of an argument that is of another type."""
    kind = type(value).__name__
    raise TypeError(f"{name} of {of} must be {expected}, not {shortened(value)} ({kind})")
