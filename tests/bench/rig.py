"""What every benchmark stands on: pinned cores, a function server in C, a machine described."""

import hashlib
import json
import os
import platform
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from tests.support import stock_sdk
from tests.support.kafka.broker import KafkaBroker
from tests.support.kafka.install import KAFKA_VERSION
from tests.support.meter import process_tree
from tests.support.processes import Process
from tests.support.provisions import (
    ROOT,
    Unavailable,
    command_path,
    made_once,
    run_or_unavailable,
)
from tests.support.sdks import go_sdk
from tests.support.sockets import free_port

FNSERVER = Path(__file__).parent / "fnserver.c"


@dataclass(frozen=True, slots=True)
class Cores:
    """The worker has a core for itself, all the rest shares another; None where there is one core."""

    worker: frozenset[int] | None
    rest: frozenset[int] | None

    def owners(self) -> dict[int, str]:
        """Say whose each core is, for `Usage.saturated`."""
        if self.worker is None or self.rest is None:
            return dict.fromkeys(os.sched_getaffinity(0), "everything")
        return dict.fromkeys(self.worker, "worker") | dict.fromkeys(
            self.rest, "function, broker and driver"
        )


def take_cores() -> Cores:
    """Pin this process, and what it starts without saying otherwise, to the core of the rest."""
    first, *others = sorted(os.sched_getaffinity(0))
    if not others:
        return Cores(None, None)
    rest = frozenset(others[:1])
    os.sched_setaffinity(0, rest)
    return Cores(frozenset([first]), rest)


def built(source: Path) -> Path:
    """Return the program that the C source makes; compiled once for each content."""
    digest = hashlib.sha256(source.read_bytes()).hexdigest()[:12]

    def compile_(directory: Path) -> None:
        program = directory / source.stem
        command: list[str | Path] = [command_path("cc"), "-O2", "-w", "-o", program, source]
        run_or_unavailable(command, cwd=directory, timeout_s=120)

    return made_once(f"bench/{source.stem}-{digest}", compile_) / source.stem


@contextmanager
def function_server(source: Path, topic: str, folder: Path) -> Iterator[tuple[Process, int]]:
    """Run the C function server on a free port; it sends its results to the topic."""
    port = free_port()
    process = Process([built(source), str(port), topic], log=folder / "fnserver.log")
    try:
        process.wait_for_port(port)
        yield process, port
    finally:
        process.stop()


@contextmanager
def sdk_functions(
    kind: str, topic: str, folder: Path, name: str = "greeter"
) -> Iterator[tuple[Process, int]]:
    """Run a program of functions/ on a free port: with `statefun serve`, under aiohttp, ours or the stock SDK, in JavaScript or Go."""
    port = free_port()
    module = f"tests.bench.functions.{name}"
    path = module.replace(".", "/")
    python = stock_sdk.python_command(Path(f"{path}.py")) if kind == "stock" else []
    command = {
        "serve": f"{sys.executable} -m statefun serve {module} --port {port} --quiet",
        "stock": f"{' '.join(python)} {port}",
        "aiohttp": f"{sys.executable} -m {module} {port}",
        "javascript": f"node {path}.js {port}",
        "go": f"{go_sdk.program('bench') if kind == 'go' else ''} {port}",
    }[kind]
    process = Process(
        command.split(),
        cwd=ROOT,
        env={"BENCH_TOPIC": topic},
        log=folder / "functions.log",
    )
    try:
        process.wait_for_port(port)
        yield process, port
    finally:
        process.stop()


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """Stop a process tree, and let it go on afterwards."""
    tree = process_tree(pid)
    for each in tree:
        os.kill(each, signal.SIGSTOP)
    try:
        yield
    finally:
        for each in tree:
            os.kill(each, signal.SIGCONT)


def on_a_broker(
    name: str, measure: Callable[[KafkaBroker, Path], int | None], **told: object
) -> int:
    """Say what machine this is, and measure with a broker and a folder; return the exit status."""
    print(json.dumps({"machine": machine(), **told}), flush=True)
    try:
        with KafkaBroker() as broker, tempfile.TemporaryDirectory(prefix=f"{name}-") as folder:
            return measure(broker, Path(folder)) or 0
    except Unavailable as error:
        print(error, file=sys.stderr)
        return 1


def machine() -> dict[str, object]:
    """Describe the machine and the versions that a result belongs to."""
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0) | set(range(os.cpu_count() or 1))),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "kafka": KAFKA_VERSION,
        "aiokafka": version("aiokafka"),
    }


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
