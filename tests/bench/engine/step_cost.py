"""What the engine itself costs a message: an engine on fakes, a function with one state, nothing asked of network or disk.

A record is delivered, its request made, a ready-made reply with one state applied, the address settled.

    python -m tests.bench.engine.step_cost [--addresses N] [--rounds N]

Prints µs of CPU a message, the least of the rounds.
"""

import argparse
import time
from typing import Any

from statefun_runtime.core.partition.backlog import Backlog
from tests.fakes.virtual_time import run_virtual
from tests.support.wire_builders import Request, incomplete, result
from tests.unit.engine.engine_world import World

_AT_ONCE = 500
_VALUE = b"x" * 100


class Ready:
    """A FunctionClient that keeps who was asked; its bench answers."""

    def __init__(self) -> None:
        self.asked: list[Backlog] = []

    def send(self, backlog: Backlog, body: bytes, *, limit_s: float, is_alone: bool) -> None:
        self.asked.append(backlog)

    def can_send(self, wanted: int, *, is_alone: bool = False) -> bool:
        return True

    def in_flight(self) -> int:
        return len(self.asked)


def _counting(request: Request) -> bytes:
    return result(state={"count": b"1"}) if "count" in request.state else incomplete("count")


async def _measure(addresses: int, rounds: int) -> float:
    world = World(cache_max=2 * addresses)
    world.serve("f", _counting)
    world.send("f", "first")
    await world.passes()
    dispatcher: Any = world.dispatcher("f")
    client = dispatcher._client = Ready()  # noqa: SLF001 — instead of the fake, which plays a network
    reply, deliver = result(state={"count": b"12345"}), world.exchange.deliver
    ids = [f"id-{number:07d}" for number in range(addresses)]
    least_us = float("inf")
    for _ in range(rounds):
        began_s = time.process_time()
        for begin in range(0, addresses, _AT_ONCE):
            for function_id in ids[begin : begin + _AT_ONCE]:
                deliver(dispatcher.function, function_id, _VALUE)
            dispatcher.wake()
            asked, client.asked = client.asked, []
            for backlog in asked:
                dispatcher.replied(backlog, reply)
        least_us = min(least_us, (time.process_time() - began_s) / addresses * 1e6)
    return least_us


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--addresses", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=10)
    given = parser.parse_args()

    async def measure() -> float:
        return await _measure(given.addresses, given.rounds)

    least_us = run_virtual(measure)
    print(f"{least_us:.1f} µs of CPU a message")


if __name__ == "__main__":
    main()
