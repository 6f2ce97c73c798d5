from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statefun_runtime.core.model.address import KeyGroup, TypeName
from statefun_runtime.core.model.keys import (
    TALLY,
    TIMER,
    group_prefix,
    state_key,
    tally_key,
    timer_key_in,
    token_key,
)
from statefun_runtime.core.partition.timers import (
    Delayed,
    Tally,
    TimerLimits,
    Timers,
    decode_delayed,
    delayed_rows,
    encode_delayed,
    with_tallies,
)

GROUPS = range(3)
ONE, TWO = group_prefix(KeyGroup(0)), group_prefix(KeyGroup(1))
AHEAD_MS = 100


class Kept:
    """Timers, and where the rows of their messages are: in layers, or in a store, from which slabs are read."""

    def __init__(self, limits: TimerLimits | None = None) -> None:
        self.limits = limits or TimerLimits(4, 2, AHEAD_MS)
        self.timers = Timers(GROUPS, self.limits)
        self.layers: list[tuple[int, dict[bytes, bytes | None]]] = []
        self.active: dict[bytes, bytes | None] = {}
        self.store: set[bytes] = set()
        self.slabs = 0
        self._epoch = 0

    def schedule(self, due_ms: int, group: bytes = ONE) -> bytes:
        key = self.timers.schedule(group, due_ms)
        self.active[key] = b""
        return key

    def cancel(self, key: bytes) -> None:
        self.active[key] = None
        self.timers.gone(key)

    def cut(self) -> int:
        self._epoch += 1
        for key, row in self.timers.freeze(self._epoch):
            self.active[key] = row
        self.layers.append((self._epoch, self.active))
        self.active = {}
        return self._epoch

    def carry(self) -> None:
        """Bring the oldest layer to the store."""
        if self.layers:
            epoch, rows = self.layers.pop(0)
            self._write(rows)
            self.timers.stored(epoch)

    def carry_half(self) -> None:
        """Bring some rows of the oldest layer to the store: it stays."""
        if self.layers:
            rows = self.layers[0][1]
            self._write(dict(list(rows.items())[: len(rows) // 2]))

    def _write(self, rows: dict[bytes, bytes | None]) -> None:
        for key, row in rows.items():
            if row is None:
                self.store.discard(key)
            else:
                self.store.add(key)

    def lose_store(self, stored: set[bytes], layers: list[tuple[int, dict[bytes, bytes | None]]]):
        """Have another store, which lacks the rows of these layers."""
        self.store, self.layers = set(stored), list(layers)
        every = [*layers, (0, self.active)]
        self.timers.replaced(
            (epoch, [key for key, row in rows.items() if key[2:3] == TIMER and row is not None])
            for epoch, rows in every
        )

    def waits(self, key: bytes) -> bool:
        for rows in (self.active, *(rows for _, rows in reversed(self.layers))):
            if key in rows:
                return rows[key] is not None
        return key in self.store

    def read(self, now_ms: int) -> None:
        """Read the slabs that are wanted, as who delivers does."""
        while (wanted := self.timers.wanted(now_ms)) is not None:
            group, start = wanted
            self.slabs += 1
            there = sorted(k for k in self.store if k[:3] == group + TIMER and k >= start)
            keys = there[: self.limits.slab_rows]
            last = keys[-1] if len(keys) == self.limits.slab_rows else None
            self.timers.read(group, keys, last)

    def due(self, now_ms: int) -> Iterator[bytes]:
        """Fire what is due."""
        while True:
            self.read(now_ms)
            key = self.timers.first_due(now_ms)
            if key is None:
                return
            self.timers.remove(key)
            if self.waits(key):
                self.cancel(key)
                yield key


def test_messages_are_due_by_time_and_within_a_millisecond_by_order():
    kept = Kept()
    late, first, third, second = (kept.schedule(due_ms) for due_ms in (9, 3, 5, 3))
    fourth = kept.schedule(5, TWO)

    assert list(kept.due(2)) == []
    assert kept.timers.next_look_ms() == 3
    assert list(kept.due(5)) == [first, second, third, fourth]
    assert len(kept.timers) == 1
    assert list(kept.due(9)) == [late]
    assert len(kept.timers) == 0


def test_what_is_due_stays_until_it_is_removed():
    kept = Kept()
    key = kept.schedule(1)
    kept.read(1)

    assert kept.timers.first_due(1) == kept.timers.first_due(1) == key


def test_nothing_is_due_before_what_is_stored_was_looked_at():
    kept = Kept()
    kept.schedule(1)

    assert kept.timers.first_due(1) is None
    assert kept.timers.next_look_ms() <= 0
    assert kept.timers.wanted(0) == (ONE, ONE + TIMER)


def test_stored_messages_are_read_in_slabs_ahead_of_their_time():
    kept = Kept()
    kept.read(0)
    keys = [kept.schedule(1_000 * number) for number in range(1, 12)]
    kept.cut()
    kept.carry()
    kept.slabs = 0

    # Four are kept as they were stored; the fifth says when to read on.
    assert list(kept.due(1_000)) == keys[:1]
    assert kept.slabs == 0
    assert kept.timers.next_look_ms() == 2_000
    assert list(kept.due(2_000)) == keys[1:2]
    kept.read(4_950)
    assert kept.slabs > 0
    assert list(kept.due(4_950)) == keys[2:4]
    assert list(kept.due(11_000)) == keys[4:]
    assert kept.timers.next_look_ms() == 1 << 63


def test_no_more_are_near_than_there_is_room_for_until_they_are_due():
    kept = Kept()
    for _ in range(50):
        kept.schedule(10)
    kept.cut()
    kept.carry()
    kept.read(0)

    assert len(kept.timers._near) <= 4 + 2
    assert len(list(kept.due(10))) == 50


def test_a_cancelled_message_is_never_due():
    kept = Kept()
    cancelled, other = kept.schedule(1), kept.schedule(2)
    kept.cancel(cancelled)

    assert len(kept.timers) == 1
    assert list(kept.due(9)) == [other]


def test_messages_of_layers_that_a_new_store_lacks_are_found_again():
    kept = Kept()
    stored = kept.schedule(1)
    kept.cut()
    kept.carry()
    before = set(kept.store)
    lost, active = kept.schedule(2), None
    kept.cut()
    layers = list(kept.layers)
    kept.carry()
    active = kept.schedule(3)
    kept.read(3)

    kept.lose_store(before, layers)

    assert list(kept.due(9)) == [stored, lost, active]


def test_a_tally_says_how_many_wait_and_which_sequences_were_used():
    kept = Kept()
    kept.schedule(1)
    gone = kept.schedule(1)
    kept.cancel(gone)
    kept.cut()
    row = kept.layers[0][1][tally_key(ONE)]
    assert row is not None
    assert Tally.of_row(row) == Tally(1, 2)
    assert tally_key(TWO) not in kept.layers[0][1]

    again = Timers(GROUPS)
    again.restore(ONE, Tally.of_row(row))
    assert len(again) == 1
    assert again.schedule(ONE, 1) == timer_key_in(ONE, 1, 3)


def test_a_tally_is_written_only_where_something_changed():
    kept = Kept()
    kept.schedule(1)
    kept.cut()

    assert list(kept.timers.freeze(2)) == []


def test_where_nothing_waits_any_more_there_is_no_tally():
    kept = Kept()
    key = kept.schedule(1)
    kept.cut()
    kept.cancel(key)

    assert list(kept.timers.freeze(2)) == [(tally_key(ONE), None)]


def test_rows_of_messages_that_nobody_has_counted_get_tallies():
    rows = [
        row
        for number in (5, 3)
        for row in delayed_rows(
            Delayed("alice", TypeName("t", "f"), "bob", b"x", "token" if number == 3 else ""),
            1_000,
            number,
            key_group_count=1,
        )
    ]
    state = (state_key(TypeName("t", "f"), "bob", key_group_count=1), b"")

    counted = list(with_tallies([*rows, state]))

    assert counted[:-1] == [*rows, state]
    assert rows[2] == (token_key(ONE, "alice", "token"), timer_key_in(ONE, 1_000, 3))
    assert counted[-1] == (ONE + TALLY, Tally(2, 5).row())


def test_a_row_tells_all_of_a_message():
    delayed = Delayed("älice\0", TypeName("t.x", "f"), "bob", b"\0\1", "a token")

    assert decode_delayed(encode_delayed(delayed)) == delayed


@pytest.mark.parametrize("limits", [(1, 1, 0), (4, 2, AHEAD_MS), (1000, 1000, 10**6)])
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["schedule"] * 5 + ["cancel", "cut", "carry", "half", "lose", "time"]),
            st.integers(0, 20),
            st.integers(0, 2),
        ),
        max_size=60,
    )
)
@settings(max_examples=150)
def test_whatever_is_scheduled_and_not_cancelled_fires_once_in_order(
    limits: tuple[int, int, int], steps: list[tuple[str, int, int]]
):
    kept = Kept(TimerLimits(*limits))
    model: list[tuple[int, int, bytes]] = []
    old: tuple[set[bytes], list[tuple[int, dict[bytes, bytes | None]]]] = (set(), [])
    now_ms = 0
    for number, (step, amount, group) in enumerate(steps):
        if step == "schedule":
            due_ms = now_ms + amount
            model.append((due_ms, number, kept.schedule(due_ms, group_prefix(KeyGroup(group)))))
        elif step == "cancel" and model:
            kept.cancel(model.pop(amount % len(model))[2])
        elif step == "cut":
            kept.cut()
            old = (old[0], [*old[1], kept.layers[-1]])
        elif step == "carry":
            kept.carry()
        elif step == "half":
            kept.carry_half()
        elif step == "lose":
            # The store of the beginning, and all layers since: no checkpoint was complete.
            kept.lose_store(*old)
        elif step == "time":
            now_ms += amount
            fires = sorted(one for one in model if one[0] <= now_ms)
            model = [one for one in model if one[0] > now_ms]
            assert list(kept.due(now_ms)) == [key for _, _, key in fires]
        assert len(kept.timers) == len(model)

    assert list(kept.due(1_000)) == [key for _, _, key in sorted(model)]
    assert len(kept.timers) == 0
