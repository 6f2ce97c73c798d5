from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from statefun_runtime.core.checkpoints.overlay import Layer, Overlay, merge_rows

KEYS = st.sampled_from([b"a", b"ab", b"b", b"ba", b"c"])


def test_a_deletion_hides_what_lies_below():
    overlay = Overlay(1000)
    overlay.put(b"k", b"old")
    overlay.freeze(1)
    overlay.put(b"k", None)

    assert overlay.find(b"k") == (True, None)
    assert overlay.find(b"other") == (False, None)


def test_slices_hold_all_rows_of_a_layer_once():
    overlay = Overlay(1 << 20)
    rows = [(str(number).encode(), b"v") for number in range(10)]
    for key, value in rows:
        overlay.put(key, value)
    layer = overlay.freeze(1)
    overlay.put(b"later", b"v")

    slices = list(layer.slices(4))

    assert [len(part) for part in slices] == [4, 4, 2]
    assert [row for part in slices for row in part] == rows


def test_heads_go_into_deltas_only():
    overlay = Overlay(1 << 20)
    overlay.put_head(b"head", b"h")
    overlay.put(b"row", b"r")
    layer = overlay.freeze(1)

    assert list(layer.slices(10)) == [[(b"row", b"r")]]
    assert [row for part in layer.delta_slices(10) for row in part] == [
        (b"row", b"r"),
        (b"head", b"h"),
    ]


def test_a_store_that_was_rebuilt_has_to_be_given_what_its_checkpoint_lacks():
    overlay = Overlay(1 << 20)
    layers = []
    for epoch, is_saved in ((1, True), (2, False)):
        overlay.put(b"k%d" % epoch, b"v")
        layers.append(overlay.freeze(epoch))
        layers[-1].is_stored, layers[-1].is_saved = True, is_saved
    assert overlay.unstored() is None

    overlay.store_lost(1)
    overlay.store_replaced(1)

    assert overlay.unstored() is layers[1]


def test_a_layer_is_kept_until_it_is_stored_and_saved():
    overlay = Overlay(1 << 20)
    overlay.put(b"k", b"v")
    layer = overlay.freeze(1)
    layer.is_stored = True
    overlay.drop_done()
    assert overlay.find(b"k") == (True, b"v")
    assert overlay.unsaved() == [layer]

    layer.is_saved = True
    overlay.drop_done()
    assert overlay.find(b"k") == (False, None)
    assert overlay.unsaved() == []


def test_what_a_lost_store_held_of_unsaved_layers_is_stored_again():
    overlay = Overlay(1 << 20)
    overlay.put(b"1", b"v")
    saved = overlay.freeze(1)
    overlay.put(b"2", b"v")
    unsaved = overlay.freeze(2)
    unsaved.is_stored = saved.is_saved = True

    overlay.store_lost(1)
    overlay.store_replaced(1)

    assert saved.is_stored
    assert overlay.unstored() is unsaved


def test_a_layer_that_is_saved_while_a_store_is_made_anew_is_kept_until_that_has_it():
    overlay = Overlay(1 << 20)
    overlay.put(b"k", b"v")
    layer = overlay.freeze(2)
    layer.is_stored = True

    overlay.store_lost(1)
    layer.is_saved = True
    overlay.drop_done()

    assert overlay.find(b"k") == (True, b"v")
    assert overlay.unstored() is layer


def test_a_layer_that_the_lost_store_lacks_is_kept_while_that_is_read():
    overlay = Overlay(1 << 20)
    overlay.put(b"k", b"v")
    layer = overlay.freeze(1)
    layer.is_saved = True

    overlay.store_lost(1)
    overlay.drop_done()
    assert overlay.find(b"k") == (True, b"v")

    overlay.store_replaced(1)
    assert overlay.find(b"k") == (False, None)


def test_slices_are_cut_by_bytes_where_rows_are_large():
    overlay = Overlay(1 << 30)
    large = b"x" * (1 << 20)
    for number in range(10):
        overlay.put(b"%d" % number, large)
        overlay.put(b"small %d" % number, b"s")
    overlay.put_head(b"head", large)
    layer = overlay.freeze(1)

    sizes = [sum(len(value or b"") for _, value in some) for some in layer.slices(2000)]
    assert sum(sizes) == 10 * (len(large) + 1)
    assert max(sizes) <= 5 << 20
    rows = [row for some in layer.delta_slices(2000) for row in some]
    assert rows == [*layer.rows.items(), (b"head", large)]
    assert [len(some) for some in layer.slices(3)] == [3] * 6 + [2]


def test_it_is_full_when_its_bytes_are_many():
    overlay = Overlay(1000)
    overlay.put(b"k", b"x" * 800)
    assert not overlay.is_full

    overlay.put(b"k", b"x" * 800)
    assert overlay.is_full

    overlay.freeze(1)
    assert not overlay.is_full


class AgainstDict(RuleBasedStateMachine):
    """Overlay over a store reads like one dict, whatever is frozen and carried down in between."""

    def __init__(self) -> None:
        super().__init__()
        self.overlay = Overlay(1 << 20)
        self.store: dict[bytes, bytes] = {}
        self.model: dict[bytes, bytes] = {}
        self.frozen: list[tuple[Layer, dict[bytes, Any]]] = []
        self.active: dict[bytes, Any] = {}

    @rule(key=KEYS, value=st.none() | st.binary(max_size=3))
    def put(self, key: bytes, value: bytes | None) -> None:
        self.overlay.put(key, value)
        self.active[key] = value
        if value is None:
            self.model.pop(key, None)
        else:
            self.model[key] = value

    @rule()
    def freeze(self) -> None:
        self.frozen.append((self.overlay.freeze(1), self.active))
        self.active = {}

    @precondition(lambda self: self.frozen)
    @rule()
    def carry_down(self) -> None:
        layer, _ = self.frozen.pop(0)
        assert self.overlay.unstored() is layer
        for rows in layer.slices(2):
            for key, value in rows:
                if value is None:
                    self.store.pop(key, None)
                else:
                    self.store[key] = value
        layer.is_stored = layer.is_saved = True
        self.overlay.drop_done()

    @invariant()
    def reads_are_those_of_one_dict(self) -> None:
        for key in (b"a", b"ab", b"b", b"ba", b"c"):
            is_known, value = self.overlay.find(key)
            assert (value if is_known else self.store.get(key)) == self.model.get(key)

    @invariant()
    def scans_are_those_of_one_dict(self) -> None:
        stored = iter(sorted(one for one in self.store.items() if one[0].startswith(b"b")))
        found = list(merge_rows(self.overlay.scan(b"b"), stored))
        assert found == sorted(one for one in self.model.items() if one[0].startswith(b"b"))

    @invariant()
    def a_frozen_layer_does_not_change(self) -> None:
        for layer, rows in self.frozen:
            assert layer.rows == rows


TestAgainstDict = AgainstDict.TestCase
