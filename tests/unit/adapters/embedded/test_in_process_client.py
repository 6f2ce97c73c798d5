"""The client of functions in the worker's own process."""

import asyncio
from collections.abc import Awaitable, Callable

from statefun_runtime.adapters.embedded.in_process import InProcessClient, Outcome
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.module.specs import EndpointSpec, FunctionPattern
from statefun_runtime.core.partition.backlog import Backlog, Function
from statefun_runtime.core.partition.partition import Partition
from statefun_runtime.core.partition.retry import Cause, Failure
from tests.fakes.virtual_time import run_virtual

FUNCTION = Function(TypeName("t", "f"), EndpointSpec(FunctionPattern("t", None), "python:shop"))


def address(function_id: str) -> Backlog:
    return Partition(0, range(1)).admit(FUNCTION, function_id, b"")


class Listener:
    def __init__(self) -> None:
        self.told: list[tuple[str, object]] = []
        self.rooms = 0
        self.is_sending = False

    def replied(self, backlog: Backlog, body: bytes) -> None:
        assert not self.is_sending
        self.told.append((backlog.id, body))

    def failed(self, backlog: Backlog, failure: Failure) -> None:
        assert not self.is_sending
        self.told.append((backlog.id, failure.cause))

    def has_room(self) -> None:
        self.rooms += 1


def answer(body: bytes) -> Outcome | Callable[[], Awaitable[Outcome]]:
    """Answer at once, or after a number of seconds."""
    if body == b"bad":
        return Failure(Cause.STATUS, "status 500", 500)
    if not body.isdigit():
        return body.upper()

    async def later() -> Outcome:
        await asyncio.sleep(int(body))
        return b"after " + body

    return later


class Rig:
    def __init__(self, tasks: asyncio.TaskGroup) -> None:
        self.listener = Listener()
        self.client = InProcessClient(answer, tasks.create_task)
        self.client.attach(self.listener)  # type: ignore[arg-type]

    def send(self, backlog: Backlog, body: bytes, *, limit_s: float = 10) -> None:
        self.listener.is_sending = True
        self.client.send(backlog, body, limit_s=limit_s)
        self.listener.is_sending = False


def with_rig(test: Callable[[Rig], Awaitable[None]]) -> None:
    async def run() -> None:
        async with asyncio.TaskGroup() as tasks:
            await test(Rig(tasks))

    run_virtual(run)


def test_what_is_asked_in_one_turn_is_answered_in_the_next_in_the_order_asked():
    async def test(rig: Rig) -> None:
        for name in ("a", "b", "c"):
            rig.send(address(name), b"bad" if name == "b" else name.encode())
        assert rig.listener.told == []

        await asyncio.sleep(0)

        assert rig.listener.told == [("a", b"A"), ("b", Cause.STATUS), ("c", b"C")]
        assert (rig.listener.rooms, rig.client.in_flight()) == (1, 0)

    with_rig(test)


def test_one_that_waits_holds_up_nobody_and_has_its_limit():
    async def test(rig: Rig) -> None:
        rig.send(address("slow"), b"5")
        rig.send(address("late"), b"50")
        rig.send(address("fast"), b"x")

        await asyncio.sleep(20)

        assert rig.listener.told == [("fast", b"X"), ("slow", b"after 5"), ("late", Cause.TIMEOUT)]

    with_rig(test)


def test_nobody_is_told_of_what_is_cancelled_whenever_that_is():
    async def test(rig: Rig) -> None:
        asked, waiting, planned = address("asked"), address("waiting"), address("planned")
        rig.send(waiting, b"5")
        await asyncio.sleep(1)
        rig.send(asked, b"x")
        rig.send(planned, b"5")
        assert rig.client.cancel(asked)
        await asyncio.sleep(0)

        # One has run for a second, the other one's task has not begun.
        assert rig.client.cancel(waiting)
        assert rig.client.cancel(planned)
        assert not rig.client.cancel(planned)
        await asyncio.sleep(20)

        assert rig.listener.told == []
        assert rig.client.in_flight() == 0

    with_rig(test)


def test_after_close_nothing_is_told():
    async def test(rig: Rig) -> None:
        rig.send(address("waiting"), b"5")
        await asyncio.sleep(1)
        rig.send(address("asked"), b"x")
        rooms = rig.listener.rooms
        rig.client.close()

        await asyncio.sleep(20)

        assert (rig.listener.told, rig.listener.rooms) == ([], rooms)

    with_rig(test)


def test_many_are_answered_in_a_row_and_then_told_in_a_row():
    async def test(rig: Rig) -> None:
        told_before: list[int] = []

        def counting(body: bytes) -> bytes:
            told_before.append(len(rig.listener.told))
            return body

        rig.client._answer = counting
        for number in range(200):
            rig.send(address(f"id-{number}"), b"x")

        await asyncio.sleep(0)

        assert told_before == [0] * 128 + [128] * 72
        assert len(rig.listener.told) == 200

    with_rig(test)


def test_who_is_told_may_cancel_and_ask_anew_what_was_answered_meanwhile():
    first, other, third = address("first"), address("other"), address("third")

    async def test(rig: Rig) -> None:
        class Cancelling(Listener):
            def replied(self, backlog: Backlog, body: bytes) -> None:
                super().replied(backlog, body)
                if backlog is first:
                    assert rig.client.cancel(other)
                    rig.client.send(other, b"again", limit_s=10)
                    assert rig.client.cancel(third)

        rig.listener = Cancelling()
        rig.client.attach(rig.listener)  # type: ignore[arg-type]
        for each in (first, other, third):
            rig.send(each, b"x")

        await asyncio.sleep(1)

        assert rig.listener.told == [("first", b"X"), ("other", b"AGAIN")]
        assert rig.client.in_flight() == 0

    with_rig(test)


def test_who_is_told_may_close():
    async def test(rig: Rig) -> None:
        class Closing(Listener):
            def replied(self, backlog: Backlog, body: bytes) -> None:
                super().replied(backlog, body)
                rig.client.close()

        rig.listener = Closing()
        rig.client.attach(rig.listener)  # type: ignore[arg-type]
        for name in ("first", "other"):
            rig.send(address(name), b"x")

        await asyncio.sleep(1)

        assert (rig.listener.told, rig.listener.rooms) == ([("first", b"X")], 0)

    with_rig(test)


def test_a_long_turn_lets_the_loop_have_its_own():
    async def test(rig: Rig) -> None:
        loop = asyncio.get_running_loop()
        turns: list[int] = []

        def slow(body: bytes) -> bytes:
            # So long that the next one is another turn's.
            loop.jump(0.006)  # type: ignore[attr-defined]
            turns.append(len(rig.listener.told))
            return body

        rig.client._answer = slow
        seen: list[int] = []
        for name in ("a", "b", "c"):
            rig.send(address(name), b"x")
        for _ in range(4):
            await asyncio.sleep(0)
            seen.append(len(rig.listener.told))
        assert seen == [1, 2, 3, 3]

    with_rig(test)
