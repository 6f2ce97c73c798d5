"""The wire contract's message classes, in a descriptor pool of our own.

A second `request-reply.proto` in protobuf's default pool raises TypeError, and a user's program
may well hold one. So nothing is generated: the tables below say what `protos/` says (a test
compares them), and `_wire.pyi` says the same to type checkers.
"""

from collections.abc import Mapping
from typing import Any

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)

Fields = tuple[str, ...]

_REQUEST_REPLY = {
    "Address": ("string namespace = 1", "string type = 2", "string id = 3"),
    "TypedValue": ("string typename = 1", "bool has_value = 2", "bytes value = 3"),
    "ToFunction": ("InvocationBatchRequest invocation = 100",),
    "ToFunction.PersistedValue": ("string state_name = 1", "TypedValue state_value = 2"),
    "ToFunction.Invocation": ("Address caller = 1", "TypedValue argument = 2"),
    "ToFunction.InvocationBatchRequest": (
        "Address target = 1",
        "repeated PersistedValue state = 2",
        "repeated Invocation invocations = 3",
    ),
    "FromFunction": (
        "InvocationResponse invocation_result = 100",
        "IncompleteInvocationContext incomplete_invocation_context = 101",
    ),
    "FromFunction.PersistedValueMutation": (
        "MutationType mutation_type = 1",
        "string state_name = 2",
        "TypedValue state_value = 3",
    ),
    "FromFunction.Invocation": ("Address target = 1", "TypedValue argument = 2"),
    "FromFunction.DelayedInvocation": (
        "int64 delay_in_ms = 1",
        "Address target = 2",
        "TypedValue argument = 3",
        "bool is_cancellation_request = 10",
        "string cancellation_token = 11",
    ),
    "FromFunction.EgressMessage": (
        "string egress_namespace = 1",
        "string egress_type = 2",
        "TypedValue argument = 3",
    ),
    "FromFunction.InvocationResponse": (
        "repeated PersistedValueMutation state_mutations = 1",
        "repeated Invocation outgoing_messages = 2",
        "repeated DelayedInvocation delayed_invocations = 3",
        "repeated EgressMessage outgoing_egresses = 4",
    ),
    "FromFunction.ExpirationSpec": ("ExpireMode mode = 1", "int64 expire_after_millis = 2"),
    "FromFunction.PersistedValueSpec": (
        "string state_name = 1",
        "ExpirationSpec expiration_spec = 2",
        "string type_typename = 3",
    ),
    "FromFunction.IncompleteInvocationContext": ("repeated PersistedValueSpec missing_values = 1",),
}
_TYPES = {
    "BooleanWrapper": ("bool value = 1",),
    "IntWrapper": ("sfixed32 value = 1",),
    "FloatWrapper": ("float value = 1",),
    "LongWrapper": ("sfixed64 value = 1",),
    "DoubleWrapper": ("double value = 1",),
    "StringWrapper": ("string value = 1",),
}
_EGRESS = {
    "KafkaProducerRecord": ("string key = 1", "bytes value_bytes = 2", "string topic = 3"),
    "KinesisEgressRecord": (
        "string partition_key = 1",
        "bytes value_bytes = 2",
        "string stream = 3",
        "string explicit_hash_key = 4",
    ),
}
_ENUMS = {
    "FromFunction.PersistedValueMutation": ("MutationType", ("DELETE", "MODIFY")),
    "FromFunction.ExpirationSpec": ("ExpireMode", ("NONE", "AFTER_WRITE", "AFTER_INVOKE")),
}
# A message named here keeps all its fields in one oneof of that name.
_ONEOFS = {"ToFunction": "request", "FromFunction": "response"}

_SCALARS = {
    "double": FieldDescriptorProto.TYPE_DOUBLE,
    "float": FieldDescriptorProto.TYPE_FLOAT,
    "int64": FieldDescriptorProto.TYPE_INT64,
    "bool": FieldDescriptorProto.TYPE_BOOL,
    "string": FieldDescriptorProto.TYPE_STRING,
    "bytes": FieldDescriptorProto.TYPE_BYTES,
    "sfixed32": FieldDescriptorProto.TYPE_SFIXED32,
    "sfixed64": FieldDescriptorProto.TYPE_SFIXED64,
}


def _add_file(name: str, package: str, messages: Mapping[str, Fields]) -> None:
    file = FileDescriptorProto(name=name, package=package, syntax="proto3")
    by_name: dict[str, DescriptorProto] = {}
    for path, fields in messages.items():
        parent, _, simple_name = path.rpartition(".")
        siblings = by_name[parent].nested_type if parent else file.message_type
        by_name[path] = siblings.add(name=simple_name)
        _add_content(by_name[path], path, fields)
    POOL.Add(file)


def _add_content(message: DescriptorProto, path: str, fields: Fields) -> None:
    if path in _ENUMS:
        name, values = _ENUMS[path]
        enum = message.enum_type.add(name=name)
        for number, value in enumerate(values):
            enum.value.add(name=value, number=number)
    if path in _ONEOFS:
        message.oneof_decl.add(name=_ONEOFS[path])
    for line in fields:
        field = _add_field(message, line)
        if path in _ONEOFS:
            field.oneof_index = 0


def _add_field(message: DescriptorProto, line: str) -> FieldDescriptorProto:
    *label, kind, name, _, number = line.split()
    field = message.field.add(name=name, number=int(number))
    field.label = (
        FieldDescriptorProto.LABEL_REPEATED if label else FieldDescriptorProto.LABEL_OPTIONAL
    )
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
    else:
        # Relative, without a type: the pool looks it up from the innermost scope outwards.
        field.type_name = kind
    return field


def _message_class(name: str) -> Any:
    return _class_of(POOL.FindMessageTypeByName(f"io.statefun.sdk.{name}"))


def _class_of(descriptor: Descriptor) -> Any:
    message_class = message_factory.GetMessageClass(descriptor)
    for nested in descriptor.nested_types:
        # protobuf in pure Python does not put nested classes where protoc's code has them.
        if not hasattr(message_class, nested.name):
            setattr(message_class, nested.name, _class_of(nested))
    return message_class


POOL = descriptor_pool.DescriptorPool()
_add_file("request-reply.proto", "io.statefun.sdk.reqreply", _REQUEST_REPLY)
_add_file("types.proto", "io.statefun.sdk.types", _TYPES)
_add_file("egress.proto", "io.statefun.sdk.egress", _EGRESS)

Address = _message_class("reqreply.Address")
TypedValue = _message_class("reqreply.TypedValue")
ToFunction = _message_class("reqreply.ToFunction")
FromFunction = _message_class("reqreply.FromFunction")
BooleanWrapper = _message_class("types.BooleanWrapper")
IntWrapper = _message_class("types.IntWrapper")
FloatWrapper = _message_class("types.FloatWrapper")
LongWrapper = _message_class("types.LongWrapper")
DoubleWrapper = _message_class("types.DoubleWrapper")
StringWrapper = _message_class("types.StringWrapper")
KafkaProducerRecord = _message_class("egress.KafkaProducerRecord")
KinesisEgressRecord = _message_class("egress.KinesisEgressRecord")
