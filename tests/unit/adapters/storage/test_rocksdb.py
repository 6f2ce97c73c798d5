from pathlib import Path
from typing import Any

import pytest

from statefun_runtime.adapters.storage.rocksdb import RocksDbStore
from statefun_runtime.errors import UnavailableError


def test_what_is_in_no_snapshot_is_not_taken_for_saved(tmp_path: Path):
    store = RocksDbStore(tmp_path / "live")
    store.write([(b"a", b"1")])
    store.snapshot(tmp_path / "snapshot")
    store.write([(b"a", b"2")])
    store.close()

    restored = RocksDbStore(tmp_path / "snapshot")
    assert restored.get(b"a") == b"1"
    restored.close()


def test_a_closed_store_lets_go_of_its_lock(tmp_path: Path):
    RocksDbStore(tmp_path / "live").close()
    RocksDbStore(tmp_path / "live").close()


def test_a_discarded_store_leaves_no_files(tmp_path: Path):
    store = RocksDbStore(tmp_path / "live")
    store.write([(b"a", b"1")])
    store.discard()

    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_opened_is_told(tmp_path: Path):
    folder = tmp_path / "live"
    folder.mkdir()
    (folder / "CURRENT").write_text("MANIFEST-000009\n")

    with pytest.raises(UnavailableError) as refusal:
        RocksDbStore(folder)
    assert refusal.value.message.startswith(f"the live state cannot be opened in {folder}: IO err")


def test_a_damaged_table_is_told_and_is_not_taken_for_its_end(tmp_path: Path):
    folder = tmp_path / "live"
    store = RocksDbStore(folder)
    store.write([(b"%05d" % number, b"x" * 1000) for number in range(2000)])
    store.flush()
    store.close()
    (table,) = folder.glob("*.sst")
    content = bytearray(table.read_bytes())
    content[len(content) // 2] ^= 0xFF
    table.write_bytes(content)
    store = RocksDbStore(folder)

    for asked in (
        lambda: list(store.scan(b"")),
        lambda: list(store.scan_sizes(b"")),
        lambda: [store.get(b"%05d" % number) for number in range(2000)],
    ):
        with pytest.raises(UnavailableError) as refusal:
            asked()
        assert "the live state cannot be read: Corruption" in refusal.value.message
    store.close()


@pytest.mark.parametrize("how", [{"open_files_max": 32}, {"for_sorting": True}], ids=str)
def test_more_files_than_are_open_at_once_are_read_in_order(how: dict[str, Any], tmp_path: Path):
    store = RocksDbStore(tmp_path / "live", **how)
    keys = [number.to_bytes(4, "big") for number in range(3000)]
    # Each file has a part of all keys, and a value that a later one writes over.
    for first in range(60):
        store.write([(key, b"old") for key in keys[first + 60 :: 60]])
        store.write([(key, key * 8) for key in keys[first::60]])
        store.flush()
    assert list(store.scan(b"")) == [(key, key * 8) for key in keys]
    store.discard()
