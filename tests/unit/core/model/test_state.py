import pytest
from hypothesis import given
from hypothesis import strategies as st
from statefun._wire import ToFunction, TypedValue

from statefun_runtime.core.model.state import (
    ExpireMode,
    StateError,
    StateSchema,
    StateSpec,
    Values,
    decode_row,
    encode_row,
)

INT = "io.statefun.types/int"


def schema(*specs: StateSpec) -> StateSchema:
    made = StateSchema()
    for spec in specs or (StateSpec("visits", INT),):
        made.register(spec)
    return made


def expiring(mode: ExpireMode, after_ms: int = 1000) -> StateSchema:
    return schema(StateSpec("visits", INT, mode, after_ms), StateSpec("name", INT))


def typed(value: bytes = b"\x01", typename: str = INT, *, has_value: bool = True) -> bytes:
    return TypedValue(typename=typename, has_value=has_value, value=value).SerializeToString()


def values(made: StateSchema, **contents: bytes) -> Values:
    return Values({name: made.encode(name, content) for name, content in contents.items()})


def sent(section: bytes) -> list[tuple[str, bytes | None]]:
    batch = ToFunction.InvocationBatchRequest.FromString(section)
    return [
        (entry.state_name, entry.state_value.value if entry.HasField("state_value") else None)
        for entry in batch.state
    ]


# ── the handshake ──


def test_nothing_is_sent_before_a_state_is_known():
    assert StateSchema().section(Values({"visits": b"stored"})) == b""


def test_all_known_states_are_sent_in_the_order_in_which_they_were_learnt():
    made = schema(StateSpec("z", INT), StateSpec("a", INT), StateSpec("m", INT))

    assert sent(made.section(values(made, m=typed(b"3")))) == [
        ("z", None),
        ("a", None),
        ("m", b"3"),
    ]
    assert sent(made.section(None)) == [("z", None), ("a", None), ("m", None)]


def test_a_single_state_is_sent_with_or_without_its_value():
    made = schema()

    assert sent(made.section(values(made, visits=typed(b"7")))) == [("visits", b"7")]
    assert sent(made.section(Values({}))) == [("visits", None)]


def test_a_stored_value_of_a_state_that_is_not_known_is_not_sent():
    made = schema()

    assert sent(made.section(Values({"old": b"stored"}))) == [("visits", None)]


def test_a_known_state_keeps_its_first_expiration():
    made = schema(StateSpec("visits", INT, ExpireMode.AFTER_WRITE, 5))

    made.register(StateSpec("visits", INT, ExpireMode.AFTER_WRITE, 9))

    assert made.specs == (StateSpec("visits", INT, ExpireMode.AFTER_WRITE, 5),)


def test_a_state_cannot_change_its_type():
    with pytest.raises(StateError) as refused:
        schema().register(StateSpec("visits", "t/text"))

    assert str(refused.value) == (
        "state 'visits' was of type 'io.statefun.types/int' and is now declared as 't/text'"
    )


@pytest.mark.parametrize("after_ms", [0, -1])
def test_an_expiration_needs_a_duration(after_ms: int):
    with pytest.raises(StateError) as refused:
        schema(StateSpec("visits", INT, ExpireMode.AFTER_WRITE, after_ms))

    assert (
        str(refused.value) == f"state 'visits' expires after {after_ms} ms; it must be more than 0"
    )


# ── what a reply may store ──


def test_a_value_of_the_declared_type_is_admitted_as_it_is():
    assert schema().admit("visits", typed()) == typed()


def test_unknown_fields_of_a_value_survive():
    made = schema()
    value = typed() + b"\x9a\x06\x03new"

    assert made.admit("visits", value) == value
    assert value in made.section(values(made, visits=value))


def test_a_value_whose_fields_come_in_another_order_is_admitted():
    value = b"\x1a\x01x\x10\x01\x0a\x15" + INT.encode()

    assert schema().admit("visits", value) == value


def test_a_value_that_says_it_has_none_is_stored_all_the_same():
    made = schema()

    admitted = made.admit("visits", typed(b"x", has_value=False))

    assert admitted is not None
    read = TypedValue.FromString(admitted)
    assert (read.typename, read.has_value, read.value) == (INT, True, b"x")


def test_a_deletion_is_admitted():
    assert schema().admit("visits", None) is None


def test_a_value_of_another_type_is_refused():
    with pytest.raises(StateError) as refused:
        schema().admit("visits", typed(typename="t/text"))

    assert str(refused.value) == (
        "state 'visits' is of type 'io.statefun.types/int', the reply has 't/text'"
    )


def test_a_value_without_a_type_counts_as_unset():
    with pytest.raises(StateError, match=r"the reply has 'io\.statefun\.types/unset'"):
        schema().admit("visits", b"")


def test_a_state_that_is_not_declared_is_refused():
    with pytest.raises(StateError) as refused:
        schema().admit("visit", typed())

    assert str(refused.value) == "state 'visit' is not declared by the function (declared: visits)"


@given(st.binary(max_size=40))
def test_bytes_that_are_no_typed_value_are_refused_and_never_worse(value: bytes):
    try:
        schema().admit("visits", value)
    except StateError:
        return
    assert INT.encode() in value


@pytest.mark.parametrize("value", [b"\xff", b"\x0a\xff", b"\x0a\x01\xff", b"\x0a\x80"])
def test_a_damaged_value_is_refused_in_words(value: bytes):
    with pytest.raises(StateError, match=r"state 'visits' is not a typed value"):
        schema().admit("visits", value)


def test_a_stored_value_of_another_type_needs_another_name():
    stored = values(schema(StateSpec("visits", "t/text")), visits=typed(typename="t/text"))

    with pytest.raises(StateError) as refused:
        schema().read(encode_row(stored))

    assert str(refused.value) == (
        "state 'visits' is declared as 'io.statefun.types/int', but the stored value is of type "
        "'t/text'; a new type needs a new state name"
    )


def test_stored_values_of_unknown_states_are_no_concern():
    stored = values(schema(StateSpec("old", "t/x")), old=typed(typename="t/x"))

    assert schema().read(encode_row(stored)) == stored


# ── rows ──


@given(
    st.dictionaries(st.text(min_size=1, max_size=20), st.binary(max_size=300), max_size=5),
    st.sampled_from([0, 1, 1_700_000_000_000]),
    st.booleans(),
)
def test_a_row_is_read_as_it_was_written(
    contents: dict[str, bytes], invoked_ms: int, has_stamps: bool
):
    made = schema(*(StateSpec(name, INT) for name in contents) if contents else ())
    stamps = {name: 1000 + index for index, name in enumerate(contents)} if has_stamps else None
    row = Values(values(made, **contents).fields, stamps or None, invoked_ms)

    assert decode_row(encode_row(row)) == row


@given(
    st.dictionaries(st.sampled_from(["a", "b", "visits"]), st.binary(max_size=200)),
    st.permutations(["a", "b", "visits"]),
    st.integers(0, 3),
)
def test_a_row_is_the_same_however_many_of_its_states_are_known(
    contents: dict[str, bytes], names: list[str], known: int
):
    wrote = schema(*(StateSpec(name, INT) for name in names))
    stored = values(wrote, **{name: typed(content) for name, content in contents.items()})

    reads = schema(*(StateSpec(name, INT) for name in names[:known]))

    assert reads.read(encode_row(stored)) == stored


@pytest.mark.parametrize("size", [0, 60, 90, 91, 92, 93, 94, 95, 96, 97, 98, 99, 130, 40_000])
def test_the_type_of_a_value_of_any_size_is_checked(size: int):
    stored = values(schema(StateSpec("visits", "t/x")), visits=typed(b"v" * size, "t/x"))

    assert schema(StateSpec("visits", "t/x")).read(encode_row(stored)) == stored
    with pytest.raises(StateError, match="declared as 't/y'"):
        schema(StateSpec("visits", "t/y")).read(encode_row(stored))


def test_a_row_that_was_cut_off_is_refused():
    made = expiring(ExpireMode.AFTER_WRITE)
    row = encode_row(Values(values(made, visits=typed(b"12345")).fields, {"visits": 7}, 9))

    head_size = 1 + 8
    for end in {*range(1, len(row))} - {head_size}:
        with pytest.raises(ValueError):
            decode_row(row[:end])
    plain = encode_row(values(made, visits=typed(b"12345")))
    for end in range(2, len(plain)):
        with pytest.raises(ValueError):
            made.read(plain[:end])
    with pytest.raises(ValueError, match="unknown byte"):
        decode_row(b"\x07" + row)


# ── expiration ──


def test_a_value_lives_until_its_time_has_passed_since_it_was_written():
    made = expiring(ExpireMode.AFTER_WRITE)
    kept = values(made, visits=typed(), name=typed())
    kept.written_ms = {"visits": 5000, "name": 5000}

    assert not made.drop_expired(kept, 5999)
    assert made.drop_expired(kept, 6000)
    assert list(kept.fields) == ["name"]
    assert kept.written_ms == {"name": 5000}


def test_an_invocation_is_a_new_start_only_for_states_that_say_so():
    after_write, after_invoke = expiring(ExpireMode.AFTER_WRITE), expiring(ExpireMode.AFTER_INVOKE)
    for made, is_expired in ((after_write, True), (after_invoke, False)):
        kept = values(made, visits=typed())
        kept.written_ms = {"visits": 5000}
        kept.invoked_ms = 5900

        assert made.drop_expired(kept, 6500) is is_expired


def test_a_write_is_a_new_start_also_for_states_that_expire_after_invoke():
    made = expiring(ExpireMode.AFTER_INVOKE)
    kept = values(made, visits=typed())
    kept.written_ms = {"visits": 5900}
    kept.invoked_ms = 5000

    assert not made.drop_expired(kept, 6500)


def test_a_value_written_before_its_state_had_an_expiration_lives_from_now_on():
    made = expiring(ExpireMode.AFTER_WRITE)
    kept = values(made, visits=typed())

    assert made.drop_expired(kept, 50_000)
    assert list(kept.fields) == ["visits"]
    assert not made.drop_expired(kept, 50_999)
    assert made.drop_expired(kept, 51_000)
    assert not kept.fields


def test_states_without_expiration_and_unknown_ones_never_expire():
    made = expiring(ExpireMode.AFTER_WRITE)
    kept = Values({"name": b"a", "unknown": b"b"})

    assert not made.drop_expired(kept, 10**15)


def test_a_schema_knows_whether_anything_of_it_expires():
    assert not schema().has_expiration
    assert expiring(ExpireMode.AFTER_WRITE).has_expiration
    assert not expiring(ExpireMode.AFTER_WRITE).expires_after_invoke
    assert expiring(ExpireMode.AFTER_INVOKE).expires_after_invoke
