"""A ValueSpec says how a state is called, what it holds and when it expires."""

from datetime import timedelta

import pytest
from statefun import IntType, ValueSpec


@pytest.mark.parametrize("name", ["a", "seen_count", "_a", "a1", "match", "self", "é"])
def test_names_that_can_be_attributes_are_accepted(name: str):
    assert ValueSpec(name, IntType).name == name


@pytest.mark.parametrize(
    ("expirations", "expected"),
    [
        ({}, (0, False, False)),
        ({"expire_after_call": timedelta(seconds=1)}, (1000, True, False)),
        ({"expire_after_write": timedelta(days=1)}, (86_400_000, False, True)),
        ({"expire_after_write": timedelta(microseconds=1999)}, (1, False, True)),
        ({"expire_after_call": timedelta(0)}, (0, False, False)),
        (
            {"expire_after_call": timedelta(0), "expire_after_write": timedelta(seconds=2)},
            (2000, False, True),
        ),
        # As the stock SDK has it.
        ({"expire_after_call": timedelta(milliseconds=1001)}, (1000, True, False)),
    ],
)
def test_an_expiration_is_in_whole_milliseconds_and_zero_is_none(expirations, expected):
    spec = ValueSpec("seen", IntType, **expirations)

    assert (spec.duration, spec.after_call, spec.after_write) == expected
    assert spec.type is IntType


IDENTIFIER = "use letters, digits and underscores, and no digit first"
REFUSALS = [
    (
        lambda: ValueSpec("", IntType),
        ValueError,
        "a ValueSpec needs a name; it becomes an attribute of context.storage",
    ),
    (
        lambda: ValueSpec(5, IntType),
        TypeError,
        "the name of a ValueSpec must be a str, not 5",
    ),
    (
        lambda: ValueSpec("a b", IntType),
        ValueError,
        f"state name 'a b' cannot be an attribute of context.storage; {IDENTIFIER}",
    ),
    (
        lambda: ValueSpec("1a", IntType),
        ValueError,
        f"state name '1a' cannot be an attribute of context.storage; {IDENTIFIER}",
    ),
    (
        lambda: ValueSpec("class", IntType),
        ValueError,
        "state name 'class' is a Python keyword, so it cannot be an attribute of context.storage",
    ),
    (
        lambda: ValueSpec("seenCount", IntType),
        ValueError,
        "state name 'seenCount' is not in lower case",
    ),
    (lambda: ValueSpec("_1", IntType), ValueError, "state name '_1' is not in lower case"),
    (
        lambda: ValueSpec("__class__", IntType),
        ValueError,
        "state name '__class__' belongs to Python itself; choose one without __",
    ),
    (lambda: ValueSpec("seen", None), ValueError, "state 'seen' needs a type, like IntType"),
    (
        lambda: ValueSpec("seen", int),
        TypeError,
        "the type of state 'seen' must be a statefun Type, like IntType, not <class 'int'>",
    ),
    (
        lambda: ValueSpec("seen", IntType, timedelta(1), timedelta(1)),
        ValueError,
        "state 'seen' has both expire_after_call and expire_after_write; choose one",
    ),
    (
        lambda: ValueSpec("seen", IntType, expire_after_write=60),
        TypeError,
        "expire_after_write of state 'seen' must be a timedelta, not 60 (int)",
    ),
]


@pytest.mark.parametrize(("attempt", "error", "message"), REFUSALS)
def test_a_refusal_says_what_was_wrong(attempt, error, message):
    with pytest.raises(error) as refusal:
        attempt()
    assert str(refusal.value) == message
