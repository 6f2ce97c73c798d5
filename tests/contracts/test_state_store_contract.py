"""The StateStore port: RocksDB, and the dict of the tests."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from statefun_runtime.adapters.storage.rocksdb import RocksDbStore
from statefun_runtime.errors import UnavailableError
from statefun_runtime.ports.state_store import StateStore
from tests.fakes.state_store import DictStore

Open = Callable[[Path], StateStore]


@pytest.fixture(params=[DictStore, RocksDbStore], ids=["dict", "rocksdb"])
def open_store(request: pytest.FixtureRequest) -> Iterator[Open]:
    stores: list[StateStore] = []

    def opened(folder: Path) -> StateStore:
        stores.append(request.param(folder))
        return stores[-1]

    yield opened
    for store in stores:
        store.close()


@pytest.fixture
def store(open_store: Open, tmp_path: Path) -> StateStore:
    return open_store(tmp_path / "live")


def test_a_row_is_read_as_it_was_written(store: StateStore):
    store.write([(b"a", b"1"), (b"empty", b""), (b"\x00\xff", b"\x00" * 10)])

    assert store.get(b"a") == b"1"
    assert store.get(b"empty") == b""
    assert store.get(b"\x00\xff") == b"\x00" * 10
    assert store.get(b"b") is None


def test_a_later_write_replaces_and_none_deletes(store: StateStore):
    store.write([(b"a", b"1"), (b"b", b"1")])
    store.write([(b"a", b"2"), (b"b", None), (b"never", None)])

    assert store.get(b"a") == b"2"
    assert store.get(b"b") is None


def test_within_one_write_the_last_of_a_key_counts(store: StateStore):
    store.write([(b"a", b"1"), (b"a", None), (b"b", None), (b"b", b"2")])

    assert store.get(b"a") is None
    assert store.get(b"b") == b"2"


def test_writing_nothing_is_fine(store: StateStore):
    store.write([])


def test_a_scan_is_in_order_and_holds_the_prefix_only(store: StateStore):
    store.write([(key, key) for key in (b"b", b"a\xff", b"a", b"ab", b"a\x00", b"\x00a", b"aa")])

    found = list(store.scan(b"a"))

    assert found == [(key, key) for key in (b"a", b"a\x00", b"aa", b"ab", b"a\xff")]


def test_a_prefix_may_end_in_the_highest_byte(store: StateStore):
    store.write(
        [(b"\x00\xff", b"1"), (b"\x00\xff\xff", b"2"), (b"\x01", b"3"), (b"\x00\xfe", b"4")]
    )

    assert list(store.scan(b"\x00\xff")) == [(b"\x00\xff", b"1"), (b"\x00\xff\xff", b"2")]


def test_a_scan_of_nothing_is_empty(store: StateStore):
    store.write([(b"b", b"1")])

    assert list(store.scan(b"a")) == []


def test_a_scan_leaves_out_what_was_deleted(store: StateStore):
    store.write([(b"a1", b"1"), (b"a2", b"2")])
    store.flush()
    store.write([(b"a1", None)])

    assert list(store.scan(b"a")) == [(b"a2", b"2")]


def test_sizes_are_those_of_the_rows_that_a_scan_yields(store: StateStore):
    store.write([(b"a1", b"123"), (b"a2", b""), (b"a3", b"x" * 70_000), (b"b", b"1")])
    store.flush()
    store.write([(b"a1", b"12")])

    assert list(store.scan_sizes(b"a")) == [(b"a1", 2), (b"a2", 0), (b"a3", 70_000)]
    assert list(store.scan_sizes(b"c")) == []


def test_a_scan_is_of_the_moment_when_it_began(store: StateStore):
    store.write([(b"a%d" % number, b"old") for number in range(5)])
    scan = store.scan(b"a")
    assert next(scan) == (b"a0", b"old")

    store.write([(b"a1", None), (b"a2", b"new"), (b"a9", b"new")])
    store.flush()

    assert list(scan) == [(b"a%d" % number, b"old") for number in range(1, 5)]


def test_a_closed_store_answers_nothing(store: StateStore, tmp_path: Path):
    store.write([(b"a", b"1"), (b"b", b"1")])
    scan, sizes = store.scan(b""), store.scan_sizes(b"")
    assert next(scan) == (b"a", b"1")
    assert next(sizes) == (b"a", 1)

    store.close()
    store.close()

    asked: tuple[Callable[[], object], ...] = (
        lambda: store.get(b"a"),
        lambda: store.get(b"missing"),
        lambda: store.write([(b"c", b"1")]),
        lambda: list(store.scan(b"")),
        lambda: list(store.scan_sizes(b"x")),
        lambda: list(scan),
        lambda: list(sizes),
        store.flush,
        lambda: store.snapshot(tmp_path / "snapshot"),
    )
    for ask in asked:
        with pytest.raises(UnavailableError) as refusal:
            ask()
        assert refusal.value.code == "SF3016"


def test_what_is_discarded_is_closed(store: StateStore):
    store.write([(b"a", b"1")])
    store.discard()

    with pytest.raises(UnavailableError):
        store.get(b"a")


def test_a_snapshot_is_a_cut_that_later_writes_do_not_touch(
    store: StateStore, open_store: Open, tmp_path: Path
):
    store.write([(b"a", b"1"), (b"b", b"1"), (b"c", b"1")])
    store.flush()
    store.write([(b"b", b"2"), (b"c", None)])
    store.snapshot(tmp_path / "snapshot")
    store.write([(b"a", b"9"), (b"d", b"9")])
    store.flush()

    restored = open_store(tmp_path / "snapshot")

    assert list(restored.scan(b"a")) == [(b"a", b"1")]
    assert restored.get(b"b") == b"2"
    assert restored.get(b"c") is None
    assert restored.get(b"d") is None
    assert store.get(b"a") == b"9"


def test_a_snapshot_of_nothing_can_be_opened(store: StateStore, open_store: Open, tmp_path: Path):
    store.snapshot(tmp_path / "snapshot")

    assert open_store(tmp_path / "snapshot").get(b"a") is None


def test_several_snapshots_are_independent(store: StateStore, open_store: Open, tmp_path: Path):
    for number in (1, 2, 3):
        store.write([(b"a", b"%d" % number)])
        store.snapshot(tmp_path / str(number))

    for number in (1, 2, 3):
        assert open_store(tmp_path / str(number)).get(b"a") == b"%d" % number


@given(
    st.lists(
        st.lists(st.tuples(st.binary(min_size=1, max_size=3), st.none() | st.binary(max_size=3)))
    )
)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_it_is_an_ordered_map(store: StateStore, slices: list[list[tuple[bytes, bytes | None]]]):
    # One store for all examples: each works under a prefix of its own.
    count = sum(1 for _ in store.scan(b"n"))
    prefix = b"p%06d" % count
    store.write([(b"n%06d" % count, b"")])
    model: dict[bytes, bytes] = {}
    for rows in slices:
        store.write([(prefix + key, value) for key, value in rows])
        for key, value in rows:
            if value is None:
                model.pop(prefix + key, None)
            else:
                model[prefix + key] = value

    assert list(store.scan(prefix)) == sorted(model.items())
    assert all(store.get(key) == value for key, value in model.items())
