"""`python -m tests.chaos.hasty_worker …`: a worker whose live store goes to the disk with every few rows.

A full disk is then met by the live store at once, and not when many megabytes have come.
"""

import sys
from functools import partial

from statefun_runtime import cli
from statefun_runtime.adapters.storage.rocksdb import RocksDbStore
from statefun_runtime.app import build

if __name__ == "__main__":
    build.RocksDbStore = partial(RocksDbStore, memtable_bytes=64 * 1024)  # type: ignore[assignment, misc]
    sys.exit(cli.main(sys.argv[1:]))
