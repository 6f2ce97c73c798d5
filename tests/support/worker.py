"""A worker under test: a real `statefun-worker` process with a folder of its own."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support.meter import rss_bytes
from tests.support.metrics import Samples, parse_samples
from tests.support.processes import DEADLINE_S, Process
from tests.support.sockets import free_port, http_get, http_status


class Worker:
    """One worker on one module; it can be stopped or killed, and started again on its state."""

    def __init__(
        self,
        module: str,
        directory: Path,
        *,
        arguments: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        cpus: frozenset[int] | None = None,
        python: Path | None = None,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.module_file = directory / "module.yaml"
        self.module_file.write_text(module)
        self.state_dir = directory / "state"
        self.metrics_port = free_port()
        self.arguments = list(arguments)
        self._env = dict(env or {})
        self._cpus = cpus
        self._python = python or Path(sys.executable)
        self._process: Process | None = None

    def start(self, *, is_ready_awaited: bool = True, timeout_s: float = DEADLINE_S) -> "Worker":
        """Start the process; return when `/readyz` answers 200."""
        assert self._process is None or self._process.exit_status is not None, "it runs already"
        command: list[str | Path] = [
            self._python,
            "-m",
            "statefun_runtime.cli",
            "--module",
            self.module_file,
        ]
        command += ["--state-dir", self.state_dir, "--metrics-port", str(self.metrics_port)]
        self._process = Process(
            [*command, *self.arguments],
            log=self.directory / "worker.log",
            env=self._env,
            cpus=self._cpus,
        )
        if is_ready_awaited:
            self.wait_until_ready(timeout_s=timeout_s)
        return self

    def wait_until_ready(self, *, timeout_s: float = DEADLINE_S) -> None:
        self.process.wait_for(self.is_ready, "/readyz answering 200", timeout_s=timeout_s)

    def is_ready(self) -> bool:
        return http_status(f"http://127.0.0.1:{self.metrics_port}/readyz") == 200

    def metrics(self) -> Samples:
        answer = http_get(f"http://127.0.0.1:{self.metrics_port}/metrics")
        assert answer is not None, "the worker's metrics port does not answer"
        assert answer[0] == 200, answer
        return parse_samples(answer[1].decode())

    @property
    def process(self) -> Process:
        assert self._process is not None, "the worker was not started"
        return self._process

    @property
    def pid(self) -> int:
        return self.process.pid

    def output(self) -> str:
        """All that the worker printed, over all its starts."""
        return self.process.output()

    def sigterm(self, *, timeout_s: float = DEADLINE_S) -> int:
        return self.process.sigterm(timeout_s=timeout_s)

    def stop_cleanly(self, *, timeout_s: float = DEADLINE_S) -> None:
        self.process.stop_cleanly(timeout_s=timeout_s)

    def kill9(self) -> None:
        self.process.kill9()

    def restart(self, *, timeout_s: float = DEADLINE_S) -> None:
        """Stop cleanly, then continue from the same state folder."""
        self.stop_cleanly(timeout_s=timeout_s)
        self.start(timeout_s=timeout_s)

    def rss_bytes(self) -> int:
        return rss_bytes(self.pid)

    def close(self) -> None:
        """End the process if it still runs. For tidying up."""
        if self._process is not None:
            self._process.stop()
