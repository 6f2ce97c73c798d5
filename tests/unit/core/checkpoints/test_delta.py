import pytest
from hypothesis import given
from hypothesis import strategies as st

from statefun_runtime.core.checkpoints.delta import MAGIC, decode_rows, encode_rows

ROWS = st.lists(st.tuples(st.binary(max_size=300), st.none() | st.binary(max_size=300)))


@given(st.lists(ROWS), st.integers(1, 50))
def test_rows_come_back_as_they_were_in_any_number_of_pieces(pieces: list, size: int):
    data = MAGIC + b"".join(encode_rows(rows) for rows in pieces)
    wanted = [row for rows in pieces for row in rows]

    assert list(decode_rows([data])) == wanted
    assert list(decode_rows(data[at : at + size] for at in range(0, len(data), size))) == wanted


def test_a_deletion_is_not_an_empty_value():
    assert list(decode_rows([MAGIC + encode_rows([(b"k", None), (b"k", b"")])])) == [
        (b"k", None),
        (b"k", b""),
    ]


def test_what_is_no_delta_is_told_apart():
    with pytest.raises(ValueError, match="does not begin like a delta"):
        list(decode_rows([b"ot", b"her"]))
    with pytest.raises(ValueError, match="does not begin like a delta"):
        list(decode_rows([]))
    with pytest.raises(ValueError, match="cut off"):
        list(decode_rows([MAGIC + encode_rows([(b"k", b"value")])[:-1]]))
