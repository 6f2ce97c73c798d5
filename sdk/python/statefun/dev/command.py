"""`statefun dev`, with its flags read: a worker, functions, and a look at the files that functions are made of."""

import argparse
import importlib.util
import signal
import sys
import tempfile
import threading
from pathlib import Path

from statefun.dev.children import Child, say
from statefun.dev.module import FunctionsError, hints, hints_of, make_module, typenames
from statefun.dev.watch import Watch

_LOOK_S = 0.3


def dev(options: argparse.Namespace) -> int:
    """Run until Ctrl-C, or until the worker ends by itself; return the exit status."""
    if importlib.util.find_spec("statefun_runtime") is None:
        print("statefun: dev needs the worker: pip install statefun-runtime", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="statefun-dev-") as scratch:
        try:
            module, lines = _module(options, Path(scratch))
        except (FunctionsError, OSError) as error:
            print(f"statefun: {error}", file=sys.stderr)
            return 2
        return _run(options, module, lines)


def _module(options: argparse.Namespace, scratch: Path) -> tuple[Path, list[str]]:
    """Return the module's file, and lines that a person can copy."""
    if options.functions is None and (not options.serving or options.module is None):
        raise FunctionsError(
            "say which functions: MODULE[:NAME], or a --module and a command that serves them behind --"
        )
    if options.module is not None:
        path = Path(options.module)
        return path, hints_of(path.read_text())
    functions = typenames(options.functions)
    ports = {"ingress": options.ingress_port, "egress": options.egress_port}
    path = scratch / "module.yaml"
    path.write_text(make_module(functions, options.topic, port=options.port, **ports))
    return path, hints(functions, options.topic, **ports)


def _run(options: argparse.Namespace, module: Path, lines: list[str]) -> int:
    worker = Child(
        "worker",
        [sys.executable, "-m", "statefun_runtime", "--module", str(module), *_state(options)],
    )
    functions = Child("functions", _command(options), has_terminal=True)
    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())
    watch = Watch(Path.cwd())
    try:
        functions.start()
        worker.start()
        for line in lines:
            say("dev", line)
        while not over.wait(_LOOK_S) and worker.exit_status is None:
            _reload(functions, watch)
    except OSError as error:
        print(
            f"statefun: {error.filename or options.serving[0]}: {error.strerror}", file=sys.stderr
        )
        return 2
    finally:
        status = worker.exit_status or 0
        # The worker lets its functions answer what it has asked.
        worker.stop()
        functions.stop(is_told=over.is_set())
    return 0 if over.is_set() else status


def _reload(functions: Child, watch: Watch) -> None:
    """Start the functions anew when a file has changed; state stays with the worker, and what fails meanwhile is tried again."""
    changed = watch.changed()
    if changed:
        say("dev", f"{', '.join(changed[:3])} changed: functions start anew, state stays")
        functions.stop()
        functions.start()


def _state(options: argparse.Namespace) -> list[str]:
    return ["--state-dir", options.state_dir, "--metrics-port", str(options.metrics_port)]


def _command(options: argparse.Namespace) -> list[str]:
    if options.serving:
        return list(options.serving)
    serve = [sys.executable, "-m", "statefun", "serve", options.functions]
    return [*serve, "--port", str(options.port), "--show-tracebacks"]
