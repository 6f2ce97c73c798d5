"""Values become the bytes of the contract, and come back."""

import math
import struct
from dataclasses import dataclass

import pytest
from google.protobuf.message import DecodeError
from google.protobuf.wrappers_pb2 import StringValue
from hypothesis import given
from hypothesis import strategies as st
from statefun import (
    BoolType,
    DoubleType,
    FloatType,
    IntType,
    LongType,
    StringType,
    Type,
    TypeSerializer,
    make_json_type,
    make_protobuf_type,
    simple_type,
)

VECTORS = [
    (BoolType, True, "0801"),
    (BoolType, False, ""),
    (IntType, 0, ""),
    (IntType, 1, "0d01000000"),
    (IntType, -1, "0dffffffff"),
    (IntType, 123, "0d7b000000"),
    (IntType, -(2**31), "0d00000080"),
    (LongType, 0, ""),
    (LongType, 1, "090100000000000000"),
    (LongType, 2**63 - 1, "09ffffffffffffff7f"),
    (FloatType, 0.0, ""),
    (FloatType, 1.0, "0d0000803f"),
    (DoubleType, 1.0, "09000000000000f03f"),
    (StringType, "", ""),
    (StringType, "hi", "0a026869"),
    (StringType, "é中", "0a05c3a9e4b8ad"),
]


@pytest.mark.parametrize(("type_", "value", "data"), VECTORS)
def test_a_primitive_has_the_bytes_of_the_contract(type_: Type, value: object, data: str):
    serializer = type_.serializer()

    assert serializer.serialize(value).hex() == data
    read = serializer.deserialize(bytes.fromhex(data))
    assert read == value
    assert type(read) is type(value)


def test_the_primitives_have_the_typenames_of_the_contract():
    types = (BoolType, IntType, FloatType, LongType, DoubleType, StringType)

    assert [type_.typename for type_ in types] == [
        "io.statefun.types/bool",
        "io.statefun.types/int",
        "io.statefun.types/float",
        "io.statefun.types/long",
        "io.statefun.types/double",
        "io.statefun.types/string",
    ]


@given(st.integers(-(2**31), 2**31 - 1))
def test_every_int_comes_back(value: int):
    assert IntType.serializer().deserialize(IntType.serializer().serialize(value)) == value


@given(st.integers(-(2**63), 2**63 - 1))
def test_every_long_comes_back(value: int):
    assert LongType.serializer().deserialize(LongType.serializer().serialize(value)) == value


@given(st.floats())
def test_every_double_comes_back_bit_for_bit_and_only_plus_zero_is_empty(value: float):
    data = DoubleType.serializer().serialize(value)
    read = DoubleType.serializer().deserialize(data)

    if math.isnan(value):
        assert math.isnan(read)
    else:
        assert struct.pack("<d", read) == struct.pack("<d", value)
    assert (data == b"") == (struct.pack("<d", value) == bytes(8))


@given(st.text())
def test_every_text_comes_back(value: str):
    assert StringType.serializer().deserialize(StringType.serializer().serialize(value)) == value


def test_a_bool_is_an_int_for_every_number_type():
    assert IntType.serializer().serialize(True).hex() == "0d01000000"
    assert LongType.serializer().serialize(False) == b""
    assert DoubleType.serializer().serialize(True) == DoubleType.serializer().serialize(1.0)


def test_json_is_text_as_json_dumps_writes_it_without_escapes():
    json_type = make_json_type("com.example/json")

    data = json_type.serializer().serialize({"name": "Zoé", "list": [1, None]})

    assert data == '{"name": "Zoé", "list": [1, null]}'.encode()
    assert json_type.serializer().deserialize(data) == {"name": "Zoé", "list": [1, None]}


@dataclass
class Price:
    amount: float


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_what_json_does_not_have_is_an_error_that_names_the_type(number: float):
    """Python would write NaN, which no other language reads."""
    plain, typed = make_json_type("shop/prices"), make_json_type("shop/price", Price)

    for json_type, value in ((plain, {"pear": [number]}), (typed, Price(number))):
        with pytest.raises(ValueError, match="JSON has no NaN and no infinity, as in ") as caught:
            json_type.serializer().serialize(value)
        assert caught.value.__notes__ == [f"as a value of type {json_type.typename}"]


@pytest.mark.parametrize(
    ("namespace", "typename"),
    [
        (None, "type.googleapis.com/google.protobuf.StringValue"),
        ("com.example", "com.example/google.protobuf.StringValue"),
    ],
)
def test_a_protobuf_type_is_named_after_its_message(namespace: str | None, typename: str):
    type_ = make_protobuf_type(StringValue, namespace)

    assert type_.typename == typename
    assert type_.serializer().serialize(StringValue(value="x")) == b"\n\x01x"
    assert type_.serializer().deserialize(b"\n\x01x") == StringValue(value="x")


def test_a_simple_type_uses_its_two_functions():
    type_ = simple_type("com.example/text", serialize_fn=str.encode, deserialize_fn=bytes.decode)

    assert type_.serializer().serialize("x") == b"x"
    assert type_.serializer().deserialize(b"x") == "x"


def test_a_type_can_be_a_class_of_the_users_own():
    class Reversed(TypeSerializer):
        def serialize(self, value):
            return value.encode()[::-1]

        def deserialize(self, byte):
            return byte[::-1].decode()

    class ReversedType(Type):
        def __init__(self):
            super().__init__("com.example/reversed")

        def serializer(self):
            return Reversed()

    assert ReversedType().serializer().serialize("abc") == b"cba"
    with pytest.raises(TypeError, match="abstract"):
        Type("com.example/none")


@pytest.mark.parametrize("type_", [IntType, LongType, FloatType, DoubleType, StringType, BoolType])
def test_bytes_of_another_kind_are_not_read(type_: Type):
    with pytest.raises(DecodeError):
        type_.serializer().deserialize(b"\xff")


REFUSALS = [
    (
        lambda: make_json_type(""),
        ValueError,
        "a type needs a typename, like 'com.example/User'",
    ),
    (
        lambda: simple_type(serialize_fn=str.encode, deserialize_fn=bytes.decode),
        ValueError,
        "a type needs a typename, like 'com.example/User'",
    ),
    (
        lambda: simple_type("a/b", deserialize_fn=bytes.decode),
        ValueError,
        "type 'a/b' needs a serialize_fn, from a value to bytes",
    ),
    (
        lambda: simple_type("a/b", serialize_fn=str.encode),
        ValueError,
        "type 'a/b' needs a deserialize_fn, from bytes to a value",
    ),
    (
        lambda: make_protobuf_type(None),
        ValueError,
        "a protobuf type needs the class that protoc generated",
    ),
    (
        lambda: make_protobuf_type(int),
        TypeError,
        "a protobuf type needs the class that protoc generated, not <class 'int'>",
    ),
    (
        lambda: IntType.serializer().serialize("5"),
        TypeError,
        "io.statefun.types/int takes int, not '5' (str)",
    ),
    (
        lambda: StringType.serializer().serialize(5),
        TypeError,
        "io.statefun.types/string takes str, not 5 (int)",
    ),
    (
        lambda: BoolType.serializer().serialize(None),
        TypeError,
        "io.statefun.types/bool takes bool, not None (NoneType)",
    ),
    (
        lambda: IntType.serializer().serialize(2**31),
        ValueError,
        "2147483648 does not fit io.statefun.types/int: Value out of range: 2147483648",
    ),
]


@pytest.mark.parametrize(("attempt", "error", "message"), REFUSALS)
def test_a_refusal_says_what_was_wrong(attempt, error, message):
    with pytest.raises(error) as refusal:
        attempt()
    assert str(refusal.value) == message
