"""The bytes that go out are those of the wire contract (spec, Appendix B), and what protobuf would make of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from statefun._wire import Address as WireAddress
from statefun._wire import ToFunction, TypedValue

from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.model.messages import (
    IngressEncoder,
    address_field,
    invocation,
    read_varint,
    request,
    split_fields,
    total_size,
    typed_value,
    varint,
)
from statefun_runtime.core.model.state import StateSchema, StateSpec

BOB = TypeName("example", "person")
TEXTS = st.text(max_size=300)


def test_a_first_request_is_byte_for_byte_as_the_contract_has_it():
    encoded = IngressEncoder("example/GreetRequest").encode(b'{"name": "Bob"}')

    assert request(address_field(BOB, "Bob"), b"", [encoded]).hex() == (
        "a206450a160a076578616d706c651206706572736f6e1a03426f62"
        "1a2b12290a146578616d706c652f47726565745265717565737410011a0f7b226e616d65223a2022426f62227d"
    )


def test_a_declared_state_without_value_is_byte_for_byte_as_the_contract_has_it():
    schema = StateSchema()
    schema.register(StateSpec("visits", "io.statefun.types/int"))

    assert schema.section(None).hex() == "12080a06766973697473"


def test_a_value_without_type_has_no_typename_field():
    assert IngressEncoder("").encode(b"v").hex() == "1a0712051001" + "1a0176"


def test_an_empty_value_from_an_ingress_is_there():
    (only,) = decode(request(address_field(BOB, "Bob"), b"", [IngressEncoder("t/x").encode(b"")]))

    assert only.argument.has_value
    assert only.argument.value == b""


@given(
    namespace=TEXTS,
    name=TEXTS,
    function_id=TEXTS,
    value=st.binary(max_size=300),
    caller_id=TEXTS,
    sizes=st.lists(st.sampled_from([0, 1, 126, 127, 128, 16383, 16384, 70_000]), max_size=3),
)
def test_protobuf_reads_a_spliced_request_as_what_was_meant(
    namespace: str, name: str, function_id: str, value: bytes, caller_id: str, sizes: list[int]
):
    target = TypeName(namespace, name)
    argument = TypedValue(typename="t/x", has_value=True, value=value).SerializeToString()
    parts = [IngressEncoder(name).encode(b"v" * size) for size in sizes]
    parts.append(invocation(address_field(target, caller_id), argument))

    body = request(address_field(target, function_id), b"", parts)

    batch = ToFunction.FromString(body).invocation
    assert batch.target == WireAddress(namespace=namespace, type=name, id=function_id)
    *from_ingress, last = batch.invocations
    assert [len(part.argument.value) for part in from_ingress] == sizes
    assert not any(part.HasField("caller") for part in from_ingress)
    assert last.caller == WireAddress(namespace=namespace, type=name, id=caller_id)
    assert last.argument.value == value
    if 0 not in sizes:
        # An empty value is written out here, and left out by protobuf; both read the same.
        assert ToFunction.FromString(body).SerializeToString() == body


def test_a_typed_value_with_unknown_fields_is_passed_on_bit_for_bit():
    argument = typed_value("t/x", b"v") + b"\x9a\x06\x03new"

    encoded = invocation(address_field(BOB, "Bob"), argument)

    assert encoded.endswith(argument)
    assert decode(request(address_field(BOB, "Bob"), b"", [encoded]))[0].argument.value == b"v"


def test_invocations_of_one_encoder_and_size_differ_in_the_value_only():
    encoder = IngressEncoder("t/x")

    assert encoder.encode(b"aa")[:-2] == encoder.encode(b"bb")[:-2]


@given(st.lists(st.binary(max_size=200)))
def test_a_stored_backlog_is_cut_into_its_invocations_again(values: list[bytes]):
    parts = [IngressEncoder("t/x").encode(value) for value in values]

    assert list(split_fields(b"".join(parts))) == parts
    assert total_size(parts) == len(b"".join(parts))


def test_a_backlog_that_was_cut_off_is_refused():
    whole = IngressEncoder("t/x").encode(b"value")

    for end in range(1, len(whole)):
        with pytest.raises(ValueError):
            list(split_fields(whole[:end]))


@given(st.integers(0, 2**63))
def test_varints_are_read_as_they_were_written(number: int):
    encoded = varint(number)

    assert read_varint(b"x" + encoded + b"y", 1) == (number, 1 + len(encoded))


@pytest.mark.parametrize("data", [b"", b"\x80", b"\xff" * 11])
def test_a_varint_that_does_not_end_is_refused(data: bytes):
    with pytest.raises(ValueError, match="cut off or too long"):
        read_varint(data, 0)


def decode(body: bytes) -> list[ToFunction.Invocation]:
    return list(ToFunction.FromString(body).invocation.invocations)
