"""What a leader makes of what processes say of its workers, in whatever order it comes."""

import asyncio
from collections.abc import Awaitable, Callable, Collection

import pytest

from statefun_runtime.adapters.team.far_workplace import FarWorkplace
from statefun_runtime.core.cluster.presence import Here, Presence
from statefun_runtime.errors import UnavailableError
from statefun_runtime.ports.control import Notice


class SaidControl:
    def __init__(self) -> None:
        self.notices: list[tuple[str, str, int]] = []

    def say(self, to: str, kind: str, number: int = 0, content: bytes = b"") -> None:
        self.notices.append((to, kind, number))

    async def said(self) -> None:
        raise AssertionError

    async def run(self, take: Callable[[Notice], None], begun: Callable[[], None]) -> None:
        raise AssertionError


async def _ends(slots: Collection[int]) -> dict[int, int]:
    return dict.fromkeys(slots, 0)


def _workplace() -> tuple[FarWorkplace, SaidControl, Presence]:
    control, presence = SaidControl(), Presence("one", wait=0)
    for name in ("one", "two"):
        presence.heard(name, Here(name, 1, 1, "form"))
    workplace = FarWorkplace(control, presence, "form", 4, _ends)
    assert workplace.seat() == [0, 1]
    return workplace, control, presence


def _run(test: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        await test()

    asyncio.run(run())


def test_of_a_plan_that_does_not_come_about_no_worker_is_left():
    async def test() -> None:
        workplace, control, _ = _workplace()
        async with asyncio.TaskGroup() as tasks:
            hiring = tasks.create_task(_fails_to_hire(workplace))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            workplace.take(Notice("one", "hired", 1, b"11"))
            workplace.take(Notice("two", "exited", 2, b"1"))
            await hiring
        assert ("one", "kill", 1) in control.notices

    _run(test)


async def _fails_to_hire(workplace: FarWorkplace) -> None:
    with pytest.raises(UnavailableError, match="ended at once"):
        await workplace.hire({0: {}, 1: {}})


def test_a_worker_of_a_process_that_was_taken_for_gone_comes_too_late_and_does_no_harm():
    async def test() -> None:
        workplace, _, presence = _workplace()
        async with asyncio.TaskGroup() as tasks:
            hiring = tasks.create_task(_loses(workplace))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            presence.forget("two")
            workplace.look()
            workplace.take(Notice("two", "hired", 2, b"22"))
            workplace.take(Notice("one", "hired", 1, b"11"))
            await hiring

    _run(test)


async def _loses(workplace: FarWorkplace) -> None:
    with pytest.raises(UnavailableError, match="process two is gone"):
        await workplace.hire({0: {}, 1: {}})


def test_who_was_hired_for_what_is_foreseen_is_kept_if_that_comes_about():
    async def test() -> None:
        workplace, control, presence = _workplace()
        presence.heard("three", Here("three", 1, 1, "form"))
        assert workplace.foresee() == [0, 1, 2]
        assert workplace.seating == {0: "one", 1: "two"}
        async with asyncio.TaskGroup() as tasks:
            hiring = tasks.create_task(workplace.hire({0: {}, 1: {}, 2: {}}))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            for number, name in enumerate(("one", "two", "three"), 1):
                assert (name, "hire", number) in control.notices
                workplace.take(Notice(name, "hired", number, b"1"))
            numbers = {slot: one.number for slot, one in (await hiring).items()}
        assert not workplace.keeps(numbers)
        workplace.seat()
        assert workplace.keeps(numbers)
        workplace.take(Notice("two", "exited", 2, b"1"))
        assert not workplace.keeps(numbers)
        workplace.seat()
        for number in numbers.values():
            workplace.kill(number)
        assert [number for _, kind, number in control.notices if kind == "kill"] == [1, 3]

    _run(test)


def test_there_is_room_for_yet_others_than_were_foreseen():
    async def test() -> None:
        workplace, _, presence = _workplace()
        presence.forget("two")
        workplace.foresee()
        workplace.look()
        with pytest.raises(TimeoutError):
            await _changed(workplace)
        presence.forget("three")
        presence.heard("four", Here("four", 1, 1, "form"))
        for _ in range(4):
            presence.heard("one", Here("one", 1, 1, "form"))
            presence.heard("four", Here("four", 1, 1, "form"))
        workplace.look()
        await _changed(workplace)

    _run(test)


def test_what_was_foreseen_and_does_not_come_about_is_found_again():
    async def test() -> None:
        workplace, _, presence = _workplace()
        presence.forget("two")
        workplace.foresee()
        workplace.overlook()
        with pytest.raises(TimeoutError):
            await _changed(workplace)
        workplace.look()
        await _changed(workplace)

    _run(test)


async def _changed(workplace: FarWorkplace) -> None:
    async with asyncio.timeout(0):
        await workplace.changed()
