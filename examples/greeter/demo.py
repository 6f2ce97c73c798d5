"""`make demo`: the greeter over HTTP, a few names, and how to send one's own."""

import json
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from examples.support.processes import answers, free_port, play, running, stay, wait_until

HERE = Path(__file__).parent
NAMES = ("Bob", "Ada", "Bob", "Bob", "Ada")
FUNCTIONS, INGRESS, EGRESS = 8000, 8090, 8091


@dataclass(frozen=True)
class Demo:
    """Where names go in and greetings come out, and the processes that must live for it."""

    ingress: int
    egress: int
    processes: tuple[subprocess.Popen[bytes], ...]


def main() -> None:
    functions_port = free_port(FUNCTIONS, "the functions")
    ingress = free_port(INGRESS, "the worker's HTTP ingress")
    egress = free_port(EGRESS, "the worker's HTTP egress")
    with (
        tempfile.TemporaryDirectory(prefix="statefun-demo-") as folder,
        running(HERE / "functions.py", "--port", str(functions_port)) as functions,
    ):
        module = Path(folder) / "module.yaml"
        module.write_text(module_on(functions_port, ingress, egress))
        worker_command = ("-m", "statefun_runtime.cli", "--module", module)
        state = Path(folder) / "state"
        with running(*worker_command, "--state-dir", state, quiet=False) as worker:
            processes = (functions, worker)
            wait_until(lambda: answers(f"http://127.0.0.1:{egress}/"), "the worker", *processes)
            show(Demo(ingress, egress, processes))
            stay(*processes)


def module_on(functions: int, ingress: int, egress: int) -> str:
    """Return the example's module with these ports."""
    text = (HERE / "module.yaml").read_text()
    # Marked, so that a new port is not taken for one of the old.
    for before, after in ((INGRESS, ingress), (EGRESS, egress), (FUNCTIONS, functions)):
        assert text.count(str(before)) == 1, "the module names each port once"
        text = text.replace(str(before), f"<{after}>")
    return text.replace("<", "").replace(">", "")


def show(demo: Demo) -> None:
    """Send a few names, print the greetings that come back."""
    print("\nsending names:", ", ".join(NAMES))
    for name in NAMES:
        send(name, demo)
    for _ in NAMES:
        print("   ", receive(demo))
    print(
        "\nThe counts are state: one function per name remembers how often it was called.\n"
        "Send your own, from another terminal:\n\n"
        "    curl -X PUT -H 'Content-Type: application/vnd.example/GreetRequest' \\\n"
        f'         -d \'{{"name": "Eve"}}\' http://127.0.0.1:{demo.ingress}/example/person/Eve\n'
        f"    curl http://127.0.0.1:{demo.egress}/greetings\n\n"
        "Ctrl-C ends it.",
        flush=True,
    )


def send(name: str, demo: Demo) -> None:
    request = urllib.request.Request(
        f"http://127.0.0.1:{demo.ingress}/example/person/{name}",
        data=json.dumps({"name": name}).encode(),
        headers={"Content-Type": "application/vnd.example/GreetRequest"},
        method="PUT",
    )
    wait_until(lambda: taken(request), f"taking {name}", *demo.processes)


def taken(request: urllib.request.Request) -> bool:
    try:
        urllib.request.urlopen(request, timeout=5).close()
    except urllib.error.HTTPError as error:
        if error.code == 503:
            return False
        raise
    return True


def receive(demo: Demo) -> str:
    greetings: list[str] = []
    wait_until(lambda: read_into(greetings, demo), "a greeting", *demo.processes)
    return greetings[0]


def read_into(greetings: list[str], demo: Demo) -> bool:
    url = f"http://127.0.0.1:{demo.egress}/greetings"
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            greetings.append(response.read().decode())
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return False
        raise
    return True


if __name__ == "__main__":
    play(main)
