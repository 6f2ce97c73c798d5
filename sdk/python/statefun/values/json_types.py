"""JSON values as objects of a class: a dataclass, a pydantic model, a msgspec struct.

What a dataclass's annotations say is looked at once, when the type is made: what cannot be read back from JSON is
refused then. What was stored earlier may lack fields that have a default, and have fields that are gone.
"""

import dataclasses
import json
import math
import types
import typing
from collections.abc import Callable
from datetime import date, datetime
from enum import Enum
from reprlib import repr as shortened
from typing import Any, TypeVar

T = TypeVar("T")
# From what JSON holds, and where it was found, to what the annotation says.
Reader = Callable[[Any, str], Any]
Known = dict[type, Reader]

# pydantic and msgspec write NaN as null, which neither reads back as the number that it was.
_MAY_STAND_FOR_NAN = b"null"

_PLAIN: dict[Any, type] = {str: str, int: int, bool: bool, types.NoneType: types.NoneType}


def json_codec(cls: type[T]) -> tuple[Callable[[T], bytes], Callable[[bytes], T]]:
    """Return what writes and what reads the objects of a class; raise TypeError for one that is none of the three."""
    if not isinstance(cls, type):
        raise TypeError(f"a JSON type needs a class, not {cls!r}")
    given: Any = cls
    if hasattr(cls, "model_validate_json"):
        return (
            _checked(cls, _write_pydantic),
            given.model_validate_json,
        )
    if hasattr(cls, "__struct_fields__"):
        import msgspec

        def write(value: T) -> bytes:
            data: bytes = msgspec.json.encode(value)
            if _MAY_STAND_FOR_NAN in data and _has_nan(msgspec.to_builtins(value)):
                _refuse_nan(value)
            return data

        return _checked(cls, write), msgspec.json.Decoder(given).decode
    if dataclasses.is_dataclass(cls):
        read = _reader(cls, cls.__name__, {})
        return _checked(cls, _write), lambda data: typing.cast(
            T, read(json.loads(data), cls.__name__)
        )
    raise TypeError(
        f"a JSON type needs a dataclass, a pydantic model or a msgspec struct, not {cls.__qualname__}"
    )


def dump_json(value: object, default: Callable[[Any], Any] | None = None) -> bytes:
    """Return a value as JSON; raise ValueError for numbers that JSON does not have, and other languages do not read."""
    try:
        text = json.dumps(value, default=default, ensure_ascii=False, allow_nan=False)
    except ValueError as error:
        if "JSON compliant" not in str(error):
            raise
        _refuse_nan(value)
    return text.encode()


def _has_nan(value: Any) -> bool:
    """Return whether numbers that JSON does not have are in what objects were turned into."""
    if isinstance(value, float):
        return not math.isfinite(value)
    if isinstance(value, dict):
        return any(map(_has_nan, value.values()))
    return isinstance(value, (list, tuple, set, frozenset)) and any(map(_has_nan, value))


def _refuse_nan(value: object) -> typing.NoReturn:
    raise ValueError(f"JSON has no NaN and no infinity, as in {shortened(value)}") from None


def _checked(cls: type[T], write: Callable[[T], bytes]) -> Callable[[T], bytes]:
    def checked(value: T) -> bytes:
        if not isinstance(value, cls):
            kind = type(value).__name__
            raise TypeError(f"{cls.__qualname__} is needed, not {shortened(value)} ({kind})")
        return write(value)

    return checked


def _write_pydantic(value: Any) -> bytes:
    text: str = value.model_dump_json()
    data = text.encode()
    # Not as for JSON, where values of any type have become null already.
    if _MAY_STAND_FOR_NAN in data and _has_nan(value.model_dump()):
        _refuse_nan(value)
    if b"NaN" in data or b"Infinity" in data:
        # As text they may be meant: what a model writes is its own affair, as long as it is JSON.
        json.loads(data, parse_constant=lambda _: _refuse_nan(value))
    return data


def _write(value: object) -> bytes:
    return dump_json(value, default=_plain)


def _plain(value: Any) -> Any:
    """Return what JSON has for an object that it does not know."""
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, (set, frozenset)):
        return list(value)
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{type(value).__qualname__} has no form in JSON")


# ── reading a dataclass ──


def _reader(annotation: Any, where: str, known: Known) -> Reader:
    """Return what reads a value of this annotation; raise TypeError if there is no way to tell.

    `known` are the classes that were met, which may hold objects of themselves.
    """
    if annotation is Any or annotation is object:
        return lambda value, _: value
    if annotation in _PLAIN:
        return _plain_reader(_PLAIN[annotation])
    if annotation is float:
        return _float
    origin, parts = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _reader(parts[0], where, known)
    if origin in (typing.Union, types.UnionType):
        return _optional_reader(annotation, parts, where, known)
    if origin is typing.Literal:
        return _member_reader(parts)
    if origin in (list, set, frozenset) or (origin is tuple and parts[1:] == (...,)):
        return _many_reader(origin, _reader(parts[0], where, known))
    if origin is dict and parts[0] is str:
        return _dict_reader(_reader(parts[1], where, known))
    if isinstance(annotation, type):
        if dataclasses.is_dataclass(annotation):
            return known.get(annotation) or _dataclass_reader(annotation, known)
        if issubclass(annotation, Enum):
            return _converter(annotation, "one of " + ", ".join(repr(e.value) for e in annotation))
        if annotation in (date, datetime):
            return _converter(annotation.fromisoformat, f"a {annotation.__name__} in ISO format")
    raise TypeError(
        f"{where} is {annotation!r}, which cannot be read back from JSON; "
        "str, int, float, bool, datetime, enums, dataclasses, and list, dict[str, …] and | None of them can"
    )


def _refuse(value: Any, where: str, expected: str) -> typing.NoReturn:
    raise ValueError(f"{where} must be {expected}, not {shortened(value)}")


def _plain_reader(kind: type) -> Reader:
    name = "null" if kind is types.NoneType else kind.__name__

    def read(value: Any, where: str) -> Any:
        # A bool is an int in Python, and not in JSON.
        if type(value) is not kind:
            _refuse(value, where, name)
        return value

    return read


def _float(value: Any, where: str) -> float:
    if type(value) not in (int, float):
        _refuse(value, where, "float")
    return float(value)


def _optional_reader(annotation: Any, parts: tuple[Any, ...], where: str, known: Known) -> Reader:
    others = [part for part in parts if part is not types.NoneType]
    if len(others) != 1:
        raise TypeError(f"{where} is {annotation}; JSON does not say which of them a value is")
    read = _reader(others[0], where, known)
    return lambda value, where: None if value is None else read(value, where)


def _member_reader(members: tuple[Any, ...]) -> Reader:
    def read(value: Any, where: str) -> Any:
        if value not in members:
            _refuse(value, where, "one of " + ", ".join(map(repr, members)))
        return value

    return read


def _many_reader(make: Callable[[Any], Any], read: Reader) -> Reader:
    def read_many(value: Any, where: str) -> Any:
        if not isinstance(value, list):
            _refuse(value, where, "a list")
        return make(read(item, f"{where}[{at}]") for at, item in enumerate(value))

    return read_many


def _dict_reader(read: Reader) -> Reader:
    def read_dict(value: Any, where: str) -> Any:
        if not isinstance(value, dict):
            _refuse(value, where, "an object")
        return {key: read(item, f"{where}[{key!r}]") for key, item in value.items()}

    return read_dict


def _converter(convert: Callable[[Any], Any], expected: str) -> Reader:
    def read(value: Any, where: str) -> Any:
        try:
            return convert(value)
        except (ValueError, TypeError):
            _refuse(value, where, expected)

    return read


def _dataclass_reader(cls: Any, known: Known) -> Reader:
    readers: dict[str, Reader] = {}
    required: list[str] = []

    def read(value: Any, where: str) -> Any:
        if not isinstance(value, dict):
            _refuse(value, where, "an object")
        for name in required:
            if name not in value:
                raise ValueError(f"{where}.{name} is missing")
        return cls(
            **{
                name: read_field(value[name], f"{where}.{name}")
                for name, read_field in readers.items()
                if name in value
            }
        )

    known[cls] = read
    annotations = typing.get_type_hints(cls, include_extras=True)
    for field in dataclasses.fields(cls):
        if field.init:
            where = f"{cls.__name__}.{field.name}"
            readers[field.name] = _reader(annotations[field.name], where, known)
            if field.default is field.default_factory is dataclasses.MISSING:
                required.append(field.name)
    return read
