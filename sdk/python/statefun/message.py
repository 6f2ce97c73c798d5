"""Messages to functions, incoming and outgoing."""

from typing import Any, Literal, overload

from statefun._wire import TypedValue
from statefun.address import split_typename
from statefun.calls.arguments import refuse, text
from statefun.types import (
    BoolType,
    DoubleType,
    FloatType,
    IntType,
    LongType,
    StringType,
    T,
    Type,
    to_bytes,
)
from statefun.values.carrier import Carrier

_PRIMITIVES: dict[str, Type[Any]] = {
    "int_value": IntType,
    "float_value": FloatType,
    "long_value": LongType,
    "str_value": StringType,
    "double_value": DoubleType,
    "bool_value": BoolType,
}
_TYPED = {"value", "value_type"}
_new = object.__new__
_HOW = f"give one of {', '.join(f'{name}=' for name in _PRIMITIVES)} or both value= and value_type="


class Message(Carrier):
    """A typed value on its way to one address.

    `is_int()` and its kin compare the typename. `as_int()` and its kin do not: they read the
    bytes as that type, whatever the typename says, and give None when there is no value, or raise
    ValueError with `required=True`, with which a type checker knows that there is one.
    """

    __slots__ = ("target_id", "target_typename")

    def __init__(self, target_typename: str, target_id: str, typed_value: TypedValue) -> None:
        if target_typename is None or target_typename == "":
            raise ValueError("a message needs a target_typename, like 'com.example/user'")
        self.target_typename = text(target_typename, "target_typename", "a message")
        to = f"a message to {self.target_typename}"
        if target_id is None or target_id == "":
            raise ValueError(f"{to} needs a target_id; it cannot be empty")
        self.target_id = text(target_id, "target_id", to)
        if typed_value is None:
            raise ValueError(f"{to}/{self.target_id} needs a typed_value")
        # Whatever looks like one may be one, so that tests can bring their own.
        if type(typed_value) is not TypedValue and not hasattr(typed_value, "has_value"):
            refuse(typed_value, "typed_value", f"{to}/{self.target_id}", "a TypedValue")
        self.typed_value = typed_value

    @staticmethod
    def made(target_typename: str, target_id: str, typename: str, data: bytes | None) -> "Message":
        """Make a message of arguments that are known to be good, but for an id that is missing."""
        if not target_id:
            # Says what is wrong.
            return Message(target_typename, target_id, TypedValue())
        message = _new(Message)
        message.target_typename = target_typename
        message.target_id = target_id
        message.carry(typename, data)
        return message

    def is_int(self) -> bool:
        return self.is_type(IntType)

    @overload
    def as_int(self) -> int | None: ...
    @overload
    def as_int(self, *, required: Literal[True]) -> int: ...
    def as_int(self, *, required: bool = False) -> int | None:
        return self._read(IntType, required=required)

    def is_bool(self) -> bool:
        return self.is_type(BoolType)

    @overload
    def as_bool(self) -> bool | None: ...
    @overload
    def as_bool(self, *, required: Literal[True]) -> bool: ...
    def as_bool(self, *, required: bool = False) -> bool | None:
        return self._read(BoolType, required=required)

    def is_long(self) -> bool:
        return self.is_type(LongType)

    @overload
    def as_long(self) -> int | None: ...
    @overload
    def as_long(self, *, required: Literal[True]) -> int: ...
    def as_long(self, *, required: bool = False) -> int | None:
        return self._read(LongType, required=required)

    def is_string(self) -> bool:
        return self.is_type(StringType)

    @overload
    def as_string(self) -> str | None: ...
    @overload
    def as_string(self, *, required: Literal[True]) -> str: ...
    def as_string(self, *, required: bool = False) -> str | None:
        return self._read(StringType, required=required)

    def is_float(self) -> bool:
        return self.is_type(FloatType)

    @overload
    def as_float(self) -> float | None: ...
    @overload
    def as_float(self, *, required: Literal[True]) -> float: ...
    def as_float(self, *, required: bool = False) -> float | None:
        return self._read(FloatType, required=required)

    def is_double(self) -> bool:
        return self.is_type(DoubleType)

    @overload
    def as_double(self) -> float | None: ...
    @overload
    def as_double(self, *, required: Literal[True]) -> float: ...
    def as_double(self, *, required: bool = False) -> float | None:
        return self._read(DoubleType, required=required)

    def is_type(self, tpe: Type[Any]) -> bool:
        return self.value_typename() == tpe.typename

    @overload
    def as_type(self, tpe: Type[T]) -> T | None: ...
    @overload
    def as_type(self, tpe: Type[T], *, required: Literal[True]) -> T: ...
    def as_type(self, tpe: Type[T], *, required: bool = False) -> T | None:
        return self._read(tpe, required=required)

    def _read(self, tpe: Type[T], *, required: bool) -> T | None:
        data = self.raw_value()
        if data is not None:
            return tpe.serializer().deserialize(data)
        if required:
            raise ValueError(
                f"the message to {self.target_typename}/{self.target_id} has no value; {tpe.typename} is required"
            )
        return None


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
    keyword, value, value_type = _value_of(kwargs)
    data = _bytes_of(keyword, value, value_type)
    message = Message(target_typename, target_id, TypedValue(has_value=True))
    message.carry(value_type.typename, data)
    split_typename(message.target_typename)
    return message


def _bytes_of(keyword: str, value: Any, value_type: Type[Any]) -> bytes:
    if keyword == "value":
        return to_bytes(value, value_type)
    try:
        return to_bytes(value, value_type)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{keyword} of a message: {error}") from error


def _value_of(kwargs: dict[str, Any]) -> tuple[str, Any, Type[Any]]:
    if len(kwargs) == 1:
        ((keyword, value),) = kwargs.items()
        if keyword in _PRIMITIVES:
            return keyword, _present(keyword, value), _PRIMITIVES[keyword]
    unknown = kwargs.keys() - _PRIMITIVES.keys() - _TYPED
    if unknown:
        raise ValueError(f"a message has no {', '.join(sorted(unknown))}; {_HOW}")
    if kwargs and kwargs.keys() <= _TYPED:
        value = _present("value", kwargs.get("value"))
        return "value", value, _present("value_type", kwargs.get("value_type"))
    given = " and ".join(kwargs) or "none"
    raise TypeError(f"a message needs exactly one value, but was given {given}; {_HOW}")


def _present(keyword: str, value: T | None) -> T:
    if value is None:
        raise ValueError(f"{keyword} is missing or None; {_HOW}")
    return value
