"""Memory that is freed: used again for a while, and then given back to the machine.

By itself the C library gives each large buffer back at once, and to have it anew, page by page, costs several times what
it costs to fill it; small ones it keeps for ever, which after a base, or a burst, is more than half of what a worker has.
"""

import asyncio
import ctypes
import time
from collections.abc import Callable

from statefun_runtime.adapters.off_loop import in_a_thread

_EVERY_S = 30.0
# Who has hardly done anything has nothing to give.
_WORKED_S = 1.0
# Of glibc; others give memory back by themselves, or not at all.
_TRIM: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
_SET: Callable[[int, int], int] | None = getattr(ctypes.CDLL(None), "mallopt", None)
# Options by their numbers: what lies free at the end and is kept, and from which size a buffer is a mapping of its own.
_REUSED = {-1: 64 * 1024 * 1024, -3: 32 * 1024 * 1024}


async def reuse_memory(
    trim: Callable[[int], int] | None = _TRIM,
    set_option: Callable[[int, int], int] | None = _SET,
    *,
    every_s: float = _EVERY_S,
    worked_s: Callable[[], float] = time.process_time,
) -> None:
    """Have what is freed used again, and give it back twice a minute where there was work, until cancelled.

    Where the C library cannot, return at once. To give it back takes some milliseconds in a thread, without the
    interpreter's lock.
    """
    if trim is None or set_option is None:
        return
    for option, number in _REUSED.items():
        set_option(option, number)
    last_s = 0.0
    while True:
        await asyncio.sleep(every_s)
        if worked_s() - last_s >= _WORKED_S:
            await in_a_thread(lambda: trim(0))
            last_s = worked_s()
