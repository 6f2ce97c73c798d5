"""What a base of many addresses is in files, for sizing: bytes an address, files, and what of it is new when some changed.

    python -m tests.bench.engine.base_sizes [--addresses N] [--value-bytes S] [--changed PERCENT]

Writes the rows that addresses with one value of so many random bytes have, as a worker does, and counts the table files.
Prints one JSON line.
"""

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from statefun_runtime.adapters.storage.rocksdb import RocksDbStore
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.model.keys import state_key

_TYPE = TypeName("com.example", "greeter")
_SLICE_ROWS = 2000
_OVERHEAD_BYTES = 40


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parse(arguments)
    chance = random.Random(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = RocksDbStore(folder / "live")
        _write(store, range(options.addresses), options.value_bytes, chance)
        first = _base(store, folder / "first")
        changed = chance.sample(
            range(options.addresses), options.addresses * options.changed // 100
        )
        _write(store, changed, options.value_bytes, chance)
        second = _base(store, folder / "second")
        store.discard()
    new = {file: size for file, size in second.items() if file not in first}
    row = {
        "addresses": options.addresses,
        "value_bytes": options.value_bytes,
        "bytes_an_address": round(sum(first.values()) / options.addresses, 1),
        "files": len(first),
        "changed_percent": options.changed,
        "new_files_then": len(new),
        "new_bytes_then": sum(new.values()),
    }
    print(json.dumps(row), flush=True)
    return 0


def _write(store: RocksDbStore, addresses: Iterable[int], size: int, chance: random.Random) -> None:
    rows = []
    for number in addresses:
        # The name of the state, its type, and the row's own marks are besides the value.
        key = state_key(_TYPE, f"customer-{number:08d}", key_group_count=128)
        rows.append((key, bytes(_OVERHEAD_BYTES) + chance.randbytes(size)))
        if len(rows) == _SLICE_ROWS:
            store.write(rows)
            rows = []
    store.write(rows)


def _base(store: RocksDbStore, folder: Path) -> dict[str, int]:
    """Return the table files of a base by name, with their sizes."""
    store.flush()
    store.snapshot(folder)
    return {path.name: path.stat().st_size for path in folder.glob("*.sst")}


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="base_sizes", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--addresses", type=int, default=1_000_000)
    parser.add_argument("--value-bytes", type=int, default=100)
    parser.add_argument("--changed", type=int, default=10, help="percent")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
