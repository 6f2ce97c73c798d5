"""`make demo`: the greeter over HTTP, a few names, and how to send one's own."""

import json
import signal
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from examples.support.processes import answers, running, stay, wait_until

HERE = Path(__file__).parent
NAMES = ("Bob", "Ada", "Bob", "Bob", "Ada")


def main() -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with (
        tempfile.TemporaryDirectory(prefix="statefun-demo-") as state,
        running(HERE / "functions.py") as functions,
    ):
        worker_command = ("-m", "statefun_runtime.cli", "--module", HERE / "module.yaml")
        with running(*worker_command, "--state-dir", state, quiet=False) as worker:
            wait_until(lambda: answers("http://127.0.0.1:8091/"), "the worker", functions, worker)
            show()
            stay()


def show() -> None:
    """Send a few names, print the greetings that come back."""
    print("\nsending names:", ", ".join(NAMES))
    for name in NAMES:
        send(name)
    for _ in NAMES:
        print("   ", receive())
    print(
        "\nThe counts are state: one function per name remembers how often it was called.\n"
        "Send your own, from another terminal:\n\n"
        "    curl -X PUT -H 'Content-Type: application/vnd.example/GreetRequest' \\\n"
        '         -d \'{"name": "Eve"}\' http://127.0.0.1:8090/example/person/Eve\n'
        "    curl http://127.0.0.1:8091/greetings\n\n"
        "Ctrl-C ends it.",
        flush=True,
    )


def send(name: str) -> None:
    request = urllib.request.Request(
        f"http://127.0.0.1:8090/example/person/{name}",
        data=json.dumps({"name": name}).encode(),
        headers={"Content-Type": "application/vnd.example/GreetRequest"},
        method="PUT",
    )
    wait_until(lambda: taken(request), f"taking {name}")


def taken(request: urllib.request.Request) -> bool:
    try:
        urllib.request.urlopen(request, timeout=5).close()
    except urllib.error.HTTPError as error:
        if error.code == 503:
            return False
        raise
    return True


def receive() -> str:
    greetings: list[str] = []
    wait_until(lambda: read_into(greetings), "a greeting")
    return greetings[0]


def read_into(greetings: list[str]) -> bool:
    try:
        with urllib.request.urlopen("http://127.0.0.1:8091/greetings", timeout=5) as response:
            greetings.append(response.read().decode())
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return False
        raise
    return True


if __name__ == "__main__":
    main()
