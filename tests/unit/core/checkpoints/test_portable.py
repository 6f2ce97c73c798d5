"""Rows become lines that any program can read, and the same rows again."""

from collections.abc import Iterable
from typing import Any

import pytest

from statefun_runtime.core.checkpoints.overlay import Row
from statefun_runtime.core.checkpoints.portable import (
    Line,
    LineError,
    chunk_rows,
    delayed_line,
    head_line,
    message_lines,
    once_line,
    parked_line,
    result_line,
    rows_of,
    sort_key,
    state_lines,
)
from statefun_runtime.core.model.address import Address, TypeName
from statefun_runtime.core.model.keys import (
    egress_key,
    egress_prefix,
    once_key_of,
    parked_key_of,
    state_key,
    timer_key,
    token_key,
)
from statefun_runtime.core.model.messages import (
    IngressEncoder,
    address_field,
    invocation,
    typed_value,
)
from statefun_runtime.core.model.state import Values, encode_row, state_field
from statefun_runtime.core.partition.spill import SPILL_LIMITS
from statefun_runtime.core.partition.timers import Delayed, encode_delayed

GROUPS = 128
CART = TypeName("shop", "cart")
ALICE = Address(CART, "alice")
KEY = state_key(CART, "alice", key_group_count=GROUPS)
FROM_OUTSIDE = IngressEncoder("io.statefun.types/string").encode(b"hello")
FROM_BOB = invocation(address_field(CART, "bob"), typed_value("t/v", b"\x00\xff"))
STATE_LINE: Line = {"kind": "state", "type": "shop/cart", "id": "alice", "name": "seen"}


def rows(lines: Iterable[Line]) -> list[Row]:
    return list(rows_of(sorted(((sort_key(one, GROUPS), one) for one in lines), key=_key), GROUPS))


def _key(one: tuple[bytes, Line]) -> bytes:
    return one[0]


def test_the_first_line_says_which_format_it_is():
    assert head_line() == {"kind": "application", "format": 1}


def test_values_are_told_by_name_with_their_times_and_come_back():
    fields = {
        "seen": state_field("seen", typed_value("io.statefun.types/int", b"\x0d\x01\x00\x00\x00")),
        "name": state_field("name", typed_value("t/text", b"")),
    }
    row = encode_row(Values(fields, {"seen": 17}, 23))
    lines = list(state_lines(KEY, row))

    assert [line["name"] for line in lines] == ["name", "seen"]
    assert lines[1] == STATE_LINE | {
        "typename": "io.statefun.types/int",
        "value": "DQEAAAA=",
        "written_ms": 17,
        "invoked_ms": 23,
    }
    ((key, back),) = rows(lines)
    assert key == KEY
    assert back is not None
    assert list(state_lines(key, back)) == lines


def test_messages_that_wait_are_told_with_their_callers_and_come_back_in_order_as_chunks():
    lines = list(message_lines(ALICE, FROM_OUTSIDE + FROM_BOB))

    assert [line["typename"] for line in lines] == ["io.statefun.types/string", "t/v"]
    assert "caller" not in lines[0]
    assert lines[1]["caller"] == {"type": "shop/cart", "id": "bob"}
    assert rows(lines) == list(chunk_rows(KEY, [FROM_OUTSIDE, FROM_BOB]))
    assert rows(lines)[0][1] == FROM_OUTSIDE + FROM_BOB


def test_a_backlog_is_cut_into_chunks_of_the_usual_size():
    large = IngressEncoder("t/v").encode(b"x" * (SPILL_LIMITS.chunk_bytes // 2 + 1))

    assert [value for _, value in chunk_rows(KEY, [large] * 3)][::2] == [large] * 3


def test_a_delayed_message_is_told_with_its_time_and_comes_back():
    row = encode_delayed(Delayed("bob", CART, "alice", FROM_BOB, "token"))
    line = delayed_line(timer_key("bob", 5000, 9, key_group_count=GROUPS), row)

    assert (line["sender_id"], line["due_ms"], line["token"]) == ("bob", 5000, "token")
    key = timer_key("bob", 5000, 1, key_group_count=GROUPS)
    assert rows([line]) == [(key, row), (token_key(key[:2], "bob", "token"), key)]


def test_what_is_parked_idempotent_or_a_result_comes_back_as_it_was():
    prefix = egress_prefix("out")
    parked, once, result = (
        (parked_key_of(KEY), b"why"),
        (once_key_of(KEY, "a key"), b"hash"),
        (egress_key(prefix, 3, 4), b"record"),
    )
    lines = [parked_line(*parked), once_line(*once), result_line(*result)]

    assert lines[1]["key"] == "a key"
    assert (lines[2]["topic"], lines[2]["epoch"], lines[2]["index"]) == ("out", 3, 4)
    assert sorted(rows(lines)) == sorted([parked, once, result])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"kind": "sates"}, "there is no kind 'sates' of lines"),
        ({"kind": "state", "type": "shop/cart"}, "'id' is missing"),
        ({"kind": "state", "type": "cart", "id": "a"}, None),
        ({"kind": "state", "type": "shop/", "id": "a"}, None),
    ],
)
def test_a_line_that_is_none_is_refused_with_what_is_wrong(line: Line, message: str | None):
    with pytest.raises(LineError) as refused:
        sort_key(line, GROUPS)
    assert message is None or str(refused.value) == message


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            [STATE_LINE | {"typename": "t/v", "value": ""}] * 2,
            "state 'seen' of shop/cart/alice is there twice",
        ),
        ([STATE_LINE | {"typename": "t/v"}], "'value' is missing"),
        (
            [{"kind": "message", "type": "shop/cart", "id": "a", "invocation": "AAAA"}],
            "the invocation of a message is not whole",
        ),
    ],
)
def test_lines_that_make_no_row_are_refused_with_what_is_wrong(lines: list[Any], message: str):
    with pytest.raises(LineError) as refused:
        rows(lines)
    assert str(refused.value) == message
