"""Functions that the worker runs itself: in processes of their own, whatever becomes of those, or in its own process."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.applications import HttpApplication, documents, kafka_ingress, playground
from tests.support.processes import wait_until
from tests.support.sockets import free_port
from tests.support.worker import Worker

pytestmark = pytest.mark.integration

Applications = Callable[..., HttpApplication]
TEXT = "application/vnd.t/text"
FUNCTIONS = """\
import asyncio, os, subprocess, sys, time
from datetime import timedelta
from statefun import IntType, RetryLater, StatefulFunctions, ValueSpec, egress_message_builder, make_json_type

functions = StatefulFunctions()
refused = set()
RECORD = make_json_type("io.statefun.playground/EgressRecord")
print("WORD is imported")


def act(context, message):
    text = message.raw_value().decode()
    if text == "exit":
        sys.exit(3)
    if text == "crash":
        os._exit(4)
    if text == "later" and context.address.id not in refused:
        refused.add(context.address.id)
        raise RetryLater("the shop is closed", after=timedelta(seconds=1))
    if text == "start":
        print("started", subprocess.Popen(["sleep", "600"]).pid)
    if text == "block":
        while True:
            time.sleep(0.01)
    context.storage.count = (context.storage.count or 0) + 1
    told = f"{context.address.id} WORD {context.storage.count}"
    record = {"topic": "out", "payload": told}
    context.send_egress(egress_message_builder("io.statefun.playground/egress", record, RECORD))


@functions.bind("t/plain", specs=[ValueSpec("count", IntType)])
def plain(context, message):
    act(context, message)


@functions.bind("t/waits", specs=[ValueSpec("count", IntType)])
async def waits(context, message):
    await asyncio.sleep(0.001)
    act(context, message)
"""


def embedded(
    *,
    module: str = "shop",
    functions: str = "t/*",
    processes: int = 2,
    threads: int = 0,
    more: str = "call: 2s",
) -> str:
    return f"""\
kind: io.statefun.endpoints.v1/python
spec:
  functions: {functions}
  module: {module}
  processes: {processes}
  threads: {threads}
  {more}
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "program" / "shop.py"
    path.parent.mkdir()
    path.write_text(FUNCTIONS.replace("WORD", "first"))
    return path


def search_path(source: Path) -> dict[str, str]:
    # Two versions within one second are two versions: compiled files say no more than that.
    return {"PYTHONPATH": str(source.parent), "PYTHONDONTWRITEBYTECODE": "1"}


@pytest.fixture
def run(application: Applications, source: Path) -> Callable[..., HttpApplication]:
    def start(**spec: object) -> HttpApplication:
        return application(embedded(**spec), topic="out", env=search_path(source))  # type: ignore[arg-type]

    return start


def tell(app: HttpApplication, function_id: str, text: str = "", *, name: str = "plain") -> None:
    assert app.put(f"t/{name}/{function_id}", text.encode(), TEXT) == (200, b"")


def processes_of(parent: int) -> list[int]:
    """Return the processes of embedded functions that a worker has."""
    found = subprocess.run(
        ["pgrep", "-P", str(parent), "-f", "statefun serve"], capture_output=True, text=True
    )
    return [int(line) for line in found.stdout.split()]


@pytest.mark.parametrize("name", ["plain", "waits"])
@pytest.mark.parametrize("processes", [0, 2])
def test_functions_run_without_a_server_of_their_own(
    run: Callable[..., HttpApplication], processes: int, name: str
):
    app = run(processes=processes)

    for function_id in ("alice", "bob", "alice"):
        tell(app, function_id, name=name)

    assert sorted(app.receive(3)) == ["alice first 1", "alice first 2", "bob first 1"]
    assert len(processes_of(app.worker.pid)) == processes
    app.worker.stop_cleanly()
    assert "Traceback" not in app.worker.output()


def test_state_is_the_worker_s_and_outlives_it(run: Callable[..., HttpApplication]):
    app = run()
    tell(app, "alice")
    assert app.receive(1) == ["alice first 1"]

    app.restart()

    tell(app, "alice")
    assert app.receive(1) == ["alice first 2"]


def test_what_processes_print_is_in_the_log_with_their_name(run: Callable[..., HttpApplication]):
    app = run()

    for number in (1, 2):
        app.worker.process.wait_for_line(rf"INFO +statefun.embedded  shop/{number} \| first is imp")


def test_effects_count_once_while_processes_are_killed(run: Callable[..., HttpApplication]):
    app, dice = run(more="call: 30s"), random.Random(7)

    for number in range(400):
        tell(app, f"id-{number % 20}", name=dice.choice(["plain", "waits"]))
        if number % 40 == 20:
            os.kill(dice.choice(wait_until(lambda: processes_of(app.worker.pid), "one")), 9)

    records = app.receive(400, timeout_s=60)
    assert app.take() is None
    counts: dict[str, list[int]] = {}
    for record in records:
        function_id, _, count = record.split()
        counts.setdefault(function_id, []).append(int(count))
    told = Counter(number for numbers in counts.values() for number in numbers)
    # Each of the two functions counts for itself.
    assert sum(told.values()) == 400
    assert all(len(numbers) == 20 and max(Counter(numbers).values()) <= 2 for numbers in counts.values())  # fmt: skip
    for numbers in counts.values():
        once, twice = set(numbers), {n for n, times in Counter(numbers).items() if times == 2}
        assert once == set(range(1, len(once) + 1))
        assert twice == set(range(1, len(twice) + 1))
    assert app.worker.metrics().total("statefun_embedded_restarts_total") >= 5


def test_a_function_that_blocks_is_killed_at_its_budget_and_others_go_on(
    run: Callable[..., HttpApplication],
):
    app = run()
    tell(app, "stuck", "block")

    app.worker.process.wait_for_line(r"shop/\d \(process \d+\) is killed: an invocation took")

    for number in range(10):
        tell(app, f"id-{number}")
    assert sorted(app.receive(10)) == sorted(f"id-{number} first 1" for number in range(10))
    assert app.failures("timeout") >= 1
    wait_until(lambda: app.worker.metrics().total("statefun_embedded_ready") >= 1, "a process")


def test_plain_functions_in_threads_do_not_wait_for_one_that_blocks(
    run: Callable[..., HttpApplication],
):
    app = run(processes=1, threads=2, more="call: 30s")
    tell(app, "stuck", "block")

    for number in range(10):
        tell(app, f"id-{number}")
    # The one that blocks has most of its time yet, and its process was not ended for it.
    assert sorted(app.receive(10)) == sorted(f"id-{number} first 1" for number in range(10))
    assert app.worker.metrics().total("statefun_embedded_restarts_total") == 0


@pytest.mark.parametrize("name", ["plain", "waits"])
@pytest.mark.parametrize("text", ["exit", "crash"])
def test_a_function_that_ends_its_process_touches_nobody_else(
    run: Callable[..., HttpApplication], text: str, name: str
):
    app = run()
    tell(app, "bad", text, name=name)
    for number in range(10):
        tell(app, f"id-{number}", name=name)

    assert sorted(app.receive(10)) == sorted(f"id-{number} first 1" for number in range(10))
    assert app.worker.process.exit_status is None
    if text == "exit":
        assert app.worker.metrics().total("statefun_embedded_restarts_total") == 0
        app.worker.process.wait_for_line("status 500: SystemExit: 3")
    else:
        app.worker.process.wait_for_line(r"shop/\d: process \d+ ended with status 4; it starts ag")


@pytest.mark.parametrize("processes", [0, 1])
def test_who_asks_for_later_is_called_again_and_has_not_failed(
    run: Callable[..., HttpApplication], processes: int
):
    # Whoever failed would be given up at once.
    app = run(processes=processes, more="call: 1500ms\n  onFailure: skip")

    for count in range(3):
        tell(app, f"busy-{count}", "later")
        tell(app, f"id-{count}")

    assert sorted(app.receive(6)) == sorted(
        f"{name}-{count} first 1" for name in ("id", "busy") for count in range(3)
    )
    assert app.of_function("skippedInvocations_total", "plain") == 0


@pytest.mark.parametrize("processes", [0, 1])
def test_addresses_that_all_ask_for_later_come_back_together(
    run: Callable[..., HttpApplication], processes: int
):
    app = run(processes=processes, more="call: 60s")
    # So that the first of them go together, too.
    tell(app, "first")
    assert app.receive(1) == ["first first 1"]

    began_s = time.monotonic()
    for count in range(20):
        tell(app, f"busy-{count}", "later")

    assert sorted(app.receive(20)) == sorted(f"busy-{count} first 1" for count in range(20))
    # One after another, with a pause before each, it was the whole of 20 s.
    assert time.monotonic() - began_s < 8


@pytest.mark.parametrize("text", ["", "block"])
def test_processes_end_when_their_worker_is_killed(run: Callable[..., HttpApplication], text: str):
    app = run(more="call: 60s")
    processes = processes_of(app.worker.pid)
    for function_id in ("a", "b", "c", "d"):
        tell(app, function_id, text)
    if not text:
        app.receive(4)

    app.worker.kill9()

    wait_until(lambda: not any(map(_runs, processes)), "the processes' end", timeout_s=8)


@pytest.mark.parametrize("is_killed", [True, False])
def test_what_a_process_started_ends_with_it(run: Callable[..., HttpApplication], is_killed: bool):
    app = run(processes=1)
    tell(app, "a", "start")
    started = int(app.worker.process.wait_for_line(r"started (\d+)")[1])

    if is_killed:
        os.kill(processes_of(app.worker.pid)[0], signal.SIGKILL)
    else:
        app.worker.process.stop_cleanly()

    wait_until(lambda: not _runs(started), "the end of what was started")


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # One that nobody has waited for yet is still listed.
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_new_code_takes_over_on_sighup_and_code_that_fails_does_not(
    run: Callable[..., HttpApplication], source: Path
):
    app = run()
    tell(app, "alice")
    assert app.receive(1) == ["alice first 1"]
    before = processes_of(app.worker.pid)

    source.write_text("this is no Python")
    os.kill(app.worker.pid, signal.SIGHUP)
    app.worker.process.wait_for_line("cannot start anew, and what ran before goes on")
    tell(app, "alice")
    assert app.receive(1) == ["alice first 2"]
    # The same of the other one is not said again.
    wait_until(lambda: processes_of(app.worker.pid) == before, "those of before alone")

    source.write_text(FUNCTIONS.replace("WORD", "second"))
    os.kill(app.worker.pid, signal.SIGHUP)
    wait_until(
        lambda: len(now := processes_of(app.worker.pid)) == 2 and not {*now} & {*before}, "others"
    )
    tell(app, "alice")
    assert app.receive(1) == ["alice second 3"]


NO_MODULE = "SF1161: endpoint 't/*': nowhere cannot be served: there is no module 'nowhere' in "
REFUSED = {
    "no module": ({"module": "nowhere"}, NO_MODULE),
    "no functions": (
        {"module": "json"},
        "SF1161: endpoint 't/*': json cannot be served: module 'json' has no 'functions'",
    ),
    "other functions": (
        {"functions": "u/*"},
        "SF1162: endpoint 'u/*', and shop binds no function of that namespace\n"
        "hint: shop binds t/plain, t/waits",
    ),
    "another function": (
        {"functions": "t/other"},
        "SF1162: endpoint 't/other', and shop binds it not\nhint: shop binds t/plain, t/waits",
    ),
    "an end while it is imported": (
        {"module": "antigravity_of_tests"},
        "SF1161: endpoint 't/*': antigravity_of_tests cannot be served: ",
    ),
}


@pytest.mark.parametrize("processes", [0, 1])
@pytest.mark.parametrize("case", REFUSED)
def test_functions_that_cannot_be_had_end_the_start(
    source: Path, tmp_path: Path, case: str, processes: int
):
    spec, said = REFUSED[case]
    (source.parent / "antigravity_of_tests.py").write_text("import sys\nsys.exit(5)\n")
    endpoints = embedded(processes=processes, **spec)  # type: ignore[arg-type]
    module = documents(endpoints, playground(free_port(), free_port(), "out"))
    worker = Worker(module, tmp_path / "worker", env=search_path(source))

    worker.start(is_ready_awaited=False)

    assert worker.process.wait() == 2
    assert said in worker.output()
    assert "Traceback" not in worker.output()


def test_a_target_that_the_program_does_not_bind_ends_the_start(source: Path, tmp_path: Path):
    # No broker is asked: what stands in the module is looked at first.
    ingress = kafka_ingress("127.0.0.1:1", "in", {"lines": ["palin"]})
    worker = Worker(documents(embedded(), ingress), tmp_path / "w", env=search_path(source))

    worker.start(is_ready_awaited=False)

    assert worker.process.wait() == 2
    assert "SF1162: ingress 't/in' sends to 't/palin', and shop binds it not" in worker.output()


def test_validate_tries_whether_functions_can_be_served(source: Path, tmp_path: Path):
    for spec, status, said in (
        ({}, 0, "good    functions t/* of shop: can be served"),
        ({"module": "nowhere"}, 1, "nowhere cannot be served: there is no module 'nowhere'"),
    ):
        file = tmp_path / "module.yaml"
        file.write_text(documents(embedded(**spec), playground(0, 0, "out")))
        command = [sys.executable, "-m", "statefun_runtime", "validate", str(file), "--connect"]
        done = subprocess.run(
            command, env={**os.environ, **search_path(source)}, capture_output=True, text=True
        )
        assert said in done.stdout + done.stderr, done
        assert (done.returncode != 0) == bool(status)
