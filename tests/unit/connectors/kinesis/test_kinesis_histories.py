"""Random histories of a stream and of the worker that reads it: shards split and merge, calls fail, the worker dies.

Whatever happens, each record of a key takes effect once and in order.
"""

import asyncio
import random
from collections import defaultdict
from itertools import pairwise

import pytest
from statefun._wire import ToFunction

from statefun_runtime.connectors.kinesis.reader import KinesisIngress
from statefun_runtime.connectors.kinesis.settings.values import ShardReading, StreamRoute
from statefun_runtime.connectors.kinesis.specs import KinesisIngressSpec
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.module.specs import Earliest, EndpointSpec, FunctionPattern, Latest
from statefun_runtime.ports.module import ModuleSpec
from tests.fakes.ingress import RecordingIngressContext
from tests.fakes.kinesis import FakeKinesis
from tests.fakes.virtual_time import run_virtual

MODULE = ModuleSpec((EndpointSpec(FunctionPattern("t", None), "http://x/"),), (), ())
KEYS = [f"key{n}" for n in range(6)]
FAULTS = (
    "ProvisionedThroughputExceededException",
    "ExpiredIteratorException",
    "LimitExceededException",
    "InternalFailure",
    "AccessDeniedException",
)
Effects = list[tuple[str, str, bytes]]


class History:
    """One stream, its records, and a worker with its last checkpoint: positions, and the effects before them."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.kinesis = FakeKinesis()
        self.kinesis.create("s", self.random.randint(1, 3))
        self.startup = self.random.choice([Earliest(), Latest()])
        self.router = RecordingIngressContext(MODULE)
        self.positions: dict[str, int] = {}
        self.effects: Effects = []
        self.made: dict[str, int] = defaultdict(int)
        self.skipped: dict[str, int] = {}

    async def play(self) -> None:
        for _ in range(self.random.randint(0, 10)):
            self.happen()
        if isinstance(self.startup, Latest):
            # Nothing of what is there when it is first asked for is to be read.
            self.skipped = dict(self.made)
        for _ in range(self.random.randint(2, 5)):
            await self.live(self.random.randint(5, 40))
        await self.live(0)

    def happen(self) -> None:
        what = self.random.random()
        shards = self.kinesis.streams["s"]
        open_shards = [n for n, shard in enumerate(shards) if shard.last_sequence is None]
        if what < 0.75:
            key = self.random.choice(KEYS)
            self.kinesis.put("s", key, b"%d" % self.made[key])
            self.made[key] += 1
        elif what < 0.85 and len(shards) < 30:
            self.kinesis.split("s", self.random.choice(open_shards))
        elif what < 0.92:
            by_hash = sorted(open_shards, key=lambda n: shards[n].first_hash)
            for one, other in pairwise(by_hash):
                if self.random.random() < 0.5:
                    self.kinesis.merge("s", one, other)
                    break
        else:
            method = self.random.choice(["get_records", "list_shards", "get_shard_iterator"])
            self.kinesis.fail(method, self.random.choice(FAULTS))

    async def live(self, steps: int) -> None:
        """Run from the last checkpoint and die after so many steps; with none, go on until everything is read."""
        self.router.delivered = list(self.effects)
        spec = KinesisIngressSpec(
            TypeName("t", "in"),
            (StreamRoute("s", "t/value", (TypeName("t", "f"),)),),
            startup=self.startup,
            reading=ShardReading(records_max=self.random.choice([1, 3, 10_000]), discovery_s=2),
        )
        ingress = KinesisIngress(spec, self.router, self.positions, clients=self.kinesis)
        await ingress.start()
        self.positions = ingress.positions()
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(ingress.run())
            for _ in range(steps):
                self.happen()
                await asyncio.sleep(self.random.random() * 0.6)
                if self.random.random() < 0.2:
                    self.positions, self.effects = (
                        ingress.positions(),
                        list(self.router.delivered),
                    )
            if not steps:
                wanted = sum(self.made.values()) - sum(self.skipped.values())
                await self.router.arrived(wanted)
                await asyncio.sleep(10)
            task.cancel()
        await ingress.close()


@pytest.mark.parametrize("seed", range(60))
def test_every_record_of_a_key_takes_effect_once_and_in_order(seed: int):
    history: list[History] = []

    async def main() -> None:
        history.append(History(seed))
        async with asyncio.timeout(1800):
            await history[0].play()

    run_virtual(main)
    played = history[0]
    for key in KEYS:
        got = b"".join(
            invocation for _, found, invocation in played.router.delivered if found == key
        )
        batch = ToFunction.InvocationBatchRequest.FromString(got)
        values = [int(invocation.argument.value) for invocation in batch.invocations]
        assert values == list(range(played.skipped.get(key, 0), played.made[key])), key
