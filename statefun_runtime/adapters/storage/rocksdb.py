"""The state store on RocksDB, through rocksdict: one per worker, keys and values as bytes.

There is no write-ahead log: what must survive is in snapshots. `write` holds the interpreter for as long as it
takes, hence the small slices the port asks for; `flush` may be called from another thread.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rocksdict import (
    BlockBasedOptions,
    Cache,
    Checkpoint,
    Options,
    Rdict,
    ReadOptions,
    WriteBatch,
    WriteOptions,
)

from statefun_runtime.core.checkpoints.overlay import Row
from statefun_runtime.errors import UnavailableError

_MIB = 1024 * 1024
_BLOCK_CACHE_BYTES = 32 * _MIB
_MEMTABLE_BYTES = 16 * _MIB


class RocksDbStore:
    """A StateStore in a folder; the folder must be new, or hold the files of a snapshot."""

    def __init__(self, folder: Path) -> None:
        self._db = Rdict(str(folder), options=_options())
        write_options = WriteOptions()
        # A property, whatever its stub says.
        write_options.disable_wal = True  # type: ignore[method-assign, assignment]
        self._db.set_write_options(write_options)

    def get(self, key: bytes) -> bytes | None:
        """Return a row's value, or None."""
        value = self._db.get(key)
        assert value is None or isinstance(value, bytes)
        return value

    def write(self, rows: Sequence[Row]) -> None:
        """Write rows, delete those whose value is None."""
        batch = WriteBatch(raw_mode=True)
        for key, value in rows:
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
        with _translated("the live state cannot be written"):
            self._db.write(batch)

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield the rows under a prefix, in order of their keys."""
        options = ReadOptions()
        if prefix:
            options.set_iterate_upper_bound(_after(prefix))
        cursor = self._db.iter(options)
        cursor.seek(prefix)
        while cursor.valid():
            key = cursor.key()
            if not key.startswith(prefix):
                return
            yield key, cursor.value()
            cursor.next()

    def flush(self) -> None:
        """Bring all rows into files."""
        with _translated("the live state cannot be flushed"):
            self._db.flush()

    def snapshot(self, folder: Path) -> None:
        """Link all files into a folder that does not exist yet."""
        with _translated(f"no snapshot can be made in {folder}"):
            Checkpoint(self._db).create_checkpoint(str(folder))

    def close(self) -> None:
        """Let go of files and locks."""
        self._db.close()


@contextmanager
def _translated(what: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # rocksdict raises nothing more special
        raise UnavailableError(f"{what}: {error}", code="SF3016") from error


def _options() -> Options:
    table = BlockBasedOptions()
    table.set_block_cache(Cache(_BLOCK_CACHE_BYTES))
    table.set_bloom_filter(10, block_based=False)
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_block_based_table_factory(table)
    options.set_write_buffer_size(_MEMTABLE_BYTES)
    options.set_max_write_buffer_number(3)
    options.set_max_background_jobs(2)
    options.set_keep_log_file_num(2)
    return options


def _after(prefix: bytes) -> bytes:
    """Return the smallest key behind all keys that begin with a prefix."""
    for index in range(len(prefix) - 1, -1, -1):
        if prefix[index] != 0xFF:
            return prefix[:index] + bytes([prefix[index] + 1])
    raise AssertionError("no key group is ffff, so no prefix is all ff")
