import asyncio

import pytest

from statefun_runtime.adapters.memory import give_memory_back


class Over(Exception):
    """There is nothing more to look at."""


@pytest.mark.parametrize(
    ("worked", "trims"),
    [
        ([0.2, 0.4, 0.9], 0),
        ([0.5, 1.2, 1.3, 1.4, 2.0], 1),
        ([1.5, 1.6, 2.7, 2.8, 2.9], 2),
    ],
)
def test_memory_is_given_back_after_a_second_of_work(worked: list[float], trims: int):
    given: list[int] = []
    left = iter(worked)

    def trim(keep: int) -> int:
        given.append(keep)
        return 1

    def worked_s() -> float:
        for seconds in left:
            return seconds
        raise Over

    with pytest.raises(Over):
        asyncio.run(give_memory_back(trim, every_s=0.0, worked_s=worked_s))

    assert given == [0] * trims


def test_nothing_is_done_where_the_c_library_cannot():
    asyncio.run(asyncio.wait_for(give_memory_back(None), 5))
