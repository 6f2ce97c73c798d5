"""A checkpoint of two participants: the steps are the same as with one."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from statefun_runtime.core.checkpoints.manifest import (
    Confirmed,
    KeyGroups,
    Part,
    Positions,
    Snapshot,
)
from statefun_runtime.engine.checkpoints.bases import Bases
from statefun_runtime.engine.checkpoints.checkpointer import Checkpointer
from statefun_runtime.errors import UnavailableError
from tests.fakes.virtual_time import VirtualClock, run_virtual


@dataclass
class Other:
    """A participant that tells what it was told."""

    owner: str
    told: list[str]
    takes_s: float = 0.0
    fails: bool = False
    is_changed: bool = True
    has_published: bool = False
    left: dict[str, int] = field(default_factory=dict)

    def cut(self, epoch: int) -> None:
        self.told.append(f"{self.owner} cuts {epoch}")

    async def snapshot(self, epoch: int) -> Snapshot:
        await asyncio.sleep(self.takes_s)
        if self.fails:
            raise UnavailableError("no space left", code="SF3010")
        self.told.append(f"{self.owner} acknowledges {epoch}")
        part = Part(self.owner, KeyGroups(0, 128), (), ())
        return Snapshot(part, 0, {}, (), {}, {})

    def completed(self, epoch: int) -> None:
        self.told.append(f"{self.owner} hears that {epoch} is complete")

    def aborted(self, epoch: int) -> None:
        self.told.append(f"{self.owner} hears that {epoch} is aborted")

    def collected(self, left: Sequence[Positions]) -> None:
        self.told.append(f"{self.owner} hears that {left} are left")

    def confirmed(self) -> Confirmed:
        return {self.owner: self.left}


class Book:
    """A ledger that tells what it commits."""

    last_complete = None

    def __init__(self, told: list[str]) -> None:
        self.told = told
        self.is_away = False
        self.left: list[Positions] | None = None

    async def commit(self, epoch: int, parts: Sequence[Snapshot], confirmed: Confirmed) -> None:
        if self.is_away:
            raise UnavailableError("the log cannot be written", code="SF3011")
        self.told.append(f"{epoch} of {[part.owner for part in parts]} {confirmed}")

    async def collect(
        self, confirmed: Confirmed, bases: Sequence[object]
    ) -> list[Positions] | None:
        return self.left


def checkpointer(book: Book, *others: Other) -> Checkpointer:
    bases: Any = Bases(
        "a", KeyGroups(0, 1), None, None, None, last=None, scratch=list, discard=list, pace=None
    )  # type: ignore[arg-type]
    return Checkpointer(
        others,
        book,  # type: ignore[arg-type]
        bases,
        VirtualClock(),
        interval_s=1.0,
        first_epoch=1,
        abandoned=["gone"],
    )


def test_all_cut_at_once_and_it_is_complete_when_the_slowest_has_acknowledged():
    async def main() -> None:
        told: list[str] = []
        slow, quick = Other("slow", told, 5.0, left={"a": 7}), Other("quick", told, left={"b": 8})
        assert await checkpointer(Book(told), slow, quick).take()
        assert told == [
            "slow cuts 1",
            "quick cuts 1",
            "quick acknowledges 1",
            "slow acknowledges 1",
            "1 of ['slow', 'quick'] {'': {'gone': 0}, 'slow': {'a': 7}, 'quick': {'b': 8}}",
            "slow hears that 1 is complete",
            "quick hears that 1 is complete",
        ]

    run_virtual(main)


def test_one_that_fails_aborts_it_for_all_and_the_next_goes_well():
    async def main() -> None:
        told: list[str] = []
        first, second = Other("first", told), Other("second", told, fails=True)
        taking = checkpointer(Book(told), first, second)
        assert not await taking.take()
        assert told[2:] == [
            "first acknowledges 1",
            "first hears that 1 is aborted",
            "second hears that 1 is aborted",
        ]

        second.fails = False
        assert await taking.take()
        assert "2 of ['first', 'second'] {'': {'gone': 0}, 'first': {}, 'second': {}}" in told
        assert (taking.completed_count, taking.aborted_count) == (1, 1)

    run_virtual(main)


def test_what_is_not_in_the_log_is_aborted_for_all():
    async def main() -> None:
        told: list[str] = []
        book = Book(told)
        book.is_away = True
        assert not await checkpointer(book, Other("a", told), Other("b", told)).take()
        assert told[-2:] == ["a hears that 1 is aborted", "b hears that 1 is aborted"]

    run_virtual(main)


def test_one_that_has_changed_is_enough():
    async def main() -> None:
        told: list[str] = []
        one, other = Other("a", told, is_changed=False), Other("b", told, is_changed=False)
        taking = checkpointer(Book(told), one, other)
        assert not taking.is_changed()
        other.is_changed = other.has_published = True
        assert taking.is_changed()
        assert taking.has_published()

    run_virtual(main)


def test_all_hear_which_checkpoints_are_left_when_the_others_were_collected():
    async def main() -> None:
        told: list[str] = []
        book = Book(told)
        taking = checkpointer(book, Other("one", told), Other("other", told))
        assert await taking.take()
        assert "left" not in told[-1]
        book.left = [{"t/in": {"log": 7}}]
        assert await taking.take()
        assert told[-2:] == [
            "one hears that [{'t/in': {'log': 7}}] are left",
            "other hears that [{'t/in': {'log': 7}}] are left",
        ]

    run_virtual(main)
