"""`statefun dev`, with its flags read: a worker, functions, and a look at the files that functions are made of."""

import argparse
import importlib.util
import signal
import sys
import tempfile
import threading
from pathlib import Path

from statefun.dev.banner import Banner
from statefun.dev.children import Child, say
from statefun.dev.guard import Guard
from statefun.dev.module import FunctionsError, make_module, typenames
from statefun.dev.watch import Watch

_LOOK_S = 0.3


def dev(options: argparse.Namespace) -> int:
    """Run until Ctrl-C, or until the worker ends by itself; return the exit status."""
    if importlib.util.find_spec("statefun_runtime") is None:
        print("statefun: dev needs the worker: pip install statefun-runtime", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="statefun-dev-") as scratch:
        try:
            module, functions = _module(options, Path(scratch))
        except (FunctionsError, OSError) as error:
            print(f"statefun: {error}", file=sys.stderr)
            return 2
        return _run(options, module, functions)


def _module(options: argparse.Namespace, scratch: Path) -> tuple[Path, list[str]]:
    """Return the module's file, and the function types that are known to be served."""
    if options.functions is None and options.module is None:
        raise FunctionsError(
            "say which functions: MODULE[:NAME], or a --module and a command that serves them behind --"
        )
    if options.module is not None:
        path = Path(options.module)
        path.read_bytes()
        return path, []
    functions = typenames(options.functions)
    ports = {"ingress": options.ingress_port, "egress": options.egress_port}
    path = scratch / "module.yaml"
    path.write_text(make_module(functions, options.topic, port=options.port, **ports))
    return path, functions


def _run(options: argparse.Namespace, module: Path, known: list[str]) -> int:
    banner = Banner(known, _say_hints)
    command = [sys.executable, "-m", "statefun_runtime", "--module", str(module), *_state(options)]
    guard = Guard()
    worker = Child("worker", command, guard, hears=banner.hear)
    functions = _functions(options, guard)
    over = threading.Event()

    def told(number: int, frame: object) -> None:
        if over.is_set():
            # A second one means now: functions that stand in a debugger hear no other.
            for child in filter(None, (functions, worker)):
                child.kill()
        over.set()

    for signal_number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signal_number, told)
    watch = Watch(Path.cwd())
    try:
        if functions is not None:
            functions.start()
        worker.start()
        while not over.wait(_LOOK_S) and worker.exit_status is None:
            if changed := watch.changed():
                _reload(changed, functions, worker, banner)
    except OSError as error:
        print(
            f"statefun: {error.filename or options.serving[0]}: {error.strerror}", file=sys.stderr
        )
        return 2
    finally:
        status = worker.exit_status or 0
        # The worker lets its functions answer what it has asked.
        worker.stop()
        if functions is not None:
            functions.stop()
        guard.close()
    return 0 if over.is_set() else status


def _functions(options: argparse.Namespace, guard: Guard) -> Child | None:
    """Return what serves functions beside the worker; None if it runs them itself, or somebody else serves them."""
    if options.functions is None and not options.serving:
        return None
    return Child("functions", _command(options), guard, has_terminal=True)


def _say_hints(banner: Banner) -> None:
    for line in banner.hints:
        say("dev", line)


def _reload(changed: list[str], functions: Child | None, worker: Child, banner: Banner) -> None:
    """Start the functions anew when a file has changed; state stays with the worker, and what fails meanwhile is tried again."""
    if functions is None and not banner.runs_functions:
        return
    say("dev", f"{', '.join(changed[:3])} changed: functions start anew, state stays")
    if functions is not None:
        functions.stop()
        functions.start()
    if banner.has_processes:
        worker.tell(signal.SIGHUP)
    elif banner.runs_functions:
        worker.stop()
        worker.start()


def _state(options: argparse.Namespace) -> list[str]:
    kafka = ["--local-kafka", str(options.kafka_port)] if options.local_kafka else []
    return [
        *("--state-dir", options.state_dir),
        *("--metrics-port", str(options.metrics_port)),
        *kafka,
    ]


def _command(options: argparse.Namespace) -> list[str]:
    if options.serving:
        return list(options.serving)
    serve = [sys.executable, "-m", "statefun", "serve", options.functions]
    return [*serve, "--port", str(options.port), "--show-tracebacks"]
