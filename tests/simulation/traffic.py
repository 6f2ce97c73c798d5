"""What people outside do: produce to Kafka, PUT over HTTP, read over HTTP by cursor."""

import asyncio
import json
from dataclasses import dataclass, field
from random import Random

from statefun_runtime.adapters.http.server import HttpRequest
from tests.simulation.kafka.cluster import Cluster, Record
from tests.simulation.machine.fake_http import Ports
from tests.simulation.programs import TYPES, WELL

INGRESS_PORT, WEB_PORT = 1, 2


@dataclass
class Sent:
    """What was sent: (address, text); `taken` for sure, `unclear` perhaps. Kafka records with split and offset."""

    kafka: list[tuple[int, int, str, str]] = field(default_factory=list)
    taken: list[tuple[str, str]] = field(default_factory=list)
    unclear: list[tuple[str, str]] = field(default_factory=list)


class Traffic:
    """All clients of a history."""

    def __init__(
        self, rng: Random, cluster: Cluster, ports: Ports, sent: Sent, ids: tuple[str, ...]
    ) -> None:
        self._rng = rng
        self._ids = ids
        self._cluster = cluster
        self._ports = ports
        self._sent = sent
        # What was read, anew from the beginning for each lineage of the application.
        self.web_lineages: list[list[str]] = [[]]
        self._cursor = ""

    def produce(self) -> None:
        """Append one record to the topic that the Kafka ingress reads."""
        rng = self._rng
        split = rng.randrange(len(self._cluster.topics["in"]))
        key, text = rng.choice(self._ids), f"r{len(self._sent.kafka)}"
        self._append(split, key, text, "." * rng.choice((0, 0, 0, 40, 200)))

    def produce_well(self) -> None:
        """Append a record that goes well at all functions, and to addresses that have nothing else to do."""
        self._append(0, "well", f"{WELL}{len(self._sent.kafka)}", "")

    def _append(self, split: int, key: str, text: str, padding: str) -> None:
        partition = self._cluster.partition(("in", split))
        offset = len(partition.records)
        partition.append(Record(key.encode(), f"{text}|{split}:{offset}{padding}".encode()))
        self._sent.kafka.append((split, offset, key, text))

    async def produce_some(self, count: int, window_s: float) -> None:
        """Produce in bursts."""
        while count > 0:
            for _ in range(min(count, self._rng.choice((1, 1, 2, 8)))):
                self.produce()
                count -= 1
            await asyncio.sleep(self._rng.expovariate(count + 1) * window_s)

    async def put_some(self, count: int, window_s: float, name: str) -> None:
        """PUT one after the other; with a key until it is taken, without one only once."""
        for number in range(count):
            await asyncio.sleep(self._rng.random() * window_s / count)
            address = f"{self._rng.choice(TYPES)}/{self._rng.choice(self._ids)}"
            text = f"h{name}{number}"
            await self._put(address, text, with_key=self._rng.random() < 0.5)

    async def _put(self, address: str, text: str, *, with_key: bool) -> None:
        headers = {"content-type": "application/vnd.sim/text"}
        if with_key:
            headers["idempotency-key"] = text
        request = HttpRequest("PUT", f"/sim/{address}", "", headers, f"{text}|-".encode())
        was_unclear = False
        while True:
            response = await self._ports.ask(INGRESS_PORT, request)
            if response is not None and response.status == 200:
                self._sent.taken.append((address, text))
                return
            if response is None or b"cannot be written" in response.body:
                was_unclear = True
                if not with_key:
                    self._sent.unclear.append((address, text))
                    return
            assert response is None or response.status == 503, (response.status, was_unclear)
            await asyncio.sleep(0.3 * (0.5 + self._rng.random()))

    @property
    def web(self) -> list[str]:
        """All that was read."""
        return [payload for read in self.web_lineages for payload in read]

    async def read_web(self) -> None:
        """Read by cursor for ever; what was read is kept together with the cursor."""
        while True:
            await asyncio.sleep(self._rng.uniform(0.1, 0.6))
            request = HttpRequest("GET", "/web", f"after={self._cursor}", {}, b"")
            response = await self._ports.ask(WEB_PORT, request)
            if response is not None and response.status == 200:
                content = json.loads(response.body)
                self.web_lineages[-1] += content["records"]
                self._cursor = content["next"] or self._cursor
            elif response is not None and response.status == 410:
                self.web_lineages.append([])
                self._cursor = ""
            elif response is not None and response.status != 503:
                raise AssertionError(f"the cursor was answered with {response.status}")
            if self._cursor and self._rng.random() < 0.3:
                upto = HttpRequest("DELETE", "/web", f"upto={self._cursor}", {}, b"")
                await self._ports.ask(WEB_PORT, upto)
