"""State as a function sees it, and what of it goes back."""

import pytest
from google.protobuf.message import DecodeError
from statefun import IntType, StringType, ValueSpec, make_json_type
from statefun._wire import FromFunction

from tests.unit.sdk.sdk_requests import INT, STRING, invoke, value

JSON = make_json_type("com.example/json")
SEEN = ValueSpec("seen", IntType)
NAME = ValueSpec("name", StringType)
DATA = ValueSpec("data", JSON)
FIVE = value(INT, b"\x0d\x05\x00\x00\x00")

MODIFY = FromFunction.PersistedValueMutation.MODIFY
DELETE = FromFunction.PersistedValueMutation.DELETE


def see(read, specs, state):
    """Return what `read` finds in the storage of one invocation."""
    found = []
    invoke(lambda context, message: found.append(read(context.storage)), specs, state=state)
    return found[0]


def changes(change, specs, state):
    """Return the mutations of one invocation, as (name, kind, bytes)."""
    response = invoke(lambda context, message: change(context.storage), specs, state=state)
    return [
        (mutation.state_name, mutation.mutation_type, mutation.state_value.value)
        for mutation in response.invocation_result.state_mutations
    ]


@pytest.mark.parametrize(
    ("received", "expected"),
    [
        (None, None),
        (value(INT, has_value=False), None),
        (value("", has_value=False), None),
        # Whoever left no value left no type either.
        (value("com.example/other", has_value=False), None),
        (value(INT), 0),
        (FIVE, 5),
    ],
)
def test_a_state_is_its_value_or_none(received, expected):
    assert see(lambda storage: storage.seen, [SEEN], {"seen": received}) == expected


def test_states_without_a_spec_are_not_there():
    assert see(dir, [SEEN], {"seen": FIVE, "zombie": FIVE}) == ["seen"]
    assert see(lambda storage: hasattr(storage, "zombie"), [SEEN], {"seen": FIVE}) is False


def test_reading_changes_nothing():
    assert changes(lambda storage: storage.seen, [SEEN], {"seen": FIVE}) == []


def test_a_set_state_reads_as_set_and_is_modified():
    def change(storage):
        storage.seen = 7
        assert storage.seen == 7

    assert changes(change, [SEEN], {"seen": FIVE}) == [("seen", MODIFY, b"\x0d\x07\x00\x00\x00")]


def test_setting_the_same_value_is_a_write():
    def change(storage):
        storage.seen = 5

    assert changes(change, [SEEN], {"seen": FIVE}) == [("seen", MODIFY, FIVE.value)]


def test_a_modification_carries_type_and_presence_even_of_an_empty_value():
    def change(storage):
        storage.seen = 0

    response = invoke(
        lambda context, message: change(context.storage), [SEEN], state={"seen": None}
    )
    assert response.invocation_result.state_mutations[0].state_value == value(INT)


def test_a_deleted_state_reads_as_none_and_is_deleted():
    def change(storage):
        del storage.seen
        assert storage.seen is None

    assert changes(change, [SEEN], {"seen": FIVE}) == [("seen", DELETE, b"")]


def test_the_last_of_set_and_delete_counts():
    def set_then_delete(storage):
        storage.seen = 1
        del storage.seen

    def delete_then_set(storage):
        del storage.seen
        del storage.seen
        storage.seen = 1

    assert changes(set_then_delete, [SEEN], {"seen": None}) == [("seen", DELETE, b"")]
    assert changes(delete_then_set, [SEEN], {"seen": FIVE}) == [
        ("seen", MODIFY, b"\x0d\x01\x00\x00\x00")
    ]


def test_mutations_come_in_the_order_of_the_specs():
    def change(storage):
        del storage.data
        storage.name = "x"
        storage.seen = 1

    touched = changes(change, [SEEN, NAME, DATA], {"data": None, "name": None, "seen": None})

    assert [name for name, _, _ in touched] == ["seen", "name", "data"]


def test_a_state_lives_through_the_batch():
    counts = []

    def count(context, message):
        context.storage.seen = (context.storage.seen or 0) + 1
        counts.append(context.storage.seen)

    response = invoke(count, [SEEN], state={"seen": FIVE}, arguments=[value(STRING)] * 3)

    assert counts == [6, 7, 8]
    assert [m.state_value.value[1] for m in response.invocation_result.state_mutations] == [8]


def test_an_object_is_serialized_when_set_and_read_anew_when_got():
    def change(storage):
        items = [1]
        storage.data = items
        items.append(2)
        storage.data.append(3)
        assert storage.data == [1]

    assert changes(change, [DATA], {"data": None}) == [("data", MODIFY, b"[1]")]


def test_a_failed_set_leaves_the_state_as_it_was():
    def change(storage):
        storage.seen = 1
        with pytest.raises(TypeError):
            storage.seen = "x"

    assert changes(change, [SEEN], {"seen": FIVE}) == [("seen", MODIFY, b"\x0d\x01\x00\x00\x00")]


def test_a_state_stored_as_another_type_can_be_replaced_but_not_read():
    other = value("com.example/other", b"x")

    def change(storage):
        with pytest.raises(TypeError):
            storage.seen  # noqa: B018
        storage.seen = 1

    assert changes(change, [SEEN], {"seen": other}) == [("seen", MODIFY, b"\x0d\x01\x00\x00\x00")]


def test_state_names_do_not_meet_the_storages_own():
    specs = [ValueSpec(name, IntType) for name in ("_specs", "received", "__written", "self")]

    def change(storage):
        for spec in specs:
            setattr(storage, spec.name, 5)
            assert getattr(storage, spec.name) == 5

    touched = changes(change, specs, dict.fromkeys(spec.name for spec in specs))

    assert [name for name, _, _ in touched] == ["_specs", "received", "__written", "self"]


def read_seen(storage):
    return storage.seen


def set_seen_to(content):
    return lambda storage: setattr(storage, "seen", content)


SEEN_STATE = "state 'seen' (io.statefun.types/int) of function 'com.example/user'"
UNKNOWN = "'x' is not a registered ValueSpec for the function 'com.example/user'"
REFUSALS = [
    (lambda storage: storage.x, FIVE, AttributeError, UNKNOWN, []),
    (lambda storage: setattr(storage, "x", 1), FIVE, AttributeError, UNKNOWN, []),
    (lambda storage: delattr(storage, "x"), FIVE, AttributeError, UNKNOWN, []),
    (
        set_seen_to(None),
        FIVE,
        ValueError,
        f"{SEEN_STATE} cannot be set to None. To delete a value, please use del: "
        "del context.storage.seen",
        [],
    ),
    (
        set_seen_to("x"),
        FIVE,
        TypeError,
        "io.statefun.types/int takes int, not 'x' (str)",
        [f"while setting {SEEN_STATE}"],
    ),
    (
        read_seen,
        value("com.example/other", b"x"),
        TypeError,
        f"{SEEN_STATE} was stored as com.example/other; "
        "give its ValueSpec that type, or choose another name for the new one",
        [],
    ),
    (
        read_seen,
        value("", b"x"),
        TypeError,
        f"{SEEN_STATE} was stored as no type; "
        "give its ValueSpec that type, or choose another name for the new one",
        [],
    ),
]


@pytest.mark.parametrize(("attempt", "received", "error", "message", "notes"), REFUSALS)
def test_a_refusal_says_what_was_wrong(attempt, received, error, message, notes):
    with pytest.raises(error) as refusal:
        invoke(lambda context, _: attempt(context.storage), [SEEN], state={"seen": received})
    assert str(refusal.value) == message
    assert getattr(refusal.value, "__notes__", []) == notes


def test_bytes_that_do_not_parse_are_reported_with_their_state():
    with pytest.raises(DecodeError) as refusal:
        see(read_seen, [SEEN], {"seen": value(INT, b"\xff")})
    assert refusal.value.__notes__ == [f"while reading {SEEN_STATE}"]
