"""A class that says what a function keeps is held against its specs when it is bound."""

from typing import Any, Optional

import pytest
from statefun import (
    IntType,
    Message,
    StatefulFunctions,
    StringType,
    TypedContext,
    ValueSpec,
    make_json_type,
)

from tests.unit.sdk.sdk_requests import FUNCTION, INT, invoke, value

SPECS = [
    ValueSpec("seen", IntType),
    ValueSpec("name", StringType),
    ValueSpec("items", make_json_type("t/items")),
]


class Good:
    seen: int | None
    name: Optional[str]  # noqa: UP045
    items: Any


class Lacking:
    seen: int | None
    name: str | None


class Surplus(Good):
    other: int | None


class Absent:
    seen: int
    name: str | None
    items: Any


class Wrong(Good):
    seen: str | None  # type: ignore[assignment]


def bind(storage: Any) -> None:
    @StatefulFunctions().bind(FUNCTION, SPECS, storage=storage)
    def function(context: TypedContext[Any], message: Message) -> None: ...


def test_a_class_that_says_what_the_specs_say_is_taken():
    bind(Good)


@pytest.mark.parametrize(
    ("storage", "said"),
    [
        (
            Lacking,
            "Lacking, the storage of function 'com.example/user', lacks 'items', for which there is a ValueSpec",
        ),
        (
            Surplus,
            "Surplus, the storage of function 'com.example/user', has 'other', for which there is no ValueSpec (there is 'seen', 'name', 'items')",
        ),
        (
            Absent,
            "Absent, the storage of function 'com.example/user', has 'seen' as int; a state without a value is None: say int | None",
        ),
        (
            Wrong,
            "Wrong, the storage of function 'com.example/user', has 'seen' as str | None; its ValueSpec is of io.statefun.types/int, which is int",
        ),
        (7, "the storage of function 'com.example/user' must be a class, not 7"),
    ],
)
def test_one_that_says_something_else_is_refused(storage: Any, said: str):
    with pytest.raises((TypeError, ValueError)) as refusal:
        bind(storage)
    assert str(refusal.value) == said


def test_the_storage_is_what_it_always_is():
    def function(context, message):
        context.storage.seen = (context.storage.seen or 0) + 1

    answer = invoke(function, [SPECS[0]], state={"seen": value(INT, has_value=False)})
    assert answer.invocation_result.state_mutations[0].state_name == "seen"
