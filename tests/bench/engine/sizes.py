"""What a cluster of some size writes, reads and keeps, by the formula of docs/operations/sizing.md: on paper, nothing is run.

    python -m tests.bench.engine.sizes [--workers N,N,…] [--rate N] [--message-bytes S] [--state-bytes S] [--addresses N]
        [--interval SECONDS] [--egresses N]

Prints a line of a table for each number of workers. The constants are what `traffic` and `base_sizes` have counted.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass

# Of a message that crosses, besides its own bytes; of what a checkpoint holds of one, besides its state and its record.
CROSSING_BYTES, CHANGE_BYTES = 80, 100
# A second and process; a worker and checkpoint; a checkpoint.
BEAT_BYTES, WORDS_BYTES, LOG_BYTES = 2_000, 5_000, 400
# A worker and checkpoint: its share of the manifest.
MANIFEST_BYTES = 25_000
# Of an address in table files, besides its values.
ADDRESS_BYTES = 20
FILE_BYTES, DELTAS_MAX, DELTA_BYTES_MIN = 16 * 1024 * 1024, 256, 64 * 1024 * 1024
COLLECT_EVERY, DELETES_A_REQUEST = 20, 1_000
DAY_S = 86_400


@dataclass(frozen=True)
class Load:
    """What is asked of a cluster."""

    workers: int
    rate: int
    message_bytes: int
    state_bytes: int
    addresses: int
    interval_s: float
    egresses: int

    @property
    def inbox_bytes(self) -> float:
        """Bytes a second of all inboxes."""
        crossing = (self.workers - 1) / self.workers
        return self.rate * crossing * (CROSSING_BYTES + self.message_bytes)

    @property
    def barriers(self) -> float:
        """Records a second of barriers."""
        return self.workers * (self.workers - 1) / self.interval_s

    @property
    def control_bytes(self) -> float:
        """Bytes a second of the control topic, which every process reads; one worker a process."""
        return BEAT_BYTES * self.workers + WORDS_BYTES * self.workers / self.interval_s

    @property
    def transactions(self) -> float:
        """Transactions a second: of each worker and egress, and of the log."""
        return (1 + self.workers * self.egresses) / self.interval_s

    @property
    def objects(self) -> float:
        """Objects a second, at most: a manifest, three of each worker besides its outboxes, and table files."""
        return (1 + self.workers * (3 + self.egresses)) / self.interval_s + self.base_files

    @property
    def change_bytes(self) -> float:
        """Bytes a second that checkpoints add."""
        changed = self.state_bytes + self.message_bytes * self.egresses
        return self.rate * (CHANGE_BYTES + changed)

    @property
    def state_size(self) -> float:
        """Bytes of all addresses in table files."""
        return self.addresses * (ADDRESS_BYTES + self.state_bytes)

    @property
    def base_s(self) -> float:
        """Seconds between two bases of a worker."""
        changed = self.rate * (CHANGE_BYTES + self.state_bytes) / self.workers
        full = max(self.state_size / self.workers, DELTA_BYTES_MIN)
        return min(DELTAS_MAX * self.interval_s, full / changed)

    @property
    def base_files(self) -> float:
        """Table files a second, at most: all of a base are new."""
        files = self.workers + self.state_size / FILE_BYTES
        return files / self.base_s

    @property
    def store_bytes(self) -> float:
        """Bytes a second that go to the store."""
        manifests = MANIFEST_BYTES * self.workers / self.interval_s
        return self.change_bytes + manifests + self.state_size / self.base_s

    @property
    def deletes(self) -> float:
        """Requests a second that delete."""
        return 1 / (COLLECT_EVERY * self.interval_s) + self.objects / DELETES_A_REQUEST

    @property
    def kept_bytes(self) -> float:
        """Bytes that lie in the store: the state twice while a base follows another, and the deltas since."""
        return 2 * self.state_size + self.change_bytes * self.base_s


def line(load: Load) -> str:
    """Return a line of the table."""
    cells = [
        f"{load.workers}",
        _bytes(load.inbox_bytes),
        f"{load.barriers:,.0f}",
        _bytes(load.control_bytes),
        _bytes(load.control_bytes * load.workers),
        f"{load.transactions:,.0f}",
        f"{load.objects:,.0f}",
        f"{load.objects * DAY_S / 1e6:,.1f}",
        _bytes(load.store_bytes),
        _bytes(load.kept_bytes),
    ]
    return f"| {' | '.join(cells)} |"


def _bytes(count: float) -> str:
    for size, name in ((1e9, "GB"), (1e6, "MB")):
        if count >= size:
            return f"{count / size:,.1f} {name}"
    return f"{count / 1e3:,.0f} KB"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="sizes", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--workers", default="2,4,10,20,50,64,100")
    parser.add_argument("--rate", type=int, default=10_000)
    parser.add_argument("--message-bytes", type=int, default=1_000)
    parser.add_argument("--state-bytes", type=int, default=100)
    parser.add_argument("--addresses", type=int, default=1_000_000)
    parser.add_argument("--interval", type=float, default=1.0)
    parser.add_argument("--egresses", type=int, default=1)
    options = parser.parse_args(arguments)
    for workers in map(int, options.workers.split(",")):
        load = Load(
            workers,
            options.rate,
            options.message_bytes,
            options.state_bytes,
            options.addresses,
            options.interval,
            options.egresses,
        )
        print(line(load))
    return 0


if __name__ == "__main__":
    sys.exit(main())
