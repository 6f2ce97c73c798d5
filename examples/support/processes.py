"""What the demos share: ports that nobody has, processes beside each other, and ending them in order."""

import ctypes
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_READY_S = 30.0
_STOP_S = 10.0
_INTERRUPTED = 130
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def play(demo: Callable[[], None]) -> None:
    """Run a demo; whoever ends it, at whatever moment, sees no traceback and no process that stays."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        demo()
    except KeyboardInterrupt:
        print("\nstopped", flush=True)
        sys.exit(_INTERRUPTED)


def free_port(wanted: int, what: str) -> int:
    """Return a port for what shall listen: the wanted one, or another if somebody has that, and say so."""
    if _is_free(wanted):
        return wanted
    with socket.create_server(("127.0.0.1", 0)) as any_free:
        port: int = any_free.getsockname()[1]
    print(f"port {wanted} is taken by somebody else: {what} will be on {port}", flush=True)
    return port


def _is_free(port: int) -> bool:
    try:
        # Whoever listens on all addresses has it too, and would get the requests.
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return False
    except OSError:
        pass
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


@contextmanager
def running(*command: str | Path, quiet: bool = True) -> Iterator[subprocess.Popen[bytes]]:
    """Run a Python program for as long as the block lasts; Ctrl-C reaches only the demo itself."""
    output = subprocess.DEVNULL if quiet else None
    process = subprocess.Popen(
        [sys.executable, *map(str, command)],
        stdout=output,
        stderr=None,
        start_new_session=True,
        preexec_fn=_end_with_the_demo,
    )
    try:
        yield process
    finally:
        with _undisturbed():
            process.terminate()
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _end_with_the_demo() -> None:
    """In the child: be told to stop when the demo dies, even by `kill -9`; Linux only."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Let nobody interrupt the ending: a second Ctrl-C would leave a process behind."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    handlers = [signal.signal(number, signal.SIG_IGN) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, handlers, strict=True):
            signal.signal(number, handler)


def wait_until(is_so: Callable[[], bool], what: str, *processes: subprocess.Popen[bytes]) -> None:
    """Return when something is so; end the demo if it never is, or a process has ended."""
    ends = time.monotonic() + _READY_S
    while True:
        for process in processes:
            # Also when it is so: then somebody else made it so.
            if process.poll() is not None:
                sys.exit(f"{what}: a process ended with status {process.returncode}, see above")
        if is_so():
            return
        if time.monotonic() > ends:
            sys.exit(f"{what}: not within {_READY_S:.0f} s")
        time.sleep(0.02)


def answers(url: str) -> bool:
    """Return whether something listens there, whatever it says."""
    try:
        urllib.request.urlopen(url, timeout=1).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def stay(*processes: subprocess.Popen[bytes]) -> None:
    """Stay up until Ctrl-C, or until a process ends."""
    try:
        while all(process.poll() is None for process in processes):
            time.sleep(0.2)
    except KeyboardInterrupt:
        print("\nstopping", flush=True)
        return
    sys.exit("a process ended, see above")
