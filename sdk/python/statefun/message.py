"""Messages to functions, incoming and outgoing."""

from typing import Any, overload

from statefun._wire import TypedValue
from statefun.types import (
    BoolType,
    DoubleType,
    FloatType,
    IntType,
    LongType,
    StringType,
    T,
    Type,
    to_typed_value,
)

_PRIMITIVES: dict[str, Type[Any]] = {
    "int_value": IntType,
    "float_value": FloatType,
    "long_value": LongType,
    "str_value": StringType,
    "double_value": DoubleType,
    "bool_value": BoolType,
}
_TYPED = {"value", "value_type"}
_HOW = f"give one of {', '.join(f'{name}=' for name in _PRIMITIVES)} or both value= and value_type="


class Message:
    """A typed value on its way to one address.

    `is_int()` and its kin compare the typename. `as_int()` and its kin do not: they read the
    bytes as that type, whatever the typename says, and give None when there is no value.
    """

    __slots__ = ("target_id", "target_typename", "typed_value")

    def __init__(self, target_typename: str, target_id: str, typed_value: TypedValue) -> None:
        if not target_typename:
            raise ValueError("a message needs a target_typename, like 'com.example/user'")
        if not target_id:
            raise ValueError(
                f"a message to {target_typename} needs a target_id; it cannot be empty"
            )
        if typed_value is None:
            raise ValueError(f"a message to {target_typename}/{target_id} needs a typed_value")
        self.target_typename = target_typename
        self.target_id = target_id
        self.typed_value = typed_value

    def is_int(self) -> bool:
        return self.is_type(IntType)

    def as_int(self) -> int | None:
        return self.as_type(IntType)

    def is_bool(self) -> bool:
        return self.is_type(BoolType)

    def as_bool(self) -> bool | None:
        return self.as_type(BoolType)

    def is_long(self) -> bool:
        return self.is_type(LongType)

    def as_long(self) -> int | None:
        return self.as_type(LongType)

    def is_string(self) -> bool:
        return self.is_type(StringType)

    def as_string(self) -> str | None:
        return self.as_type(StringType)

    def is_float(self) -> bool:
        return self.is_type(FloatType)

    def as_float(self) -> float | None:
        return self.as_type(FloatType)

    def is_double(self) -> bool:
        return self.is_type(DoubleType)

    def as_double(self) -> float | None:
        return self.as_type(DoubleType)

    def is_type(self, tpe: Type[Any]) -> bool:
        return self.typed_value.typename == tpe.typename

    def as_type(self, tpe: Type[T]) -> T | None:
        return (
            tpe.serializer().deserialize(self.typed_value.value)
            if self.typed_value.has_value
            else None
        )

    def value_typename(self) -> str:
        return self.typed_value.typename

    def raw_value(self) -> bytes | None:
        return self.typed_value.value if self.typed_value.has_value else None


@overload
def message_builder(target_typename: str, target_id: str, *, int_value: int) -> Message: ...
@overload
def message_builder(target_typename: str, target_id: str, *, float_value: float) -> Message: ...
@overload
def message_builder(target_typename: str, target_id: str, *, long_value: int) -> Message: ...
@overload
def message_builder(target_typename: str, target_id: str, *, str_value: str) -> Message: ...
@overload
def message_builder(target_typename: str, target_id: str, *, double_value: float) -> Message: ...
@overload
def message_builder(target_typename: str, target_id: str, *, bool_value: bool) -> Message: ...
@overload
def message_builder(
    target_typename: str, target_id: str, *, value: T, value_type: Type[T]
) -> Message: ...
def message_builder(target_typename: str, target_id: str, **kwargs: Any) -> Message:
    """Build a message from exactly one `int_value=` or its kin, or from `value=` and `value_type=`."""
    value, value_type = _value_of(kwargs)
    return Message(target_typename, target_id, to_typed_value(value, value_type))


def _value_of(kwargs: dict[str, Any]) -> tuple[Any, Type[Any]]:
    if len(kwargs) == 1:
        ((keyword, value),) = kwargs.items()
        if keyword in _PRIMITIVES:
            return _present(keyword, value), _PRIMITIVES[keyword]
    unknown = kwargs.keys() - _PRIMITIVES.keys() - _TYPED
    if unknown:
        raise ValueError(f"a message has no {', '.join(sorted(unknown))}; {_HOW}")
    if kwargs and kwargs.keys() <= _TYPED:
        value = _present("value", kwargs.get("value"))
        return value, _present("value_type", kwargs.get("value_type"))
    given = " and ".join(kwargs) or "none"
    raise TypeError(f"a message needs exactly one value, but was given {given}; {_HOW}")


def _present(keyword: str, value: T | None) -> T:
    if value is None:
        raise ValueError(f"{keyword} is missing or None; {_HOW}")
    return value
