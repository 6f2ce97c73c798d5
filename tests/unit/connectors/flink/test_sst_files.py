"""Files of RocksDB are read as RocksDB reads them: the newest of each key, and nothing that was deleted."""

from collections.abc import Callable
from pathlib import Path

import pytest
from rocksdict import BlockBasedIndexType, BlockBasedOptions, ChecksumType, Options, Rdict

from statefun_runtime.connectors.flink.files.damage import Damages
from statefun_runtime.connectors.flink.files.rocksdb_rows import rocksdb_rows
from statefun_runtime.connectors.flink.files.serializers import StateMeta
from statefun_runtime.connectors.flink.files.state_files import DiskFile

NAME = "demo.slow.seen"
META = StateMeta(NAME, "value", "VALUE", None)
Write = Callable[[Rdict], None]


def options(*, index: BlockBasedIndexType | None = None) -> Options:
    """Return those that StateFun's image has: small blocks, so that there are many."""
    table = BlockBasedOptions()
    table.set_checksum_type(ChecksumType.crc32c())
    table.set_format_version(4)
    table.set_block_size(256)
    table.set_metadata_block_size(256)
    if index is not None:
        table.set_index_type(index)
    made = Options(raw_mode=True)
    made.create_if_missing(True)
    made.set_block_based_table_factory(table)
    made.set_disable_auto_compactions(True)
    return made


def written(folder: Path, *writes: Write, index: BlockBasedIndexType | None = None) -> list[Path]:
    """Return the files of a state, one for each step; what comes later is newer."""
    made = options(index=index)
    db = Rdict(str(folder), options=made)
    family = db.create_column_family(NAME, made)
    for write in writes:
        write(family)
        family.flush()
    family.close()
    db.close()
    return sorted(folder.glob("*.sst"))


def read(paths: list[Path], groups: range = range(128)) -> tuple[dict[bytes, bytes], Damages]:
    damages = Damages()
    files = [DiskFile(path, path.stat().st_size) for path in paths]
    rows = {row.key: row.value for row in rocksdb_rows(files, [META], groups, 1, damages)}
    for file in files:
        file.close()
    return rows, damages


def key(group: int, number: int) -> bytes:
    return bytes([group]) + b"id-%04d" % number


def put(group: int, numbers: range, value: bytes) -> Write:
    def write(family: Rdict) -> None:
        for number in numbers:
            family[key(group, number)] = value * 5

    return write


@pytest.mark.parametrize("index", [None, BlockBasedIndexType.two_level_index_search()])
def test_the_newest_value_of_each_key_counts(tmp_path: Path, index: BlockBasedIndexType | None):
    def delete(family: Rdict) -> None:
        for number in range(100, 110):
            del family[key(3, number)]

    steps = (put(3, range(300), b"old"), put(3, range(50, 150), b"new"), delete)
    rows, damages = read(written(tmp_path / "db", *steps, index=index))
    expected = {key(3, n): (b"new" if 50 <= n < 150 else b"old") * 5 for n in range(300)}
    for number in range(100, 110):
        del expected[key(3, number)]
    assert rows == expected
    assert damages.found == []


def test_ranges_that_were_deleted_and_key_groups_of_others_are_left_out(tmp_path: Path):
    def clip(family: Rdict) -> None:
        family.delete_range(key(3, 20), key(3, 40))

    steps = (
        put(3, range(60), b"old"),
        put(9, range(10), b"foreign"),
        clip,
        put(3, range(30, 32), b"back"),
    )
    rows, damages = read(written(tmp_path / "db", *steps), range(8))
    kept = {key(3, n): b"old" * 5 for n in (*range(20), *range(40, 60))}
    assert rows == {**kept, key(3, 30): b"back" * 5, key(3, 31): b"back" * 5}
    assert damages.found == []


def test_a_block_with_another_byte_is_damage_and_the_others_are_read(tmp_path: Path):
    (path,) = written(tmp_path / "db", put(3, range(300), b"value"))
    content = bytearray(path.read_bytes())
    content[1000] ^= 1
    path.write_bytes(content)
    rows, damages = read([path])
    assert 200 < len(rows) < 300
    (damage,) = damages.found
    assert (damage.file, damage.lost) == (path.name, f"a block of rows of state {NAME!r}")
    assert damage.what.endswith("does not have the checksum behind it")
    assert damage.offset <= 1000


def test_a_file_of_a_state_that_nobody_knows_is_damage(tmp_path: Path):
    paths = written(tmp_path / "db", put(3, range(3), b"value"))
    damages = Damages()
    files = [DiskFile(path, path.stat().st_size) for path in paths]
    assert list(rocksdb_rows(files, [], range(128), 1, damages)) == []
    assert [one.what for one in damages.found] == [
        f"it is of state {NAME!r}, which the head does not know"
    ]
