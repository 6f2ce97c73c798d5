from pathlib import Path

from statefun_runtime.adapters.storage.rocksdb import RocksDbStore


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
