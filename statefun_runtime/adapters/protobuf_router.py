"""Finds the target of a record in the protobuf message that the record is.

What is wrong with a router is found when it is made: descriptor set, message type, and each path of its target.
"""

from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.module.specs import ProtobufRouter
from statefun_runtime.core.module.templates import FieldPath
from statefun_runtime.errors import ConfigError

# Of a class that is described in a file only, and its descriptors.
Message = Any
Descriptor = Any


class NotRoutable(Exception):
    """A record whose content names no address; `str()` says why."""


class RecordRouter:
    """One router of one ingress."""

    def __init__(self, spec: ProtobufRouter) -> None:
        self._spec = spec
        pool = _read_descriptor_set(spec)
        try:
            message = pool.FindMessageTypeByName(spec.message_type)
        except KeyError as error:
            raise _unusable(spec, f"has no message {spec.message_type}") from error
        for path in spec.target.paths():
            _check_path(path, message, spec)
        self._message_class: Message = message_factory.GetMessageClass(message)

    def target(self, value: bytes) -> tuple[TypeName, str]:
        """Return the function type and the id that a record goes to; raise NotRoutable if it names none."""
        message = self._message_class()
        try:
            message.ParseFromString(value)
        except DecodeError as error:
            raise NotRoutable(f"it is no {self._spec.message_type}") from error
        target = self._spec.target
        namespace, name, function_id = (
            "".join(_text(piece, message) for piece in part)
            for part in (target.namespace, target.name, target.id)
        )
        if not name or not function_id:
            raise NotRoutable(f"its target {namespace}/{name}/{function_id} lacks a part")
        return TypeName(namespace, name), function_id


def _read_descriptor_set(spec: ProtobufRouter) -> Descriptor:
    """Return a pool of what the file describes, apart from all other pools."""
    pool = descriptor_pool.DescriptorPool()
    try:
        content = Path(spec.descriptor_set).read_bytes()
        # protoc writes each file behind those that it imports.
        for file in descriptor_pb2.FileDescriptorSet.FromString(content).file:
            pool.Add(file)
    except (OSError, ValueError) as error:
        words = getattr(error, "strerror", None) or str(error)
        raise _unusable(spec, f"cannot be read: {words}") from error
    except (DecodeError, TypeError) as error:
        raise _unusable(spec, f"is none, or lacks imports: {error}") from error
    return pool


def _text(piece: str | FieldPath, message: Message) -> str:
    if isinstance(piece, str):
        return piece
    value, enum = message, None
    for step in piece.steps:
        if isinstance(step, int):
            if step >= len(value):
                raise NotRoutable(f"its list at {piece} has {len(value)} entries")
            value = value[step]
        else:
            field = value.DESCRIPTOR.fields_by_name[step]
            value, enum = getattr(value, step), field.enum_type
    if isinstance(value, bool):
        return "true" if value else "false"
    if enum is not None and value in enum.values_by_number:
        return str(enum.values_by_number[value].name)
    return str(value)


def _check_path(path: FieldPath, message: Message, spec: ProtobufRouter) -> None:
    """Refuse a path that does not lead to a single value in each message of this type."""
    field: Descriptor = None
    is_list = False
    for step in path.steps:
        if isinstance(step, int):
            if not is_list:
                raise _bad_path(path, f"has the index {step} where there is no list", spec)
            is_list = False
            continue
        if is_list or message is None:
            what = "a list without an index" if is_list else f"{field.name}, which is no message"
            raise _bad_path(path, f"goes on behind {what}", spec)
        field = message.fields_by_name.get(step)
        if field is None:
            raise _bad_path(
                path, f"names the field '{step}', which {message.full_name} lacks", spec
            )
        message, is_list = field.message_type, _is_list(field)
        if message is not None and message.GetOptions().map_entry:
            raise _bad_path(path, f"leads into the map '{step}'", spec)
    if is_list or message is not None or field.type == field.TYPE_BYTES:
        what = "a list" if is_list else "bytes" if message is None else "a message"
        raise _bad_path(path, f"ends at {what}", spec)


def _is_list(field: Descriptor) -> bool:
    # Older releases of protobuf have only the label, newer ones only the question.
    is_repeated = getattr(field, "is_repeated", None)
    return field.label == field.LABEL_REPEATED if is_repeated is None else bool(is_repeated)


def _bad_path(path: FieldPath, defect: str, spec: ProtobufRouter) -> ConfigError:
    return _unusable(spec, f"does not fit: {path} {defect}")


def _unusable(spec: ProtobufRouter, defect: str) -> ConfigError:
    return ConfigError(
        f"the descriptor set {spec.descriptor_set} of a router of {spec.message_type} {defect}",
        code="SF1067",
        hint="write it with protoc --include_imports --descriptor_set_out, from the files of today",
    )
