"""The loader as a tool, in real processes: placeholders, configuration files, formats."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.applications import documents, endpoint, playground
from tests.support.provisions import ROOT
from tests.support.sockets import free_port, http_get, http_request
from tests.support.worker import Worker

pytestmark = pytest.mark.integration

Workers = Callable[..., Worker]
SECRET_URL = "http://127.0.0.1:9/hunter2/statefun"


def _validate(*arguments: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    return _run("validate", *arguments, **env)


def _run(*arguments: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end; it must not be one that would stay."""
    return subprocess.run(
        [sys.executable, "-m", "statefun_runtime.cli", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "100", **env},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def _module(ports: tuple[int, int] | None = None) -> str:
    ingress, egress = ports or (free_port(), free_port())
    return documents(endpoint("${URL}", "t/*"), playground(ingress, egress, "out"))


def _file(folder: Path, text: str, name: str = "module.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_a_worker_fills_in_placeholders_and_shows_none_of_their_values(
    worker: Workers, tmp_path: Path
) -> None:
    secret = _file(tmp_path, f"{SECRET_URL}\n", "url")
    ports = free_port(), free_port()
    module = (
        _module(ports).replace("${URL}", f"${{file:{secret}}}").replace("[out]", '["${TOPIC}"]')
    )

    running = worker(module, env={"TOPIC": "receipts-of-today"}, arguments=["--log-level", "debug"])
    # The endpoint is not there, so that what goes on is logged with its URL.
    assert http_get(f"http://127.0.0.1:{ports[1]}/receipts-of-today") == (404, b"")
    http_request(
        "PUT", f"http://127.0.0.1:{ports[0]}/t/script/x", b"{}", headers={"Content-Type": "t/x"}
    )
    running.process.wait_for_line("fails for everyone")
    running.stop_cleanly()

    assert "hunter2" not in running.output()
    assert "receipts-of-today" not in running.output()
    assert f"functions t/*  ${{file:{secret}}}" in running.output()
    assert f"GET http://127.0.0.1:{ports[1]}/${{TOPIC}}" in running.output()
    assert f"endpoint ${{file:{secret}}} of t/script" in running.output()


def test_an_error_of_a_run_shows_no_value(tmp_path: Path) -> None:
    """The folder of a savepoint is named by a flag, and is what a placeholder stands for, too."""
    path = _file(tmp_path, _module())
    secret = f"{tmp_path}/hunter2"

    done = _run(
        *("--module", path, "--state-dir", tmp_path / "state", "--from-savepoint", secret),
        *("--set", "unused=1", "--set", f"URL=http://x{secret}"),
        *("--set", f"statefun.module.global-config.URL=http://x{secret}"),
    )

    assert done.returncode in (1, 2)
    assert "hunter2" in done.stderr
    assert "--set unused has no effect: there is no placeholder ${unused}" in done.stderr
    masked = _run(
        *(
            "--module",
            _file(tmp_path, _module().replace("[out]", "['${CA}']")),
            "--set",
            "URL=http://x",
        ),
        *("--state-dir", tmp_path / "state", "--from-savepoint", secret, "--set", f"CA={secret}"),
    )
    assert masked.stderr.replace("${CA}", secret).endswith(done.stderr.splitlines()[-1] + "\n")
    assert "${CA}" in masked.stderr
    assert "hunter2" not in masked.stderr


def test_validate_takes_variables_from_everywhere(tmp_path: Path) -> None:
    path = _file(tmp_path, _module())
    conf = _file(tmp_path, f"statefun.module.global-config.URL: {SECRET_URL}\n", "flink-conf.yaml")

    assert _validate(path, "--set", f"URL={SECRET_URL}").returncode == 0
    assert _validate(path, "--config", conf).returncode == 0
    assert _validate(path, URL=SECRET_URL).returncode == 0
    without, wrong = _validate(path), _validate(path, URL="hunter2")
    assert without.returncode == wrong.returncode == 2
    assert f"{path}:4:20: ${{URL}} has no value: URL is not set" in without.stdout
    assert "urlPathTemplate '${URL}' does not begin with http:// or https://" in wrong.stdout
    assert "hunter2" not in wrong.stdout + wrong.stderr


def test_the_module_may_be_named_in_the_configuration_file(tmp_path: Path) -> None:
    path = _file(tmp_path, _module())
    _file(tmp_path, f"statefun:\n  remote:\n    module-name: {path.as_uri()}\n", "config.yaml")

    done = _validate("--config", tmp_path, URL=SECRET_URL)

    assert done.stdout == f"{path}: good: 1 endpoint, 1 ingress, 1 egress\n"


def test_the_formats_of_validate(tmp_path: Path) -> None:
    path = _file(tmp_path, _module().replace("  transport:", "  colour: 5\n  transport:"))

    for strict, status, severity in ((), 0, "warning"), (("--strict",), 2, "error"):
        as_json = _validate(path, "--format", "json", *strict, URL=SECRET_URL)
        as_github = _validate(path, "--format", "github", *strict, URL=SECRET_URL)
        assert (as_json.returncode, as_github.returncode) == (status, status)
        (problem,) = json.loads(as_json.stdout)["problems"]
        assert (problem["severity"], problem["line"], problem["code"]) == (severity, 6, "SF1020")
        assert f"::{severity} file={path},line=6,col=3,title=SF1020::unknown" in as_github.stdout


def test_a_worker_takes_its_options_from_flinks_configuration_file(
    worker: Workers, tmp_path: Path
) -> None:
    conf = _file(
        tmp_path,
        "jobmanager.rpc.address: localhost\n"
        "parallelism.default: 3\n"
        "state.checkpoints.dir: s3://a-flag-decides/it\n"
        f"statefun.module.global-config.URL: {SECRET_URL}\n"
        "taskmanager.numberOfTaskSlots: 2\n",
        "flink-conf.yaml",
    )

    running = worker(_module(), arguments=["--config", str(conf)])

    assert f"state     {running.state_dir}  (3 partitions of 128 key groups)" in running.output()
    line = f"{conf}: without effect here: jobmanager.rpc.address, taskmanager.numberOfTaskSlots"
    assert running.output().count(line) == 1
    assert "hunter2" not in running.output()
