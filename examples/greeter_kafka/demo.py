"""`make demo-kafka`: the greeter from topic `names` to topic `greetings`, on a real broker."""

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from examples.support.processes import answers, free_port, play, running, stay, wait_until
from tests.support.kafka.broker import KafkaBroker
from tests.support.provisions import Unavailable

HERE = Path(__file__).parent
FUNCTIONS = 8000
NAMES = ("Bob", "Ada", "Bob", "Bob", "Ada")


def main() -> None:
    print("starting a Kafka broker (the first time its jars are fetched)", flush=True)
    try:
        with (
            KafkaBroker() as broker,
            tempfile.TemporaryDirectory(prefix="statefun-demo-") as folder,
        ):
            run(broker, Path(folder))
    except Unavailable as error:
        sys.exit(f"there is no Kafka broker: {error}")


def run(broker: KafkaBroker, folder: Path) -> None:
    """Run functions and worker against the broker, show a few greetings, stay."""
    for topic in ("names", "greetings"):
        broker.create_topic(topic, 4)
    module = folder / "module.yaml"
    port = free_port(FUNCTIONS, "the functions")
    text = (HERE / "module.yaml").read_text().replace("127.0.0.1:9092", broker.bootstrap)
    module.write_text(text.replace(f":{FUNCTIONS}/", f":{port}/"))
    worker_command = (
        "-m",
        "statefun_runtime.cli",
        "--module",
        module,
        "--state-dir",
        folder / "state",
    )
    with (
        running(HERE / "functions.py", "--port", str(port)) as functions,
        running(*worker_command, quiet=False) as worker,
    ):
        wait_until(
            lambda: answers(f"http://127.0.0.1:{port}/statefun"), "the functions", functions, worker
        )
        print("\nproducing to topic names:", ", ".join(NAMES))
        broker.produce("names", [(name.encode(), b"hello") for name in NAMES])
        for record in broker.consume("greetings", len(NAMES)):
            print("   ", record.value.decode())
        print(
            f"\nThe broker listens on {broker.bootstrap}. Send a name of your own from another terminal,\n"
            "with kcat for instance, and read the greetings:\n\n"
            f"    echo 'Eve:hello' | kcat -b {broker.bootstrap} -t names -K : -P\n"
            f"    kcat -b {broker.bootstrap} -t greetings -C -e\n\n"
            "Ctrl-C ends everything.",
            flush=True,
        )
        stay(functions, worker)


if __name__ == "__main__":
    play(main)
