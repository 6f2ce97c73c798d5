"""What `compare` costs: two topics with the same records, of as many keys as there are records by ten.

    python -m tests.bench.moving.comparing [--records 1000000]

Prints one JSON line: wall seconds, CPU seconds and peak memory of the command. Exit status 1 if it does not say that
they are the same, or takes more memory than it may.
"""

import argparse
import json
import os
import sys
import time

from tests.support.kafka.broker import KafkaBroker

MEMORY_MB_MAX = 300.0


def main() -> int:
    """Fill two topics, compare them, measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    count = parser.parse_args().records
    with KafkaBroker() as broker:
        topics = [broker.unique_topic(stem, 4) for stem in ("first", "second")]
        for topic in topics:
            broker.client.produce(
                topic, ((f"customer-{n % (count // 10)}", f"value {n} " * 5) for n in range(count))
            )
        command = ["-m", "statefun_runtime.cli", "compare", *topics, "--kafka", broker.bootstrap]
        began_s = time.monotonic()
        pid = os.posix_spawn(sys.executable, [sys.executable, *command], os.environ)
        _, status, usage = os.wait4(pid, 0)
        seconds = time.monotonic() - began_s
    memory_mb = usage.ru_maxrss / 1024
    figures = {
        "records": 2 * count,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "peak_memory_mb": round(memory_mb, 1),
    }
    print(json.dumps(figures))
    return int(status != 0 or memory_mb > MEMORY_MB_MAX)


if __name__ == "__main__":
    sys.exit(main())
