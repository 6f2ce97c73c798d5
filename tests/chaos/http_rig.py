"""An application over HTTP alone under load: clients that try again, readers that keep their cursor.

The n-th text that a client sends to an id of its own is `n`, and shows itself as `<id> <count> <text>`: of each id
exactly `1 1`, `2 2`, `3 3`, … must be read. All clients also write to one id in common.
"""

import http.client
import itertools
import json
import random
import threading
import time
import urllib.error
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.http.faulty_process import FaultyProcess
from tests.support.processes import wait_until
from tests.support.sockets import free_port
from tests.support.worker import Worker

IDS_PER_CLIENT = 20
COMMON = "common"
_CLIENTS = 4
_TRY_AGAIN_S = 0.02
_ACKNOWLEDGE_EVERY = 5
_CAUGHT_UP_S = 60.0
_HOSTS = ("127.0.0.1",)
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))

MODULE = """\
kind: io.statefun.endpoints.v2/http
spec:
  functions: chaos/*
  urlPathTemplate: {url}
---
kind: io.statefun.playground.v1/ingress
spec: {{port: {ingress}}}
---
kind: io.statefun.playground.v1/egress
spec: {{port: {egress}, topics: [], cursorTopics: [out, late]}}
"""


def ask(
    method: str, url: str, body: bytes | None = None, **headers: str
) -> tuple[int, bytes] | None:
    """Return status and body, or None when nothing whole came back."""
    request = urllib.request.Request(url, body, headers, method=method)
    try:
        return _answer(request)
    except (OSError, http.client.HTTPException):
        return None


def _answer(request: urllib.request.Request) -> tuple[int, bytes]:
    try:
        with _DIRECT.open(request, timeout=10.0) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


class Client:
    """Sends texts one after the other, each again and again under its key until it hears 200: to another host each time."""

    def __init__(self, name: str, port: int, *, seed: int, hosts: Sequence[str] = _HOSTS) -> None:
        self._name = name
        self._urls = itertools.cycle([f"http://{host}:{port}/chaos/counter" for host in hosts])
        self._random = random.Random(f"{seed} {name}")
        self._is_stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self.sent: Counter[str] = Counter()
        self.common: list[str] = []
        self.delayed: Counter[str] = Counter()
        self.refused: list[tuple[int, bytes]] = []
        self.tried_again = 0
        self._is_abandoned = False

    def start(self) -> None:
        self._is_stopped.clear()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Return when the last text was taken."""
        self._is_stopped.set()
        if self._thread is not None:
            self._thread.join()

    def abandon(self) -> None:
        """Stop without waiting for an answer that may never come. For tidying up."""
        self._is_abandoned = True
        self._is_stopped.set()

    def once_more(self) -> None:
        """Send one more text to each id that ever had one."""
        for function_id in list(self.sent):
            self._send(function_id)

    def _run(self) -> None:
        while not self._is_stopped.is_set():
            if self._random.random() < 0.2:
                text = f"{self._name}-{len(self.common)}"
                self._put(COMMON, text, f"common {text}")
                self.common.append(text)
            else:
                self._send(f"{self._name}-{self._random.randrange(IDS_PER_CLIENT)}")

    def _send(self, function_id: str) -> None:
        number = self.sent[function_id] + 1
        is_delayed = number % 5 == 0
        text = f"{number}!" if is_delayed else f"{number}"
        self._put(function_id, text, f"{function_id} {text}")
        self.sent[function_id] = number
        self.delayed[function_id] += is_delayed

    def _put(self, function_id: str, text: str, key: str) -> None:
        headers = {"Content-Type": "application/vnd.chaos/text", "Idempotency-Key": key}
        while not self._is_abandoned:
            answer = ask("PUT", f"{next(self._urls)}/{function_id}", text.encode(), **headers)
            if answer is not None and answer[0] == 200:
                return
            if answer is not None and answer[0] != 503:
                self.refused.append(answer)
                return
            self.tried_again += 1
            time.sleep(_TRY_AGAIN_S)


class CursorReader:
    """Reads a topic by cursor, and keeps cursor and records together, as one does who wants each once; from any host."""

    def __init__(self, port: int, topic: str, hosts: Sequence[str] = _HOSTS) -> None:
        self._urls = itertools.cycle([f"http://{host}:{port}/{topic}" for host in hosts])
        self._is_stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.kept: tuple[str, list[str]] = ("", [])
        self.read_again = 0
        self.foreign: bytes | None = None
        self._thread.start()

    def close(self) -> None:
        self._is_stopped.set()
        self._thread.join()

    def results(self) -> dict[str, list[str]]:
        """Return what each id showed, in order: `<count> <text>`."""
        values: dict[str, list[str]] = defaultdict(list)
        for payload in self.kept[1]:
            function_id, _, rest = payload.partition(" ")
            values[function_id].append(rest)
        return values

    def _run(self) -> None:
        reads = 0
        while not self._is_stopped.wait(_TRY_AGAIN_S):
            cursor, records = self.kept
            url = next(self._urls)
            answer = ask("GET", f"{url}?after={cursor}")
            if answer is None or answer[0] == 503:
                self.read_again += 1
                continue
            if answer[0] != 200:
                self.foreign = answer[1]
                return
            content = json.loads(answer[1])
            if content["records"]:
                self.kept = (content["next"], records + content["records"])
            reads += 1
            if cursor and reads % _ACKNOWLEDGE_EVERY == 0:
                ask("DELETE", f"{url}?upto={cursor}")


class HttpRig:
    """A worker, its clients and its readers."""

    def __init__(
        self, worker: Worker, ingress: int, egress: int, *, seed: int, hosts: Sequence[str] = _HOSTS
    ) -> None:
        self.worker = worker
        self._random = random.Random(seed)
        self.clients = [Client(f"c{n}", ingress, seed=seed, hosts=hosts) for n in range(_CLIENTS)]
        self.out, self.late = (CursorReader(egress, topic, hosts) for topic in ("out", "late"))
        self._ingress_port = ingress
        self.ingress_url = f"http://127.0.0.1:{ingress}"
        self.kills = 0

    def start(self) -> None:
        for client in self.clients:
            client.start()

    def stop(self) -> None:
        """Return when no client has an answer outstanding."""
        for client in self.clients:
            client.stop()

    def pause_at_random(self, longest_s: float) -> None:
        """Let a random time pass: a kill must be able to hit anything."""
        time.sleep(self._random.uniform(0.1, longest_s))

    def wait_for_more(self, count: int = 50, *, timeout_s: float = 30.0) -> None:
        """Return when so many more results were read."""
        wanted = len(self.out.kept[1]) + count
        try:
            wait_until(
                lambda: len(self.out.kept[1]) >= wanted or self.out.foreign is not None,
                f"{count} more results",
                timeout_s=timeout_s,
            )
        except TimeoutError as error:
            tail = self.worker.output()[-3000:]
            raise AssertionError(f"{error}, found {len(self.out.kept[1])}\n{tail}") from None
        assert self.out.foreign is None, self.out.foreign

    def wait_until_listening(self) -> None:
        self.worker.process.wait_for_port(self._ingress_port)

    def kill_and_start(self) -> None:
        assert self.worker.process.exit_status is None, self.worker.output()[-2000:]
        self.worker.kill9()
        self.kills += 1
        self.worker.start(is_ready_awaited=False)

    def check(self) -> str:
        """Stop the clients, ask every id for its count, and check all results; return what to tell."""
        self.stop()
        for client in self.clients:
            client.once_more()
        refused = [answer for client in self.clients for answer in client.refused]
        assert not refused, refused[:3]
        sent = {i: n for client in self.clients for i, n in client.sent.items()}
        delayed = {i: n for client in self.clients for i, n in client.delayed.items() if n}
        common = [text for client in self.clients for text in client.common]
        self._wait(self.out, sum(sent.values()) + len(common))
        self._wait(self.late, sum(delayed.values()))
        self._check_out(sent, common)
        self._check_late(delayed)
        tried_again = sum(client.tried_again for client in self.clients)
        return (
            f"{self.kills} kill -9, {sum(sent.values()) + len(common)} PUTs answered 200 ({tried_again} tries more), "
            f"{sum(delayed.values())} delayed messages, each effect once"
        )

    def close(self) -> None:
        for client in self.clients:
            client.abandon()
        for reader in (self.out, self.late):
            reader.close()

    def _check_out(self, sent: dict[str, int], common: list[str]) -> None:
        found = self.out.results()
        shown = [value.split(" ") for value in found.pop(COMMON, [])]
        assert [int(count) for count, _ in shown] == [*range(1, len(common) + 1)]
        assert sorted(text for _, text in shown) == sorted(common)
        assert found.keys() == sent.keys()
        for function_id, values in found.items():
            wanted = [_shown(n) for n in range(1, sent[function_id] + 1)]
            assert values == wanted, f"{function_id}: {values}"

    def _check_late(self, delayed: dict[str, int]) -> None:
        found = self.late.results()
        assert {i: len(values) for i, values in found.items()} == delayed
        for function_id, values in found.items():
            shown = [value.split(" ") for value in values]
            assert [int(count) for count, _ in shown] == [*range(1, len(values) + 1)]
            texts = sorted(int(text.rstrip("!")) for _, text in shown)
            assert texts == [5 * n for n in range(1, len(values) + 1)], f"{function_id}: {values}"

    def _wait(self, reader: CursorReader, count: int) -> None:
        try:
            wait_until(
                lambda: len(reader.kept[1]) >= count or reader.foreign is not None,
                f"{count} results",
                timeout_s=_CAUGHT_UP_S,
            )
        except TimeoutError as error:
            tail = self.worker.output()[-3000:]
            raise AssertionError(f"{error}, found {len(reader.kept[1])}\n{tail}") from None
        assert reader.foreign is None, reader.foreign


def _shown(number: int) -> str:
    return f"{number} {number}{'' if number % 5 else '!'}"


@contextmanager
def running_http(
    folder: Path, *, seed: int, interval: str = "100ms", python: Path | None = None
) -> Iterator[HttpRig]:
    """Run functions, worker, clients and readers; no broker is needed."""

    def one(module: str) -> Worker:
        arguments = ["--checkpoint-interval", interval]
        return Worker(module, folder / "worker", arguments=arguments, python=python)

    with running_http_on(one, folder, seed=seed) as rig:
        yield rig


@contextmanager
def running_http_on(
    make_worker: Callable[[str], Any], folder: Path, *, seed: int, hosts: Sequence[str] = _HOSTS
) -> Iterator[HttpRig]:
    """Run functions, clients and readers, and a worker, or what stands for one, on a module."""
    functions = FaultyProcess("tests.chaos.functions:handle", folder)
    ingress, egress = free_port(), free_port()
    worker = make_worker(MODULE.format(url=functions.url, ingress=ingress, egress=egress))
    try:
        worker.start()
        rig = HttpRig(worker, ingress, egress, seed=seed, hosts=hosts)
        try:
            rig.start()
            yield rig
        finally:
            rig.close()
    finally:
        worker.close()
        functions.close()
