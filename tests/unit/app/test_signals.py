"""The first signal has a process stop cleanly, the second ends it."""

import signal
import subprocess
import sys

_PROCESS = """
import asyncio, logging, sys
from statefun_runtime.app.loops import stop_on_signals
from statefun_runtime.engine.stop import Stop

async def main():
    stop = Stop()
    stop.ask()
    stop_on_signals(stop)
    print("drained", flush=True)
    await asyncio.sleep(60)

logging.basicConfig(stream=sys.stdout, level=logging.INFO)
asyncio.run(main())
"""


def test_a_process_that_is_drained_outlives_the_first_signal():
    command = [sys.executable, "-c", _PROCESS]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "drained\n"

        process.send_signal(signal.SIGTERM)
        first = process.stdout.readline()
        process.send_signal(signal.SIGTERM)

        assert "is stopping already; once more to stop at once" in first
        assert "stopped at once" in process.stdout.readline()
    assert process.returncode == -signal.SIGTERM
