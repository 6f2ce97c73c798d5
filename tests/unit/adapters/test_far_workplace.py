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
