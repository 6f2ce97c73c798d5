"""The whole engine against faults of all kinds: every message has its effects once, in order per sender and target."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Iterator

import pytest
from statefun._wire import ToFunction

from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.model.keys import state_key
from statefun_runtime.core.model.state import decode_row
from statefun_runtime.core.module.specs import AsyncTransport, OkHttpTransport, Transport
from statefun_runtime.core.partition.spill import SPILL_LIMITS, SpillLimits
from tests.fakes.endpoint import Answer, Fate
from tests.fakes.state_store import DictStore
from tests.fakes.virtual_time import run_virtual
from tests.support.wire_builders import Request, incomplete, result
from tests.unit.engine.engine_world import KEY_GROUPS, World, start_background

NAMES = ("f", "g")
IDS = ("a", "b", "c", "d", "e")
TOTAL = 120


class Ledger:
    """A pure function that keeps in its state what it got and sent, and finds out what is amiss.

    A message is [sender, number, hops left, is delayed]. `in` is the last number per sender; a number that is not
    the next one is lost, repeated or out of order. Delayed messages have no order, but still come once.
    """

    def __init__(self) -> None:
        self.amiss: list[str] = []

    def __call__(self, request: Request) -> bytes:
        me = f"{request.target[2:]}/{request.id}"
        if "ledger" not in request.state:
            return incomplete("ledger")
        book = json.loads(
            request.state["ledger"] or b'{"in": {}, "late": {}, "out": {}, "done": 0}'
        )
        send, delay, records = [], [], []
        for value in request.values:
            sender, number, hops, is_delayed = json.loads(value)
            self._check_in(book, me, sender, number, is_delayed=is_delayed)
            book["done"] += 1
            records.append(("out", f"{me} {book['done']}".encode()))
            if not hops:
                continue
            # The same choice in every attempt: an attempt may be applied by the runtime only once anyway.
            choice = random.Random(f"{me} {sender} {number}")
            target = f"{choice.choice(NAMES)}/{choice.choice(IDS)}"
            is_later = choice.random() < 0.3
            key = ("late " if is_later else "") + target
            book["out"][key] = book["out"].get(key, 0) + 1
            content = json.dumps([me, book["out"][key], hops - 1, is_later]).encode()
            name, function_id = target.split("/")
            if is_later:
                delay.append((choice.randrange(3000), name, function_id, content, ""))
            else:
                send.append((name, function_id, content))
        state = {"ledger": json.dumps(book).encode()}
        return result(send=send, delay=delay, egress=records, state=state)

    def _check_in(self, book: dict, me: str, sender: str, number: int, *, is_delayed: bool) -> None:
        if is_delayed:
            seen = book["late"].setdefault(sender, [])
            if number in seen:
                self.amiss.append(f"{me} got {number} of {sender} again")
            seen.append(number)
            return
        expected = book["in"].get(sender, 0) + 1
        if number != expected:
            self.amiss.append(f"{me} got {number} of {sender}, expected {expected}")
        book["in"][sender] = number


def faulty(rng: random.Random, ledger: Ledger, rate: float):
    """Answer like the ledger, but now and then go wrong: before the function ran, or after."""
    wrongs = (
        lambda body: Answer(status=500),
        lambda body: Answer(status=404),
        lambda body: Answer(body, fate=Fate.CUT),
        lambda body: Answer(body, fate=Fate.STALE),
        lambda body: Answer(body, fate=Fate.LOST),
        lambda body: Answer(body, content_type="text/html"),
        lambda body: Answer(b"\xff" + body),
        lambda body: Answer(incomplete("ledger")),
        lambda body: Answer(result(egress=[("nowhere", b"x")])),
        lambda body: Answer(body, after_s=rng.random() * 3),
    )

    def handler(request: Request) -> Answer:
        body = ledger(request)
        if rng.random() < rate:
            return rng.choice(wrongs)(body)
        return Answer(body, after_s=rng.random() * 0.01)

    return handler


async def feed(world: World, rng: random.Random, counts: Counter[str]) -> None:
    """Bring messages from one ingress, in order per target; take endpoints away now and then."""
    for _ in range(TOTAL):
        target = f"{rng.choice(NAMES)}/{rng.choice(IDS)}"
        counts[target] += 1
        name, function_id = target.split("/")
        content = json.dumps(["ingress", counts[target], rng.randrange(4), False])
        world.send(name, function_id, content.encode())
        if rng.random() < 0.3:
            await asyncio.sleep(rng.random() * 0.2)
        if rng.random() < 0.03:
            world.endpoint(rng.choice(NAMES)).is_up = rng.random() < 0.5
    for name in NAMES:
        world.endpoint(name).is_up = True


def make_world(
    rng: random.Random,
    store: DictStore,
    transport: Transport,
    spilling: SpillLimits = SPILL_LIMITS,
) -> World:
    return World(
        spilling=spilling,
        transport=transport,
        pool_size=rng.choice((2, 4, 100)),
        batch_bytes_max=rng.choice((50, 200, 1 << 20)),
        overlay_bytes_max=rng.choice((1000, 1 << 20)),
        cache_max=1,
        store=store,
    )


async def until_done(world: World, names: tuple[str, ...] = NAMES) -> None:
    for _ in range(2000):
        await asyncio.sleep(5.0)
        waiting = sum(world.function(name).waiting for name in names)
        if not waiting and not len(world.delays):
            return
    raise AssertionError(f"{len(world.delays)} delayed messages, or others, are never done")


def check(world: World, ledger: Ledger, left: list[bytes], fed: Counter[str]) -> None:
    assert ledger.amiss == []
    per_address: dict[str, list[int]] = {}
    for record in left:
        address, number = record.decode().split()
        per_address.setdefault(address, []).append(int(number))
    for address, numbers in per_address.items():
        assert numbers == list(range(1, len(numbers) + 1)), address
    for function in world.exchange.functions:
        assert (function.waiting, function.busy, function.parked) == (0, 0, 0)
    assert world.load.waiting_bytes == 0
    books = dict(_books(world))
    sent = Counter[str]()
    for address, book in books.items():
        assert book["done"] == len(per_address[address])
        for key, count in book["out"].items():
            target = key.removeprefix("late ")
            got = books[target]
            if key.startswith("late "):
                assert sorted(got["late"][address]) == list(range(1, count + 1))
            else:
                assert got["in"][address] == count
            sent[target] += count
    for address, book in books.items():
        assert book["in"].get("ingress", 0) == fed[address]
        assert book["done"] == sent[address] + fed[address]


def _books(world: World) -> Iterator[tuple[str, dict]]:
    """Yield what each address has written, also those that are not in memory."""
    for name in NAMES:
        for function_id in IDS:
            key = state_key(TypeName("t", name), function_id, key_group_count=KEY_GROUPS)
            row = world.states.read(key)
            if row is not None:
                (stored,) = decode_row(row).fields.values()
                batch = ToFunction.InvocationBatchRequest.FromString(stored)
                yield f"{name}/{function_id}", json.loads(batch.state[0].state_value.value)


@pytest.mark.parametrize("transport", [AsyncTransport(call_s=2.0), OkHttpTransport(2.0, 1, 1, 1)])
@pytest.mark.parametrize("seed", range(12))
def test_every_message_has_its_effects_once_and_in_order_whatever_fails(
    seed: int, transport: Transport
):
    async def main():
        rng = random.Random(seed)
        ledger = Ledger()
        counts: Counter[str] = Counter()
        world = make_world(rng, DictStore(), transport)
        for name in NAMES:
            world.serve(name, faulty(rng, ledger, rate=rng.choice((0.0, 0.1, 0.4))))
        async with asyncio.TaskGroup() as tasks:
            background = start_background(tasks, world)
            await feed(world, rng, counts)
            await until_done(world)
            for task in background:
                task.cancel()
        check(world, ledger, world.egress.left, counts)
        assert len(world.egress.left) >= TOTAL

    run_virtual(main)


@pytest.mark.parametrize("seed", range(8))
def test_a_clean_stop_in_the_middle_loses_nothing_and_repeats_no_effect(seed: int):
    # Half of them so little that backlogs are spilled all the time.
    spilling = SpillLimits(150, 100) if seed % 2 else SPILL_LIMITS

    async def main():
        rng = random.Random(seed)
        ledger = Ledger()
        counts: Counter[str] = Counter()
        transport = AsyncTransport(call_s=2.0)
        world = make_world(rng, DictStore(), transport, spilling)
        left: list[bytes] = []
        for _ in range(3):
            for name in NAMES:
                world.serve(name, faulty(rng, ledger, rate=0.2))
            async with asyncio.TaskGroup() as tasks:
                background = start_background(tasks, world)
                await feed(world, rng, counts)
                await asyncio.sleep(rng.random())
                for dispatcher in world.exchange.dispatchers:
                    dispatcher.close()
                for task in background:
                    task.cancel()
            left += world.egress.left
            await world.stopped()
            again = make_world(rng, world.store, transport, spilling)
            again.take_over(world)
            world = again
        for name in NAMES:
            world.serve(name, faulty(rng, ledger, rate=0.2))
        async with asyncio.TaskGroup() as tasks:
            background = start_background(tasks, world)
            await until_done(world)
            for task in background:
                task.cancel()
        check(world, ledger, left + world.egress.left, counts)

    run_virtual(main)
