"""What a function says about a state before it may use it."""

from datetime import timedelta
from keyword import iskeyword
from typing import Any

from statefun.types import Type


class ValueSpec:
    """A state of a function: its name, its type, and when it expires.

    The state is an attribute of this name on `context.storage`. With `expire_after_call` it is
    forgotten that long after the last invocation, with `expire_after_write` that long after it
    was last set. Durations are whole milliseconds; a zero duration means no expiration.
    """

    __slots__ = ("after_call", "after_write", "duration", "name", "type")

    def __init__(
        self,
        name: str,
        type: Type[Any],
        expire_after_call: timedelta | None = None,
        expire_after_write: timedelta | None = None,
    ) -> None:
        _check_name(name)
        _check_type(name, type)
        if expire_after_call and expire_after_write:
            raise ValueError(
                f"state {name!r} has both expire_after_call and expire_after_write; choose one"
            )
        self.name = name
        self.type = type
        self.after_call = bool(expire_after_call)
        self.after_write = bool(expire_after_write)
        expiration = expire_after_call or expire_after_write
        self.duration = (
            milliseconds(expiration, f"the expiration of state {name!r}") if expiration else 0
        )


def milliseconds(duration: timedelta, what: str) -> int:
    """Return the whole milliseconds of a duration; `what` names it in the refusal."""
    if not isinstance(duration, timedelta):
        raise TypeError(f"{what} must be a timedelta, not {duration!r} ({type(duration).__name__})")
    # In floating point, where 1.001 seconds are 1000 ms, because the stock SDK's bytes say so.
    return int(duration.total_seconds() * 1000)


def _check_name(name: str) -> None:
    if not name:
        raise ValueError("a ValueSpec needs a name; it becomes an attribute of context.storage")
    if not isinstance(name, str):
        raise TypeError(f"the name of a ValueSpec must be a str, not {name!r}")
    if not name.isidentifier():
        raise ValueError(
            f"state name {name!r} cannot be an attribute of context.storage; "
            "use letters, digits and underscores, and no digit first"
        )
    if iskeyword(name):
        raise ValueError(
            f"state name {name!r} is a Python keyword, so it cannot be an attribute of context.storage"
        )
    if not name.islower():
        raise ValueError(f"state name {name!r} is not in lower case")
    if name.startswith("__") and name.endswith("__"):
        raise ValueError(f"state name {name!r} belongs to Python itself; choose one without __")


def _check_type(name: str, type_: Type[Any]) -> None:
    if type_ is None:
        raise ValueError(f"state {name!r} needs a type, like IntType")
    if not isinstance(type_, Type):
        raise TypeError(
            f"the type of state {name!r} must be a statefun Type, like IntType, not {type_!r}"
        )
