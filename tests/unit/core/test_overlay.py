from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from statefun_runtime.core.overlay import Overlay

KEYS = st.sampled_from([b"a", b"ab", b"b", b"ba", b"c"])


def test_a_deletion_hides_what_lies_below():
    overlay = Overlay(1000)
    overlay.put(b"k", b"old")
    overlay.freeze()
    overlay.put(b"k", None)

    assert overlay.find(b"k") == (True, None)
    assert overlay.find(b"other") == (False, None)


def test_freezing_nothing_makes_no_layer():
    overlay = Overlay(1000)

    overlay.freeze()

    assert overlay.frozen_count == 0


def test_slices_hold_all_rows_of_the_oldest_layer_once():
    overlay = Overlay(1 << 20)
    rows = [(str(number).encode(), b"v") for number in range(10)]
    for key, value in rows:
        overlay.put(key, value)
    overlay.freeze()
    overlay.put(b"later", b"v")

    slices = list(overlay.oldest_slices(4))

    assert [len(part) for part in slices] == [4, 4, 2]
    assert [row for part in slices for row in part] == rows


def test_it_is_full_when_its_bytes_are_many():
    overlay = Overlay(1000)
    overlay.put(b"k", b"x" * 800)
    assert not overlay.is_full

    overlay.put(b"k", b"x" * 800)
    assert overlay.is_full

    overlay.freeze()
    assert not overlay.is_full


class AgainstDict(RuleBasedStateMachine):
    """Overlay over a store reads like one dict, whatever is frozen and carried down in between."""

    def __init__(self) -> None:
        super().__init__()
        self.overlay = Overlay(1 << 20)
        self.store: dict[bytes, bytes] = {}
        self.model: dict[bytes, bytes] = {}
        self.frozen: list[dict[bytes, Any]] = []
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
        self.overlay.freeze()
        if self.active:
            self.frozen.append(self.active)
        self.active = {}

    @precondition(lambda self: self.frozen)
    @rule()
    def carry_down(self) -> None:
        for rows in self.overlay.oldest_slices(2):
            for key, value in rows:
                if value is None:
                    self.store.pop(key, None)
                else:
                    self.store[key] = value
        self.overlay.drop_oldest()
        self.frozen.pop(0)

    @invariant()
    def reads_are_those_of_one_dict(self) -> None:
        for key in (b"a", b"ab", b"b", b"ba", b"c"):
            is_known, value = self.overlay.find(key)
            assert (value if is_known else self.store.get(key)) == self.model.get(key)

    @invariant()
    def scans_are_those_of_one_dict(self) -> None:
        layered = self.overlay.scan(b"b")
        rows = {k: v for k, v in self.store.items() if k.startswith(b"b")} | layered
        found = {key: value for key, value in rows.items() if value is not None}
        assert found == {k: v for k, v in self.model.items() if k.startswith(b"b")}

    @invariant()
    def a_frozen_layer_does_not_change(self) -> None:
        assert self.overlay.frozen_count == len(self.frozen)
        if self.frozen:
            rows = [row for part in self.overlay.oldest_slices(100) for row in part]
            assert dict(rows) == self.frozen[0]


TestAgainstDict = AgainstDict.TestCase
