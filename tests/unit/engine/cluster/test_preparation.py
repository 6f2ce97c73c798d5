"""Who stands by for a plan begins with that plan, where it sits, or not at all."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import pytest

from statefun_runtime.core.checkpoints.manifest import ObjectId
from statefun_runtime.core.cluster.plan import Plan, assign
from statefun_runtime.engine.cluster.preparation import Preparation
from statefun_runtime.errors import UnavailableError
from statefun_runtime.ports.team import Hired

PLAN, OTHER = assign(8, [0, 1]), assign(8, [0, 1, 2])
FIRST = ObjectId("first")


class AnsweringPipe:
    """Says that it has prepared what it was told to, or the answer that it was given."""

    def __init__(self, answer: bytes | None = None) -> None:
        self.told: list[dict[str, Any]] = []
        self._answer = answer

    def say(self, said: dict[str, Any] | bytes) -> None:
        assert isinstance(said, dict)
        self.told.append(said)

    async def heard(self) -> AsyncGenerator[bytes, None]:
        if self._answer is None:
            yield json.dumps({"prepared": self.told[-1]["prepare"]}).encode()
        elif self._answer:
            yield self._answer

    def close(self) -> None:
        raise AssertionError


class Seats:
    """A workplace whose workers all answer."""

    def __init__(self, answer: bytes | None = None) -> None:
        self.pipes: dict[int, AnsweringPipe] = {}
        self.killed: list[int] = []
        self.requests: dict[int, dict[str, Any]] = {}
        self.is_as_planned = True
        self._answer = answer

    async def hire(self, requests: Mapping[int, dict[str, Any]]) -> dict[int, Hired]:
        self.requests = dict(requests)
        self.pipes = {slot: AnsweringPipe(self._answer) for slot in requests}
        return {slot: Hired(10 + slot, 100, self.pipes[slot]) for slot in requests}

    def keeps(self, numbers: Mapping[int, int]) -> bool:
        assert numbers == {slot: 10 + slot for slot in self.pipes}
        return self.is_as_planned

    def kill(self, number: int) -> None:
        self.killed.append(number)


def prepared(seats: Any, plan: Plan = PLAN) -> Preparation:
    preparation = Preparation(seats, plan, "life 1")
    asyncio.run(preparation.run(lambda: FIRST))
    return preparation


def test_all_are_told_what_they_own_and_what_to_open():
    seats = Seats()
    prepared(seats)

    assert seats.requests == {
        0: {"slot": 0, "nonce": "life 1", "key_groups": [0, 4]},
        1: {"slot": 1, "nonce": "life 1", "key_groups": [4, 8]},
    }
    assert [pipe.told for pipe in seats.pipes.values()] == [[{"prepare": FIRST}]] * 2


def test_their_lives_begin_with_what_is_asked_of_them():
    seats = Seats()
    preparation = prepared(seats)

    hired = preparation.begin(PLAN, {0: {"nonce": "n"}, 1: {"nonce": "n"}})

    assert hired is not None
    assert [one.number for one in hired.values()] == [10, 11]
    assert all(pipe.told[-1] == {"live": {"nonce": "n"}} for pipe in seats.pipes.values())
    assert seats.killed == []


@pytest.mark.parametrize(("plan", "is_as_planned"), [(OTHER, True), (PLAN, False)])
def test_whoever_stands_by_for_another_plan_or_elsewhere_is_dismissed(
    plan: Plan, is_as_planned: bool
):
    seats = Seats()
    preparation = prepared(seats)
    seats.is_as_planned = is_as_planned

    assert preparation.begin(plan, {}) is None

    assert seats.killed == [10, 11]
    assert all("live" not in pipe.told[-1] for pipe in seats.pipes.values())


@pytest.mark.parametrize(
    ("answer", "why"),
    [(b'{"unprepared": "the store is away"}', "the store is away"), (b"", "it is gone")],
)
def test_one_that_cannot_be_prepared_is_told(answer: bytes, why: str):
    with pytest.raises(UnavailableError, match=f"worker 0 to come: {why}"):
        prepared(Seats(answer))
