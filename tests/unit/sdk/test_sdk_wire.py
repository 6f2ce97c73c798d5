"""The message classes say what `protos/` says, and live where they disturb nobody."""

import ast
import re
import subprocess
import sys
from pathlib import Path

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from statefun import _wire

REPOSITORY = Path(__file__).parents[3]
STUB = Path(_wire.__file__).with_suffix(".pyi")

TOKEN = re.compile(r'//[^\n]*|"[^"]*"|[\w.]+|[{}=;]')
SCALARS = {
    getattr(FieldDescriptor, f"TYPE_{name.upper()}"): name
    for name in [
        "double",
        "float",
        "int32",
        "int64",
        "bool",
        "string",
        "bytes",
        "sfixed32",
        "sfixed64",
    ]
}


def declared(path: Path) -> set[str]:
    """Read a .proto file into lines like `package.Message: repeated Kind name = 1 in oneof`."""
    tokens = [token for token in TOKEN.findall(path.read_text()) if not token.startswith("//")]
    lines, scopes, statement = set(), [], []
    package = ""
    for token in tokens:
        if token == "{":
            scopes.append(tuple(statement))
            statement = []
        elif token == "}":
            scopes.pop()
        elif token != ";":
            statement.append(token)
        else:
            if statement[0] == "package":
                package = statement[1]
            elif scopes:
                lines.add(declared_line(package, scopes, statement))
            statement = []
    return lines


def declared_line(package: str, scopes: list[tuple[str, ...]], statement: list[str]) -> str:
    names = [name for keyword, name in scopes if keyword != "oneof"]
    oneof = "".join(f" in {name}" for keyword, name in scopes if keyword == "oneof")
    return f"{package}.{'.'.join(names)}: {' '.join(statement)}{oneof}"


def built(message: Descriptor) -> set[str]:
    """Give a message class's descriptor as the same lines."""
    lines = {f"{message.full_name}: {built_field(field)}" for field in message.fields}
    for enum in message.enum_types:
        lines |= {f"{enum.full_name}: {value.name} = {value.number}" for value in enum.values}
    for nested in message.nested_types:
        lines |= built(nested)
    return lines


def built_field(field: FieldDescriptor) -> str:
    named = field.message_type or field.enum_type
    kind = named.name if named else SCALARS[field.type]
    repeated = "repeated " if is_repeated(field) else ""
    oneof = f" in {field.containing_oneof.name}" if field.containing_oneof else ""
    return f"{repeated}{kind} {field.name} = {field.number}{oneof}"


def is_repeated(field: FieldDescriptor) -> bool:
    if hasattr(field, "is_repeated"):
        return field.is_repeated
    return field.label == FieldDescriptor.LABEL_REPEATED


def top_level_messages() -> dict[str, Descriptor]:
    found = (getattr(message, "DESCRIPTOR", None) for message in vars(_wire).values())
    return {
        descriptor.full_name: descriptor
        for descriptor in found
        if isinstance(descriptor, Descriptor) and descriptor.full_name.startswith("io.statefun.")
    }


def test_the_classes_are_what_the_proto_files_say():
    files = sorted((REPOSITORY / "protos").glob("*/*.proto"))
    contract = {"request-reply.proto", "types.proto", "kafka-egress.proto", "kinesis-egress.proto"}
    from_files = set().union(*(declared(file) for file in files if file.name in contract))

    from_classes = set().union(*(built(message) for message in top_level_messages().values()))

    assert len(from_files) == 57
    assert from_classes == from_files


def test_message_fields_refer_to_the_messages_that_are_meant():
    references = {
        f"{field.containing_type.full_name}.{field.name}": field.message_type.full_name
        for name in ("ToFunction", "FromFunction")
        for message in getattr(_wire, name).DESCRIPTOR.nested_types
        for field in message.fields
        if field.message_type and field.message_type.name == "Invocation"
    }

    package = "io.statefun.sdk.reqreply"
    assert references == {
        f"{package}.ToFunction.InvocationBatchRequest.invocations": (
            f"{package}.ToFunction.Invocation"
        ),
        f"{package}.FromFunction.InvocationResponse.outgoing_messages": (
            f"{package}.FromFunction.Invocation"
        ),
    }


def test_the_stub_for_type_checkers_has_the_same_fields():
    in_stub: dict[str, set[str]] = {}
    collect_stub(ast.parse(STUB.read_text()), "", in_stub)
    in_classes: dict[str, set[str]] = {}
    for message in top_level_messages().values():
        collect_classes(message, "", in_classes)

    assert in_stub == in_classes


def collect_stub(node: ast.Module | ast.ClassDef, prefix: str, found: dict[str, set[str]]) -> None:
    for item in node.body:
        if isinstance(item, ast.ClassDef) and not item.name.startswith("_"):
            path = f"{prefix}{item.name}"
            found[path] = {name for child in item.body if (name := stub_name(child))}
            collect_stub(item, f"{path}.", found)


def stub_name(node: ast.stmt) -> str | None:
    if isinstance(node, ast.AnnAssign):
        return node.target.id
    is_property = isinstance(node, ast.FunctionDef) and any(
        isinstance(decorator, ast.Name) and decorator.id == "property"
        for decorator in node.decorator_list
    )
    return node.name if is_property else None


def collect_classes(message: Descriptor, prefix: str, found: dict[str, set[str]]) -> None:
    path = f"{prefix}{message.name}"
    found[path] = {field.name for field in message.fields}
    found[path] |= {value.name for enum in message.enum_types for value in enum.values}
    for nested in message.nested_types:
        collect_classes(nested, f"{path}.", found)


def test_a_users_own_copy_of_the_contract_lives_in_the_default_pool_beside_ours():
    program = """
import statefun
from google.protobuf import descriptor_pb2, descriptor_pool

file = descriptor_pb2.FileDescriptorProto(
    name="request-reply.proto", package="io.statefun.sdk.reqreply", syntax="proto3"
)
address = file.message_type.add(name="Address")
address.field.add(name="something_else", number=9, type=9, label=1)
descriptor_pool.Default().Add(file)
descriptor_pool.Default().FindMessageTypeByName("io.statefun.sdk.reqreply.Address")
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_the_vectors_of_the_specification():
    request = _wire.ToFunction.FromString(
        bytes.fromhex(
            "a206450a160a076578616d706c651206706572736f6e1a03426f621a2b12290a146578616d706c652f4772656574"
            "5265717565737410011a0f7b226e616d65223a2022426f62227d"
        )
    )
    assert request.invocation.target.id == "Bob"
    assert request.invocation.invocations[0].argument.value == b'{"name": "Bob"}'
    assert not request.invocation.invocations[0].HasField("caller")

    absent = _wire.ToFunction.PersistedValue.FromString(bytes.fromhex("0a06766973697473"))
    assert (absent.state_name, absent.HasField("state_value")) == ("visits", False)

    kafka = _wire.KafkaProducerRecord(key="k", value_bytes=b"v", topic="t")
    assert kafka.SerializeToString().hex() == "0a016b1201761a0174"
    kinesis = _wire.KinesisEgressRecord(
        partition_key="k", value_bytes=b"v", stream="s", explicit_hash_key="h"
    )
    assert kinesis.SerializeToString().hex() == "0a016b1201761a0173220168"

    cancel = _wire.FromFunction()
    cancel.invocation_result.delayed_invocations.add(
        is_cancellation_request=True, cancellation_token="t1"
    )
    assert cancel.SerializeToString().hex() == "a206081a0650015a027431"
