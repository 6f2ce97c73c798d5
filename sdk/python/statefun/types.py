"""Types: how values of a function become the bytes of a typed value, and come back."""

import json
import struct
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, overload

from google.protobuf.message import Message as ProtobufMessage

from statefun import _wire
from statefun.calls.arguments import refuse, text
from statefun.values.json_types import dump_json, json_codec

if TYPE_CHECKING:
    # The default lets users write plain `Type`; type checkers bring typing_extensions along.
    from typing_extensions import TypeVar

    T = TypeVar("T", default=Any)
    M = TypeVar("M", bound=ProtobufMessage)
else:
    from typing import TypeVar

    T = TypeVar("T")
    M = TypeVar("M")


class TypeSerializer(ABC, Generic[T]):
    """Turns values of one type into bytes and back."""

    __slots__ = ()

    @abstractmethod
    def serialize(self, value: T) -> bytes: ...

    @abstractmethod
    def deserialize(self, byte: bytes) -> T: ...


class Type(ABC, Generic[T]):
    """A value type: the typename it has on the wire, and its serializer.

    The typename alone decides whether two programs speak of the same type.
    """

    __slots__ = ("typename",)

    def __init__(self, typename: str) -> None:
        if typename is None or typename == "":
            raise ValueError("a type needs a typename, like 'com.example/User'")
        self.typename = text(typename, "typename", "a type")

    @abstractmethod
    def serializer(self) -> TypeSerializer[T]: ...


def simple_type(
    typename: str | None = None,
    serialize_fn: Callable[[T], bytes] | None = None,
    deserialize_fn: Callable[[bytes], T] | None = None,
) -> Type[T]:
    """Make a type from a typename and two functions."""
    if typename is None or typename == "":
        raise ValueError("a type needs a typename, like 'com.example/User'")
    typename = text(typename, "typename", "a type")
    if serialize_fn is None:
        raise ValueError(f"type {typename!r} needs a serialize_fn, from a value to bytes")
    if deserialize_fn is None:
        raise ValueError(f"type {typename!r} needs a deserialize_fn, from bytes to a value")
    for name, fn in (("serialize_fn", serialize_fn), ("deserialize_fn", deserialize_fn)):
        if not callable(fn):
            refuse(fn, name, f"type {typename!r}", "a function")
    return _SimpleType(typename, _FunctionSerializer(serialize_fn, deserialize_fn))


@overload
def make_json_type(typename: str) -> Type[Any]: ...
@overload
def make_json_type(typename: str, cls: type[T]) -> Type[T]: ...
def make_json_type(typename: str, cls: type[T] | None = None) -> Type[Any]:
    """Make a type whose values are written as JSON text in UTF-8.

    With a class, a dataclass, a pydantic model or a msgspec struct, values are its objects; without
    one they are what JSON has, which is no NaN and no infinity.
    """
    write, read = (_serialize_json, json.loads) if cls is None else json_codec(cls)

    def serialize(value: Any) -> bytes:
        try:
            return write(value)
        except (TypeError, ValueError) as error:
            error.add_note(f"as a value of type {typename}")
            raise

    return simple_type(typename, serialize, read)


def make_protobuf_type(cls: type[M], namespace: str | None = None) -> Type[M]:
    """Make a type from a generated protobuf class.

    Its typename is `<namespace>/<full protobuf name>`; without a namespace it is protobuf's
    own `type.googleapis.com`.
    """
    if not cls:
        raise ValueError("a protobuf type needs the class that protoc generated")
    descriptor = getattr(cls, "DESCRIPTOR", None)
    if not isinstance(cls, type) or descriptor is None:
        raise TypeError(f"a protobuf type needs the class that protoc generated, not {cls!r}")
    if namespace:
        namespace = text(namespace, "namespace", f"the type of {descriptor.full_name}")
    typename = f"{namespace or 'type.googleapis.com'}/{descriptor.full_name}"
    return simple_type(typename, _serialize_protobuf, cls.FromString)


def to_bytes(value: T, value_type: Type[T]) -> bytes:
    """Serialize a value, and hold the serializer to its promise of bytes."""
    if not hasattr(value_type, "serializer"):
        raise TypeError(f"a value type must be a statefun Type, like IntType, not {value_type!r}")
    data = value_type.serializer().serialize(value)
    if not isinstance(data, bytes):
        raise TypeError(
            f"the serializer of {value_type.typename} must return bytes, not {type(data).__name__}"
        )
    return data


def to_typed_value(value: T, value_type: Type[T]) -> _wire.TypedValue:
    data = to_bytes(value, value_type)
    return _wire.TypedValue(typename=value_type.typename, has_value=True, value=data)


class _FunctionSerializer(TypeSerializer[T]):
    __slots__ = ("_deserialize_fn", "_serialize_fn")

    def __init__(
        self, serialize_fn: Callable[[T], bytes], deserialize_fn: Callable[[bytes], T]
    ) -> None:
        self._serialize_fn = serialize_fn
        self._deserialize_fn = deserialize_fn

    def serialize(self, value: T) -> bytes:
        return self._serialize_fn(value)

    def deserialize(self, byte: bytes) -> T:
        return self._deserialize_fn(byte)


class _PrimitiveSerializer(TypeSerializer[T]):
    """Values as a protobuf message with the value as its only field.

    With a `form`, the tag of that field and how the value is packed, usual values need no such message.
    """

    __slots__ = (
        "_expected",
        "_pack",
        "_parse",
        "_size",
        "_tag",
        "_typename",
        "_unpack",
        "_wrapper",
    )

    def __init__(
        self,
        typename: str,
        wrapper: type[Any],
        expected: type[T],
        form: tuple[int, str] | None = None,
    ) -> None:
        self._tag, packed = form or (0, "<B")
        self._pack = struct.Struct(f"<B{packed[1:]}").pack
        self._unpack = struct.Struct(packed).unpack_from
        self._size = 1 + struct.calcsize(packed) if form else -1
        self._typename = typename
        self._wrapper = wrapper
        self._parse = wrapper.FromString
        self._expected = expected

    def serialize(self, value: T) -> bytes:
        if value and type(value) is self._expected and self._tag:
            try:
                return self._pack(self._tag, value)
            except (struct.error, OverflowError):
                # Protobuf says what does not fit.
                pass
        wrapped = self._wrapper()
        try:
            # A bool is an int in Python; not every version of protobuf agrees.
            wrapped.value = int(value) if value is True or value is False else value
        except TypeError as error:
            raise TypeError(
                f"{self._typename} takes {self._expected.__name__}, "
                f"not {value!r} ({type(value).__name__})"
            ) from error
        except ValueError as error:
            raise ValueError(f"{value!r} does not fit {self._typename}: {error}") from error
        data: bytes = wrapped.SerializeToString()
        return data

    def deserialize(self, byte: bytes) -> T:
        if len(byte) == self._size and byte[0] == self._tag:
            read: T = self._unpack(byte, 1)[0]
            return read
        value: T = self._parse(byte).value
        return value


class _SimpleType(Type[T]):
    __slots__ = ("_serializer",)

    def __init__(self, typename: str, serializer: TypeSerializer[T]) -> None:
        super().__init__(typename)
        self._serializer = serializer

    def serializer(self) -> TypeSerializer[T]:
        return self._serializer


def _serialize_json(value: Any) -> bytes:
    return dump_json(value)


def _serialize_protobuf(value: ProtobufMessage) -> bytes:
    return value.SerializeToString()


def _primitive(
    name: str, wrapper: type[Any], expected: type[T], form: tuple[int, str] | None = None
) -> Type[T]:
    typename = f"io.statefun.types/{name}"
    return _SimpleType(typename, _PrimitiveSerializer(typename, wrapper, expected, form))


BoolType = _primitive("bool", _wire.BooleanWrapper, bool)
IntType = _primitive("int", _wire.IntWrapper, int, (0x0D, "<i"))
FloatType = _primitive("float", _wire.FloatWrapper, float, (0x0D, "<f"))
LongType = _primitive("long", _wire.LongWrapper, int, (0x09, "<q"))
DoubleType = _primitive("double", _wire.DoubleWrapper, float, (0x09, "<d"))
StringType = _primitive("string", _wire.StringWrapper, str)
