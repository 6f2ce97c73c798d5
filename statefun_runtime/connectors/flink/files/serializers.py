"""What the head of a stream says of its states: their names, and how their values are written.

A serializer snapshot has no length, so that behind one of an unknown class nothing can be found.
"""

from dataclasses import dataclass

from statefun_runtime.connectors.flink.files.source import Source
from statefun_runtime.core.model.messages import read_fields

_KEYED_FORMAT, _OPERATOR_FORMAT = 6, 5
_COMPOSITE, _NESTED, _TABLE = 911108, 1333245, 0x4F2C69A3D70
_KINDS = ("value", "operator", "broadcast", "queue")
_DEPTH_MAX = 16
_COMPOSITES = {
    "MapSerializerSnapshot": "map",
    "ListSerializerSnapshot": "list",
    "TtlStateFactory$TtlSerializerSnapshot": "ttl",
    "TupleSerializerSnapshot": "tuple",
    "TwoPhaseCommitSinkFunction$StateSerializerSnapshot": "transactions",
    "TimerSerializerSnapshot": "timer",
    "GenericArraySerializerSnapshot": "array",
}


@dataclass(frozen=True, slots=True)
class Serializer:
    """How something is written: `name` is of a kind, `detail` what the kind says besides, `nested` what it is made of."""

    name: str
    detail: str = ""
    nested: tuple["Serializer", ...] = ()

    def __str__(self) -> str:
        return f"{self.name} of {self.detail}" if self.detail else self.name


@dataclass(frozen=True, slots=True)
class StateMeta:
    """One state of an operator; `form` is VALUE, LIST or MAP of a keyed one."""

    name: str
    kind: str
    form: str
    value: Serializer | None


def read_keyed_head(source: Source) -> tuple[bool, list[StateMeta]]:
    """Read the head of keyed state: whether it is compressed, and its states."""
    _expect(source, _KEYED_FORMAT)
    is_compressed = source.truth()
    key = _versioned_serializer(source)
    if key.name != "String":
        raise ValueError(f"its keys are written as {key}: it is no state of StateFun")
    return is_compressed, [_meta(source) for _ in range(_states(source))]


def read_operator_head(source: Source) -> dict[str, StateMeta]:
    """Read the head of operator state."""
    _expect(source, _OPERATOR_FORMAT)
    metas = [_meta(source) for _ in range(2) for _ in range(_states(source))]
    return {meta.name: meta for meta in metas}


def _expect(source: Source, wanted: int) -> None:
    version = source.i32()
    if version != wanted:
        raise ValueError(f"the stream is of version {version}, and {wanted} is known")


def _states(source: Source) -> int:
    count = source.i16()
    if count < 0:
        raise ValueError(f"{count} states cannot follow")
    return count


def _meta(source: Source) -> StateMeta:
    name, kind = source.utf(), source.i32()
    if not 0 <= kind < len(_KINDS):
        raise ValueError(f"state {name!r} is of the unknown kind {kind}")
    options = {source.utf(): source.utf() for _ in range(source.count(4))}
    serializers = {source.utf(): _versioned_serializer(source) for _ in range(source.count(12))}
    form = options.get("KEYED_STATE_TYPE", "")
    return StateMeta(name, _KINDS[kind], form, serializers.get("VALUE_SERIALIZER"))


def _versioned_serializer(source: Source) -> Serializer:
    _expect(source, 2)
    return _serializer(source, 0)


def _serializer(source: Source, depth: int) -> Serializer:
    if depth > _DEPTH_MAX:
        raise ValueError("serializers are nested without end")
    class_name, version = source.utf(), source.i32()
    short = class_name.rpartition(".")[2]
    if short == "RemoteValueSerializerSnapshot":
        return Serializer("remote value", f"{source.utf()}/{source.utf()}")
    if short == "MessageTypeSerializer$Snapshot":
        return _message_serializer(source, version)
    if short == "ProtobufTypeSerializerSnapshot":
        fields = dict(read_fields(source.blob()))
        return Serializer("protobuf", fields.get(1, b"").decode())
    if short in ("KryoSerializerSnapshot", "PojoSerializerSnapshot") and version == 2:
        return _class_serializer(source, "kryo" if short.startswith("Kryo") else "pojo")
    if short == "EnumSerializer$EnumSerializerSnapshot":
        return _enum_serializer(source)
    if short in _COMPOSITES:
        return _composite(source, short, version, depth)
    return _simple(source, short, class_name, version)


def _message_serializer(source: Source, version: int) -> Serializer:
    kind = source.utf()
    if version >= 2 and source.truth():
        source.utf()
    return Serializer("message", kind)


def _class_serializer(source: Source, name: str) -> Serializer:
    """Read the snapshot of Kryo, or of a POJO: a class, and three tables of what there is a length of.

    Of a POJO they are its fields, and its subclasses that are registered, and that are not.
    """
    class_name = source.utf()
    for _ in range(3):
        if source.i64() != _TABLE:
            raise ValueError(f"a {name} serializer does not look like one")
        for _ in range(source.count(4)):
            source.utf()
            for _ in range(2):
                if source.truth():
                    source.blob()
    return Serializer(name, class_name)


def _enum_serializer(source: Source) -> Serializer:
    class_name = source.utf()
    for _ in range(source.count(2)):
        source.utf()
    return Serializer("enum", class_name)


def _composite(source: Source, short: str, version: int, depth: int) -> Serializer:
    name, detail = _COMPOSITES[short], ""
    if version > 2:
        if source.i32() != _COMPOSITE:
            raise ValueError(f"a {name} serializer does not look like one")
        version = source.i32()
    if name in ("tuple", "array"):
        source.utf()
    if name == "transactions" and (version == 3 or (version > 3 and source.truth())):
        detail = "nullable"
    if source.i32() != _NESTED or source.i32() != 1:
        raise ValueError(f"what a {name} serializer is made of does not look like it")
    nested = tuple(_serializer(source, depth + 1) for _ in range(source.count(6)))
    return Serializer(name, detail, nested)


def _simple(source: Source, short: str, class_name: str, version: int) -> Serializer:
    """Read a snapshot that says nothing but its class; version 2 says it twice."""
    if version == 2:
        source.utf()
    elif version != 3 or not _is_simple(short):
        raise ValueError(
            f"the serializer {class_name} (version {version}) is not known, and nothing behind it can be found"
        )
    return Serializer(short.partition("$")[0].replace("Serializer", ""))


def _is_simple(short: str) -> bool:
    """Whether a class is one of Flink's that have no content: they are named after the serializer they are in."""
    outer, _, inner = short.rpartition("$")
    return inner.endswith("Snapshot") and "Serializer" in (outer or inner)
