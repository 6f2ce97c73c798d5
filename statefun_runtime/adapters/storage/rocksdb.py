"""The state store on RocksDB, through rocksdict: one per worker, keys and values as bytes.

There is no write-ahead log: what must survive is in snapshots. `write` holds the interpreter for as long as it
takes, hence the small slices the port asks for; `flush` may be called from another thread.

rocksdict raises nothing more special than Exception. A cursor of it goes on when its store is closed, and one that
meets an error looks like one that is at its end: both are asked for.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from rocksdict import (
    BlockBasedOptions,
    Cache,
    Checkpoint,
    DBCompressionType,
    Options,
    Rdict,
    RdictIter,
    ReadOptions,
    WriteBatch,
    WriteOptions,
)

from statefun_runtime.core.checkpoints.overlay import Row
from statefun_runtime.errors import UnavailableError

_MIB = 1024 * 1024
_BLOCK_CACHE_BYTES = 32 * _MIB
MEMTABLE_BYTES = 16 * _MIB
_ALL_FILES = -1
_SORTING_MEMTABLE_BYTES = 32 * _MIB
_SORTING_BLOCK_BYTES = 32 * 1024
# All of them are open at once, and a process may have some thousand files at least; so many hold 8 GB.
_SORTING_FILES_MAX = 256

Content = TypeVar("Content")


class RocksDbStore:
    """A StateStore in a folder; the folder must be new, or hold the files of a snapshot.

    Rows go to files whenever `memtable_bytes` of them have come. One that is `for_sorting` is written, walked over in
    order, and discarded: nothing is looked up in it, and it takes little more memory for ten times the rows. What is
    known of a file, its index above all, is in memory for `open_files_max` of them.
    """

    def __init__(
        self,
        folder: Path,
        *,
        memtable_bytes: int = MEMTABLE_BYTES,
        for_sorting: bool = False,
        open_files_max: int = _ALL_FILES,
    ) -> None:
        self._folder = folder
        self._is_closed = False
        options = _sorting_options() if for_sorting else _options(memtable_bytes)
        options.set_max_open_files(open_files_max)
        with _translated(f"the live state cannot be opened in {folder}"):
            self._db = Rdict(str(folder), options=options)
        write_options = WriteOptions()
        # A property, whatever its stub says.
        write_options.disable_wal = True  # type: ignore[method-assign, assignment]
        self._db.set_write_options(write_options)

    def get(self, key: bytes) -> bytes | None:
        """Return a row's value, or None."""
        try:
            value = self._db.get(key)
        except Exception as error:
            raise _unavailable("the live state cannot be read", error) from error
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
        return self._cursor(prefix, lambda cursor: (cursor.key(), cursor.value()))

    def scan_sizes(self, prefix: bytes) -> Iterator[tuple[bytes, int]]:
        """Yield keys and sizes under a prefix, in order of the keys."""
        return self._cursor(prefix, lambda cursor: (cursor.key(), len(cursor.value())))

    def scan_keys(self, prefix: bytes, start: bytes) -> Iterator[bytes]:
        """Yield the keys under a prefix from `start` on, in their order."""
        return self._cursor(prefix, lambda cursor: cursor.key(), start)

    def _cursor(
        self, prefix: bytes, read: Callable[[RdictIter], Content], start: bytes = b""
    ) -> Iterator[Content]:
        options = ReadOptions()
        # What is walked over once is not to take the place of what is read again.
        options.fill_cache(False)  # type: ignore[call-arg]  # its stub forgets the argument
        if prefix:
            options.set_iterate_upper_bound(_after(prefix))
        with _translated("the live state cannot be read"):
            cursor = self._db.iter(options)
            cursor.seek(max(prefix, start))
        while cursor.valid():
            yield read(cursor)
            if self._is_closed:
                raise UnavailableError("the live state was closed", code="SF3016")
            cursor.next()
        with _translated("the live state cannot be read"):
            cursor.status()

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
        if self._is_closed:
            return
        self._is_closed = True
        with _translated("the live state cannot be closed"):
            self._db.close()

    def discard(self) -> None:
        """Close, and delete the folder, as far as that can be done."""
        try:
            self.close()
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)


@contextmanager
def _translated(what: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise _unavailable(what, error) from error


def _unavailable(what: str, error: Exception) -> UnavailableError:
    return UnavailableError(f"{what}: {error}", code="SF3016")


def _new_options() -> Options:
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    # As small as with Snappy, which is what RocksDB takes by itself, and read in two thirds of the time: a merge reads all it writes.
    options.set_compression_type(DBCompressionType.lz4())
    return options


def _options(memtable_bytes: int) -> Options:
    table = BlockBasedOptions()
    table.set_block_cache(Cache(_BLOCK_CACHE_BYTES))
    table.set_bloom_filter(10, block_based=False)
    options = _new_options()
    options.set_block_based_table_factory(table)
    options.set_write_buffer_size(memtable_bytes)
    options.set_max_write_buffer_number(3)
    options.set_max_background_jobs(2)
    options.set_keep_log_file_num(2)
    return options


def _sorting_options() -> Options:
    """Return options for rows that are read once, in order.

    Files are merged when they are read, not while others are written, which took as much time again. What is in memory
    for each file is small: there are no filters, and an index has an entry for 32 KiB.
    """
    table = BlockBasedOptions()
    table.set_block_cache(Cache(_MIB))
    table.set_block_size(_SORTING_BLOCK_BYTES)
    options = _new_options()
    options.set_block_based_table_factory(table)
    options.set_write_buffer_size(_SORTING_MEMTABLE_BYTES)
    options.set_max_write_buffer_number(2)
    options.set_max_background_jobs(2)
    options.set_keep_log_file_num(2)
    # Of each file, and all of them are merged at once.
    options.set_compaction_readahead_size(_SORTING_BLOCK_BYTES)
    options.set_level_zero_file_num_compaction_trigger(_SORTING_FILES_MAX)
    options.set_level_zero_slowdown_writes_trigger(2 * _SORTING_FILES_MAX)
    options.set_level_zero_stop_writes_trigger(3 * _SORTING_FILES_MAX)
    return options


def _after(prefix: bytes) -> bytes:
    """Return the smallest key behind all keys that begin with a prefix."""
    for index in range(len(prefix) - 1, -1, -1):
        if prefix[index] != 0xFF:
            return prefix[:index] + bytes([prefix[index] + 1])
    raise AssertionError("no key group is ffff, so no prefix is all ff")
