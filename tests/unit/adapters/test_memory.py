import asyncio
import platform
import subprocess
import sys

import pytest

from statefun_runtime.adapters.memory import reuse_memory


class Over(Exception):
    """There is nothing more to look at."""


def ignore(option: int, number: int) -> int:
    return 1


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
        asyncio.run(reuse_memory(trim, ignore, every_s=0.0, worked_s=worked_s))

    assert given == [0] * trims


def test_nothing_is_done_where_the_c_library_cannot():
    asyncio.run(asyncio.wait_for(reuse_memory(None), 5))


_BUFFERS = """
import asyncio, resource
from statefun_runtime.adapters.memory import reuse_memory

async def main():
    reusing = asyncio.get_running_loop().create_task(reuse_memory())
    await asyncio.sleep(0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(50):
        one = bytes(1 << 20)
        two = bytearray(one)
        del one, two
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    reusing.cancel()

asyncio.run(main())
"""


@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="other C libraries decide by themselves"
)
def test_a_large_buffer_is_not_asked_of_the_machine_again_and_again():
    faults = subprocess.run(
        [sys.executable, "-c", _BUFFERS], check=True, stdout=subprocess.PIPE, text=True
    )
    # A megabyte has 256 pages; a hundred buffers would be 25,600 faults.
    assert int(faults.stdout) < 5_000
