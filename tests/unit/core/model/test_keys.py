from hypothesis import given
from hypothesis import strategies as st

from statefun_runtime.core.model.address import Address, TypeName, key_group
from statefun_runtime.core.model.keys import (
    BACKLOG,
    CHUNK,
    CHUNK_INDEX,
    HTTP_EGRESS,
    ONCE,
    PARKED,
    STATE,
    TALLY,
    TIMER,
    TOKEN,
    backlog_key_of,
    chunk_key_of,
    group_prefix,
    parse_address_key,
    parse_chunk_key,
    state_key,
    timer_key,
    token_key,
)

GREETER = TypeName("example", "greeter")


def test_the_keys_of_an_address_are_fixed_for_ever():
    assert state_key(GREETER, "Bob", key_group_count=128) == b"\x00\x20sexample/greeter\x00Bob"
    key = state_key(GREETER, "Bob", key_group_count=128)
    assert backlog_key_of(key) == b"\x00\x20bexample/greeter\x00Bob"
    assert (
        chunk_key_of(key, 258) == b"\x00\x20cexample/greeter\x00Bob\x00" + b"\x00" * 6 + b"\x01\x02"
    )


def test_the_key_of_a_delayed_message_is_fixed_for_ever():
    assert timer_key("Bob", 0x0102, 3, key_group_count=128) == (
        b"\x00\x20t" + b"\x00\x00\x00\x00\x00\x00\x01\x02" + b"\x00" * 7 + b"\x03"
    )


@given(
    st.text(alphabet=st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1), st.text()
)
def test_a_key_is_read_back_as_its_address(name: str, function_id: str):
    address = Address(TypeName("name.space", name), function_id)

    values = state_key(address.type, function_id, key_group_count=128)
    for key in (values, backlog_key_of(values)):
        assert parse_address_key(key) == address
        assert key.startswith(group_prefix(key_group(function_id, 128)))
    assert parse_chunk_key(chunk_key_of(values, 7)) == (address, 7)


def test_delayed_messages_of_a_key_group_lie_in_the_order_in_which_they_are_due():
    times = [0, 1, 255, 256, 70_000, 1 << 40]
    keys = [
        timer_key("Bob", due, sequence, key_group_count=1) for due in times for sequence in (1, 300)
    ]

    assert keys == sorted(keys)


def test_rows_of_different_kinds_do_not_mix():
    kinds = {STATE, BACKLOG, CHUNK, CHUNK_INDEX, ONCE, TIMER, TOKEN, TALLY, PARKED, HTTP_EGRESS}
    assert len(kinds) == 10


def test_a_token_s_key_tells_apart_where_the_sender_s_id_ends():
    assert token_key(b"\0\1", "a", "bc") != token_key(b"\0\1", "ab", "c")
    assert token_key(b"\0\1", "a\0b", "c") != token_key(b"\0\1", "a", "b\0c")
