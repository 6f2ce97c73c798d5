"""The command `statefun-worker` as an operator meets it: what it prints, refuses, and how it ends."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from statefun_runtime.core.model.metrics import Metric, MetricKind, in_prometheus_form
from tests.integration.applications import HttpApplication, documents, endpoint, playground
from tests.integration.scripted import COMMAND
from tests.support.http.faulty_process import FaultyProcess
from tests.support.metric_rules import complaints, families, labels
from tests.support.processes import wait_until
from tests.support.provisions import ROOT
from tests.support.sockets import free_port, http_get, http_request
from tests.support.worker import Worker

pytestmark = pytest.mark.integration

Applications = Callable[..., HttpApplication]
Workers = Callable[..., Worker]
NOWHERE = "http://127.0.0.1:9/statefun"


def _command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command to its end; it must not be one that would stay."""
    return subprocess.run(
        [sys.executable, "-m", "statefun_runtime.cli", *map(str, arguments)],
        cwd=ROOT,
        env=dict(os.environ, COLUMNS="100"),
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


def _good_module() -> str:
    return documents(endpoint(NOWHERE, "t/*"), playground(free_port(), free_port(), "out"))


def _file(folder: Path, text: str, name: str = "module.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


# ── what runs ──


def test_start_up_says_what_runs(application: Applications) -> None:
    app = application(
        endpoint("http://127.0.0.1:9/{function.name}", "t/*"),
        endpoint(NOWHERE, "t/one"),
        topic="out",
        arguments=["--partitions", "4"],
    )

    worker = app.worker
    printed = [line for line in worker.output().splitlines() if not line.startswith("20")]
    assert printed == [
        f"statefun-worker runs {worker.module_file}",
        f"  ingress   io.statefun.playground/ingress  PUT http://127.0.0.1:{app.ingress_port}/namespace/name/id",
        "  functions t/*  http://127.0.0.1:9/{function.name}",
        f"  functions t/one  {NOWHERE}",
        f"  egress    io.statefun.playground/egress  GET http://127.0.0.1:{app.egress_port}/out",
        f"  metrics   http://127.0.0.1:{worker.metrics_port}/metrics",
        f"  state     {worker.state_dir}  (4 partitions of 128 key groups)",
    ]


def test_the_metrics_port_serves_health_readiness_and_metrics(application: Applications) -> None:
    app = application(endpoint(NOWHERE, "t/*"), topic="out")
    app.send("t/script/x", {"text": "a"}, COMMAND)
    url = f"http://127.0.0.1:{app.worker.metrics_port}"

    assert http_get(f"{url}/livez") == http_get(f"{url}/healthz") == (200, b"alive\n")
    assert http_get(f"{url}/readyz") == (200, b'{"ready": true, "reasons": [], "waits": []}\n')
    assert http_get(f"{url}/") == (404, b"there are /metrics, /livez and /readyz\n")
    metrics = app.worker.metrics()
    names = ["in_total", "outLocal_total", "outRemote_total", "outEgress_total", "numBacklog"]
    names += ["numBlockedAddress", "inflightAsyncOps"]
    for name in names:
        assert f'statefun_functions_{name}{{name="script",namespace="t"}}' in metrics
    assert metrics.total("statefun_functions_in_total") == 1
    assert metrics["process_resident_memory_bytes"] > 0
    assert metrics.total("statefun_build_info") == 1
    assert metrics["statefun_checkpoint_age_seconds"] < 30
    wait_until(lambda: app.worker.metrics()["statefun_loop_delay_ms_count"] > 0, "a measurement")


def test_the_http_egress_answers_with_real_status_codes(application: Applications) -> None:
    app = application(endpoint(NOWHERE, "t/*"), topic="out")
    url = f"http://127.0.0.1:{app.egress_port}"

    assert http_get(f"{url}/out") == (404, b"")
    assert http_get(f"{url}/other") == (404, b"no such topic: /other (there are: /out)\n")


def test_the_ingress_answers_with_real_status_codes_and_reasons(application: Applications) -> None:
    app = application(endpoint(NOWHERE, "t/*"), topic="out")

    assert app.put("t/script", b"{}", COMMAND) == (
        400,
        b"the path must be /namespace/name/id, found '/t/script'\n",
    )
    assert app.put("other/script/x", b"{}", COMMAND) == (
        404,
        b"no endpoint of the module serves function type 'other/script'\n",
    )
    answer = http_request("GET", f"http://127.0.0.1:{app.ingress_port}/t/script/x")
    assert answer == (405, b"a message is PUT, found GET\n")


# ── validate ──

SEVERAL_PROBLEMS = """\
kind: io.statefun.endpoints.v2/http
spec:
  functions: t/*
  urlPathTemplate: http://localhost:8000/
  maxBatch: 5
---
kind: io.statefun.kafka.v1/ingress
spec:
  id: t/in
  adress: kafka:9092
  consumerGroupId: g
  topics:
    - topic: names
      valueType: t/value
      targets:
        - greeter
---
kind: io.statefun.kafka.v1/engress
spec: {}
"""


def test_validate_accepts_a_good_module(tmp_path: Path) -> None:
    path = _file(tmp_path, _good_module())

    done = _command("validate", path)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{path}: good: 1 endpoint, 1 ingress, 1 egress\n"


def test_validate_tells_all_problems_with_line_column_and_hint(tmp_path: Path) -> None:
    path = _file(tmp_path, SEVERAL_PROBLEMS)

    done = _command("validate", path)

    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    places = re.findall(rf"^{re.escape(str(path))}:(\d+):(\d+): ", done.stdout, re.MULTILINE)
    assert places == [("5", "3"), ("9", "3"), ("10", "3"), ("16", "11"), ("18", "7")], done.stdout
    assert (
        f"""\
{path}:10:3: warning: unknown field 'adress' in Kafka ingress 't/in' [SF1020]
   10 |   adress: kafka:9092
          ^
hint: did you mean 'address'?
"""
        in done.stdout
    )
    assert (
        f"""\
{path}:16:11: target 'greeter' is not of the form 'namespace/name' [SF1011]
   16 |         - greeter
                  ^
"""
        in done.stdout
    )


def test_an_unknown_field_is_a_warning_and_with_strict_an_error(tmp_path: Path) -> None:
    text = _good_module().replace("  transport:", "  maxBatch: 5\n  transport:")
    path = _file(tmp_path, text)

    lenient, strict = _command("validate", path), _command("validate", "--strict", path)

    assert (lenient.returncode, strict.returncode) == (0, 2)
    assert "warning: unknown field 'maxBatch'" in lenient.stdout
    assert "good: 1 endpoint," in lenient.stdout
    assert "unknown field 'maxBatch'" in strict.stdout
    assert "warning" not in strict.stdout
    run = _command("--module", path, "--state-dir", tmp_path / "state", "--strict")
    assert run.returncode == 2
    assert "unknown field 'maxBatch'" in run.stderr
    assert not (tmp_path / "state").exists()


def test_an_unknown_field_does_not_stop_a_run_and_is_told(worker: Workers) -> None:
    module = _good_module().replace("  transport:", "  maxBatch: 5\n  transport:")

    running = worker(module)

    assert "warning: unknown field 'maxBatch'" in running.output()
    running.stop_cleanly()


def test_validate_checks_several_files_as_one_application(tmp_path: Path) -> None:
    first, rest = _good_module().split("---\n", 1)
    functions, ports = _file(tmp_path, first, "functions.yaml"), _file(tmp_path, rest, "io.yaml")

    together, alone = _command("validate", functions, ports), _command("validate", ports)

    assert together.returncode == 0, together.stdout
    assert together.stdout == f"{functions}, {ports}: good: 1 endpoint, 1 ingress, 1 egress\n"
    assert alone.returncode == 2
    assert f"{ports}:1:1: no endpoint is defined" in alone.stdout


def test_a_worker_runs_files_and_folders_as_one_application(
    worker: Workers, tmp_path: Path
) -> None:
    first, rest = _good_module().split("---\n", 1)
    (tmp_path / "modules" / "io").mkdir(parents=True)
    ports = _file(tmp_path / "modules" / "io", rest)

    running = worker(first, arguments=["--module", str(tmp_path / "modules")])

    assert f"statefun-worker runs {running.module_file}, {ports}\n" in running.output()


def test_a_run_with_a_bad_module_tells_all_and_starts_nothing(tmp_path: Path) -> None:
    path = _file(tmp_path, SEVERAL_PROBLEMS)

    done = _command("--module", path, "--state-dir", tmp_path / "state")

    assert done.returncode == 2
    assert f"{path}:16:11: target 'greeter'" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "state").exists()


# ── refusals ──


def test_a_module_that_is_not_there_is_a_clear_error(tmp_path: Path) -> None:
    missing = tmp_path / "none.yaml"

    for done in (_command("--module", missing), _command("validate", missing)):
        assert done.returncode == 2
        assert str(missing) in done.stdout + done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("which", ["ingress", "egress", "metrics"])
def test_a_port_in_use_is_a_clear_error(
    application: Applications, tmp_path: Path, which: str
) -> None:
    app = application(endpoint(NOWHERE, "t/*"), topic="out")
    ports = {"ingress": free_port(), "egress": free_port(), "metrics": free_port()}
    used = {
        "ingress": app.ingress_port,
        "egress": app.egress_port,
        "metrics": app.worker.metrics_port,
    }
    ports[which] = used[which]
    module = documents(
        endpoint(NOWHERE, "t/*"), playground(ports["ingress"], ports["egress"], "out")
    )
    path, state = _file(tmp_path, module), tmp_path / "state"
    arguments = ["--module", path, "--state-dir", state, "--metrics-port", str(ports["metrics"])]

    done = _command(*arguments)

    assert done.returncode == 1, done.stderr
    what = "the metrics port" if which == "metrics" else f"the playground {which}"
    assert (
        f"SF3040: {what} cannot listen on 127.0.0.1:{ports[which]}: address already" in done.stderr
    )
    assert "hint: choose another port, or end the process that has it" in done.stderr
    assert "Traceback" not in done.stderr

    assert "statefun-worker runs" not in done.stderr

    # Nothing ran: the next start, with the port free, is no start after a crash.
    app.worker.stop_cleanly()
    after = Worker(module, tmp_path)
    after.metrics_port = ports["metrics"]
    try:
        after.start()
        assert "did not stop cleanly" not in after.output()
    finally:
        after.close()


def test_a_state_folder_in_use_is_a_clear_error(application: Applications, tmp_path: Path) -> None:
    app = application(endpoint(NOWHERE, "t/*"), topic="out")

    done = _command(
        "--module", _file(tmp_path, _good_module()), "--state-dir", app.worker.state_dir
    )

    assert done.returncode == 1
    used = f"the state folder {app.worker.state_dir} is used by another worker (process {app.worker.pid})"
    assert f"SF3042: {used}" in done.stderr
    assert "hint: stop that worker, or choose another folder with --state-dir" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_state_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    file = _file(tmp_path, _good_module())

    done = _command("--module", file, "--state-dir", file / "state")

    assert done.returncode == 2
    assert f"SF1041: the state folder {file / 'state'} cannot be used" in done.stderr
    assert "Traceback" not in done.stderr


def test_wrong_settings_are_told_all_at_once(tmp_path: Path) -> None:
    done = _command(
        *("--module", _file(tmp_path, _good_module()), "--state-dir", tmp_path / "state"),
        *("--set", "statefun.async.max-per-tsk=1"),
        *("--set", "statefun.runtime.waiting.max-bytes=plenty"),
        *("--partitions", "0"),
    )

    assert done.returncode == 2
    assert "unknown option 'statefun.async.max-per-tsk'" in done.stderr
    assert "hint: did you mean 'statefun.async.max-per-task'?" in done.stderr
    assert "statefun.runtime.waiting.max-bytes" in done.stderr
    assert "--partitions 0 is not from 1 to 128" in done.stderr
    assert "Traceback" not in done.stderr


def test_help_teaches() -> None:
    run, validate = _command("--help"), _command("validate", "--help")

    assert (run.returncode, validate.returncode) == (0, 0)
    flags = ["--module FILE", "--state-dir DIR", "--set KEY=VALUE", "--partitions N", "--host"]
    flags += ["--metrics-port PORT", "--log-level", "--stop-timeout DURATION", "--strict"]
    for text in [
        *flags,
        "validate FILE",
        "checkpoints list|show|verify",
        "--from-savepoint DIR",
        "statefun.async.max-per-task=VALUE",
    ]:
        assert text in run.stdout
    assert "Read and check the files of one application" in validate.stdout


def test_without_a_module_it_says_what_is_needed() -> None:
    done = _command()

    assert done.returncode == 2
    assert "--module" in done.stderr
    assert "Traceback" not in done.stderr


# ── ends ──


@pytest.mark.parametrize("module", ["statefun_runtime", "statefun_runtime.cli"])
def test_it_runs_as_a_module(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", module, "--version"], cwd=ROOT, capture_output=True, check=True
    )
    assert done.stdout.startswith(b"statefun-worker ")


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_reader_that_goes_away_ends_a_command_without_a_traceback(
    stream: str, tmp_path: Path
) -> None:
    """As `| head -1` does; nobody reads here from the beginning."""
    broken = endpoint("nowhere", "t/*") if stream == "stderr" else endpoint(NOWHERE, "t/*")
    module = _file(tmp_path, documents(broken, playground(0, 0, "out")))
    arguments = ["validate", module] if stream == "stdout" else ["--module", module]
    reader, writer = os.pipe()
    os.close(reader)
    other = tmp_path / "other"
    with other.open("wb") as log:
        streams = {"stdout": log, "stderr": log, stream: writer}
        command = [sys.executable, "-m", "statefun_runtime", *map(str, arguments)]
        done = subprocess.run(command, cwd=ROOT, timeout=20, check=False, **streams)
    os.close(writer)

    assert done.returncode == 141
    assert other.read_bytes() == b""


def test_ctrl_c_before_anything_runs_is_no_traceback(tmp_path: Path) -> None:
    """The module is a pipe that nobody writes to, so that the command waits."""
    fifo = tmp_path / "module.yaml"
    os.mkfifo(fifo)
    process = subprocess.Popen(
        [sys.executable, "-m", "statefun_runtime", "validate", str(fifo)],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        # A shell has what it runs in the background ignore it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    # Opening it for writing returns when the command reads.
    with fifo.open("wb"):
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)

    assert process.returncode == 130
    assert said == b""


def test_json_logs_are_objects_to_the_last_line(application: Applications, tmp_path: Path) -> None:
    app = application(endpoint(NOWHERE, "t/*"), topic="out", arguments=["--log-format", "json"])
    app.send("t/script/1", {"text": "a"}, COMMAND)
    wait_until(lambda: "fails for everyone" in app.worker.output(), "a failed attempt")
    second = _command(
        "--module",
        app.worker.module_file,
        "--log-format",
        "json",
        "--state-dir",
        app.worker.state_dir,
    )
    app.worker.stop_cleanly()

    said = [json.loads(line) for line in app.worker.output().splitlines()]
    assert all(datetime.fromisoformat(one["time"]).tzinfo for one in said)
    assert f"statefun-worker runs {app.worker.module_file}" in [one["message"] for one in said]
    (refused,) = [json.loads(line) for line in second.stderr.splitlines()]
    assert (second.returncode, refused["level"], refused["codes"]) == (1, "critical", ["SF3042"])


def test_every_metric_has_a_name_that_promtool_accepts(application: Applications) -> None:
    app = application(endpoint(NOWHERE, "t/*"), topic="out")
    app.send("t/script/1", {"text": "a"}, COMMAND)
    wait_until(lambda: app.failures("connect"), "a failed attempt")
    page = http_get(f"http://127.0.0.1:{app.worker.metrics_port}/metrics")
    assert page is not None
    text = page[1].decode()

    found = families(text)
    named_badly = {name for name, family in found.items() if complaints(name, *family)}
    assert all(re.search("[a-z][A-Z]|_ms$", name) for name in named_badly), named_badly
    for name in named_badly:
        kind, doc = found[name]
        twin = in_prometheus_form(
            Metric(name.removesuffix("_total"), MetricKind(kind), doc, 0.0)
        ).name
        assert (f"{twin}_total" if kind == "counter" else twin) in found, name
    assert not any(re.search("[a-z][A-Z]", label) for label in labels(text))


def test_ctrl_c_stops_cleanly_within_two_seconds(application: Applications) -> None:
    app = application(endpoint(NOWHERE, "t/*"), topic="out")
    app.send("t/script/x", {"text": "a"}, COMMAND)

    since_s = time.monotonic()
    assert app.worker.process.sigint() == 0

    assert time.monotonic() - since_s < 2.0
    assert "stopped; the next start goes on from checkpoint" in app.worker.output()
    assert "Traceback" not in app.worker.output()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_stops_at_once(
    functions: Callable[..., FaultyProcess], application: Applications, number: signal.Signals
) -> None:
    served = functions("tests.integration.scripted:script", plan="always*hang")
    app = application(endpoint(served.url, "t/*", transport="call: 60s"), topic="out")
    app.send("t/script/x", {"text": "a"}, COMMAND)
    wait_until(lambda: served.request_count() == 1, "the request that hangs")
    os.kill(app.worker.pid, number)
    app.worker.process.wait_for_line("stopping; once more to stop at once")
    said = b'{"ready": false, "reasons": ["the worker is stopping"], "waits": []}\n'
    assert http_get(f"http://127.0.0.1:{app.worker.metrics_port}/readyz") == (503, said)

    os.kill(app.worker.pid, number)

    process = app.worker.process
    ended = wait_until(lambda: process.exit_status is not None, "the end", timeout_s=1.0)
    assert ended
    assert process.exit_status == -number
    assert "stopped at once; the next start goes on from the last clean stop" in process.output()
    assert "Traceback" not in process.output()
