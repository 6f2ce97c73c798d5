"""HTTP in and out of a cluster: every process takes what is put, and shows what is there."""

import itertools
import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from tests.chaos.http_rig import MODULE, ask, running_http_on
from tests.chaos.rig import IS_FULL, Tell
from tests.support.http.faulty_process import FaultyProcess
from tests.support.kafka.broker import KafkaBroker
from tests.support.kafka.cluster import Processes
from tests.support.processes import wait_until
from tests.support.sockets import free_port
from tests.support.worker import Worker

# Each process has an address of its own on this machine, and all have the same ports.
HOSTS = ("127.0.0.2", "127.0.0.3", "127.0.0.4")

pytestmark = [pytest.mark.integration, pytest.mark.kafka]


def test_what_is_put_over_http_is_kept_and_shown_once_whatever_machine_dies(
    broker: KafkaBroker, tmp_path: Path, tell: Tell
):
    chance = random.Random(25)
    two = HOSTS[:2]
    with running_http_on(
        lambda text: Processes(broker, text, tmp_path / "cluster", hosts=two),
        tmp_path,
        seed=25,
        hosts=two,
    ) as rig:
        processes = rig.worker
        assert isinstance(processes, Processes)
        for _ in range(20 if IS_FULL else 1):
            rig.wait_for_more()
            rig.pause_at_random(1.0)
            processes.kill_one(chance)
            rig.kills += 1
            rig.wait_for_more()
            processes.add(is_ready_awaited=False)
            processes.wait_for_seats(2)
        tell(rig.check())


class Results:
    """Three processes of a cluster whose functions tell results to a topic of each kind."""

    def __init__(self, processes: Processes, ingress: int, egress: int) -> None:
        self.processes = processes
        self._ingress, self._egress = ingress, egress

    def ask(self, host: str, path: str, method: str = "GET") -> tuple[int, bytes]:
        answer = ask(method, f"http://{host}:{self._egress}/{path}")
        assert answer is not None, f"{host} does not answer"
        return answer

    def put(self, *texts: str) -> None:
        """Put each at another process, one after the other is taken."""
        for host, text in zip(itertools.cycle(HOSTS), texts, strict=False):
            wait_until(partial(self._is_taken, host, text), "what was put", timeout_s=20)

    def _is_taken(self, host: str, text: str) -> bool:
        url = f"http://{host}:{self._ingress}/chaos/counter/someone"
        headers = {"Content-Type": "application/vnd.chaos/text", "Idempotency-Key": text}
        answer = ask("PUT", url, text.encode(), **headers)
        return answer is not None and answer[0] == 200

    def read(self, host: str, cursor: str = "") -> tuple[list[str], str]:
        """Return what a process shows behind a cursor, as soon as it can; and the next one."""
        answers: list[tuple[int, bytes]] = []

        def is_known() -> bool:
            answers[:] = [self.ask(host, f"out?after={cursor}")]
            assert answers[0][0] in (200, 503), answers
            return answers[0][0] == 200

        wait_until(is_known, "an answer", timeout_s=20)
        content = json.loads(answers[0][1])
        return content["records"], content["next"]

    def pop(self, host: str) -> str:
        """Take the oldest late result from a process, as soon as there is one."""
        taken: list[str] = []

        def is_taken() -> bool:
            status, payload = self.ask(host, "late")
            taken.extend([payload.decode()] if status == 200 else [])
            return status == 200

        wait_until(is_taken, "a late result", timeout_s=20)
        return taken[0]

    def wait_for(self, host: str, *texts: str, after: str = "") -> str:
        """Return the next cursor when a process shows all of them and nothing else."""
        wanted = list(texts)
        shown: list[tuple[list[str], str]] = []

        def is_shown() -> bool:
            shown[:] = [self.read(host, after)]
            return len(shown[0][0]) >= len(wanted)

        wait_until(is_shown, "all results", timeout_s=20)
        assert shown[0][0] == wanted
        return shown[0][1]

    def home(self) -> Worker:
        """Return the process whose worker has the topics."""
        member = next(one for one in self.processes.ask("plan")["members"] if one["is_home"])
        for process in self.processes.ask("status")["processes"]:
            if process["process"] == member["process"]:
                return next(w for w in self.processes.running if w.pid == process["pid"])
        raise AssertionError("nobody has the topics")


@contextmanager
def results(broker: KafkaBroker, folder: Path) -> Iterator[Results]:
    functions = FaultyProcess("tests.chaos.functions:handle", folder)
    ingress, egress = free_port(), free_port()
    module = MODULE.format(url=functions.url, ingress=ingress, egress=egress)
    module = module.replace(
        "topics: [], cursorTopics: [out, late]", "topics: [late], cursorTopics: [out]"
    )
    processes = Processes(broker, module, folder / "cluster", hosts=HOSTS)
    try:
        processes.start(3)
        yield Results(processes, ingress, egress)
    finally:
        processes.close()
        functions.close()


def test_every_process_answers_for_every_topic_also_after_the_one_that_has_them_died(
    broker: KafkaBroker, tmp_path: Path
):
    with results(broker, tmp_path) as rig:
        rig.put("1!", "2!", "3!")
        texts = [f"someone {n} {n}!" for n in (1, 2, 3)]
        cursors = [rig.wait_for(host, *texts) for host in HOSTS]
        assert len(set(cursors)) == 1
        assert [rig.pop(host) for host in HOSTS] == [f"someone {n} {n}!" for n in (1, 2, 3)]
        assert [rig.ask(host, "late") for host in HOSTS] == [(404, b"")] * 3
        assert [rig.ask(host, "none")[0] for host in HOSTS] == [404] * 3
        assert [rig.ask(host, "out?after=strange")[0] for host in HOSTS] == [410] * 3

        home = rig.home()
        others = [host for host in HOSTS if host != rig.processes.host_of[home]]
        assert rig.ask(others[0], f"out?upto={cursors[0]}", "DELETE")[0] == 200
        rig.put("4!")
        for host in HOSTS:
            rig.wait_for(host, "someone 4 4!")

        home.kill9()
        for host in others:
            rig.wait_for(host, "someone 4 4!", after=cursors[0])
        rig.processes.add(is_ready_awaited=False)
        rig.processes.wait_for_seats(3)
        rig.put("5", "6", "7")
        more = ["someone 4 4!", "someone 5 5", "someone 6 6", "someone 7 7"]
        assert len({rig.wait_for(host, *more) for host in HOSTS}) == 1
