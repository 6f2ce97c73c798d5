"""What people outside do: produce to Kafka, PUT over HTTP, read over HTTP by cursor."""

import asyncio
import json
from copy import copy
from dataclasses import dataclass, field
from random import Random

from statefun_runtime.adapters.http.server import HttpRequest
from tests.simulation.kafka.cluster import Cluster, Record
from tests.simulation.machine.fake_http import Ports
from tests.simulation.programs import TYPES, WELL

INGRESS_PORT, WEB_PORT = 1, 2
# Of an answer that says that a message may have been kept.
_UNCLEAR = (b"cannot be written", b"it is not known whether")


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
        # What is drawn here changes nothing of what is drawn besides.
        self._looks = Random(copy(rng).getrandbits(32))
        # What was acknowledged in this lineage, and what came back of it.
        self._acknowledged: dict[str, None] = {}
        self.came_back: list[str] = []

    def produce(self) -> None:
        """Append one record to the topic that the Kafka ingress reads."""
        self._produce(self._rng.randrange(len(self._cluster.topics["in"])))

    def produce_everywhere(self) -> None:
        """Append one record to each topic partition of it."""
        for split in range(len(self._cluster.topics["in"])):
            self._produce(split)

    def _produce(self, split: int) -> None:
        rng = self._rng
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
            if response is None or any(words in response.body for words in _UNCLEAR):
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
                self._acknowledged = {}
            elif response is not None and response.status != 503:
                raise AssertionError(f"the cursor was answered with {response.status}")
            if self._cursor and self._rng.random() < 0.3:
                read = list(self.web_lineages[-1])
                upto = HttpRequest("DELETE", "/web", f"upto={self._cursor}", {}, b"")
                response = await self._ports.ask(WEB_PORT, upto)
                if response is not None and response.status == 200:
                    self._acknowledged |= dict.fromkeys(read)
            if self._acknowledged and self._looks.random() < 0.3:
                await self._look_from_the_beginning()

    async def _look_from_the_beginning(self) -> None:
        """What was acknowledged, and answered so, never comes back."""
        response = await self._ports.ask(WEB_PORT, HttpRequest("GET", "/web", "after=", {}, b""))
        if response is not None and response.status == 200:
            content = json.loads(response.body)
            # Of another lineage it may; the next read by cursor hears of that.
            is_same = content["next"].rpartition("-")[0].rpartition("-")[0] in self._cursor
            there = content["records"] if is_same else []
            self.came_back += [one for one in there if one in self._acknowledged]
