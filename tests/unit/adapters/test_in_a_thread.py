import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

import pytest

from statefun_runtime.adapters.off_loop import in_a_thread

T = TypeVar("T")
_PATIENCE_S = 30.0


def test_work_is_done_elsewhere_and_its_result_comes_back():
    assert done(threading.get_ident) not in (None, threading.get_ident())


def test_what_the_work_raises_is_raised_where_it_is_waited_for():
    class Broken(Exception):
        """It did not work."""

    def work() -> None:
        raise Broken

    with pytest.raises(Broken):
        done(work)
    assert done(lambda: 1) == 1


def test_what_takes_long_does_not_hold_up_what_does_not():
    may_end = threading.Event()

    async def main() -> None:
        long = [in_a_thread(lambda: may_end.wait(_PATIENCE_S)) for _ in range(7)]
        for _ in range(3):
            assert await in_a_thread(may_end.is_set) is False
        may_end.set()
        assert [await one for one in long] == [True] * 7

    asyncio.run(main())


def test_more_than_there_are_threads_for_waits_its_turn():
    may_end = threading.Event()

    async def main() -> list[bool]:
        some = [in_a_thread(lambda: may_end.wait(_PATIENCE_S)) for _ in range(40)]
        may_end.set()
        return [await one for one in some]

    assert asyncio.run(main()) == [True] * 40


def test_work_that_nobody_waits_for_any_more_is_done_all_the_same():
    may_go, is_done = threading.Event(), threading.Event()

    def work() -> None:
        may_go.wait(_PATIENCE_S)
        is_done.set()

    async def main() -> None:
        waiting = asyncio.get_running_loop().create_task(_wait_for(work))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(main())
    # The loop is closed by now.
    may_go.set()
    assert is_done.wait(_PATIENCE_S)
    assert done(lambda: 7) == 7


def done(work: Callable[[], T]) -> T:
    return asyncio.run(_wait_for(work))


async def _wait_for(work: Callable[[], T]) -> T:
    return await in_a_thread(work)
