"""What a function says about a state before it may use it."""

from datetime import timedelta
from keyword import iskeyword
from typing import Any

from statefun.calls.arguments import milliseconds
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
        after_call_ms = _expiration_ms(expire_after_call, "expire_after_call", name)
        after_write_ms = _expiration_ms(expire_after_write, "expire_after_write", name)
        if after_call_ms and after_write_ms:
            raise ValueError(
                f"state {name!r} has both expire_after_call and expire_after_write; choose one"
            )
        self.name = name
        self.type = type
        self.after_call = after_call_ms > 0
        self.after_write = after_write_ms > 0
        self.duration = after_call_ms or after_write_ms


def _expiration_ms(expiration: timedelta | None, argument: str, name: str) -> int:
    return 0 if expiration is None else milliseconds(expiration, argument, f"state {name!r}")


def _check_name(name: str) -> None:
    if name is None or name == "":
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
