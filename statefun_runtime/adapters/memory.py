"""Memory that nothing needs, given back to the machine.

The C library keeps what is freed for what may be asked of it next. After a base, or a burst, that is more than half of
what a worker has.
"""

import asyncio
import ctypes
import time
from collections.abc import Callable

_EVERY_S = 30.0
# Who has hardly done anything has nothing to give.
_WORKED_S = 1.0
# Of glibc; others give memory back by themselves, or not at all.
_TRIM: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)


async def give_memory_back(
    trim: Callable[[int], int] | None = _TRIM,
    *,
    every_s: float = _EVERY_S,
    worked_s: Callable[[], float] = time.process_time,
) -> None:
    """Do so twice a minute where there was work, until cancelled; where the C library cannot, return at once.

    It takes some milliseconds in a thread, without the interpreter's lock.
    """
    if trim is None:
        return
    last_s = 0.0
    while True:
        await asyncio.sleep(every_s)
        if worked_s() - last_s >= _WORKED_S:
            await asyncio.to_thread(trim, 0)
            last_s = worked_s()
