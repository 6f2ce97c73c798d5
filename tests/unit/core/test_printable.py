"""A text from outside is printed in one line, and not at any length."""

import pytest

from statefun_runtime.core.model.address import Address, TypeName
from statefun_runtime.core.partition.retry import Cause, Failure
from statefun_runtime.core.printable import ID_MAX, TEXT_MAX, printable


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("", ""),
        ("alice", "alice"),
        ("Zoë 東京", "Zoë 東京"),
        ("a\nERROR b", r"a\nERROR b"),
        ("a\r\tb", r"a\r\tb"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("\u2028", r"\u2028"),
        ("\u202eabc", r"\u202eabc"),
        ("\ud800", r"\ud800"),
        ("\0", r"\x00"),
    ],
)
def test_what_acts_on_a_terminal_or_a_log_is_escaped(text: str, printed: str):
    assert printable(text) == printed
    assert printable(printed) == printed


def test_a_longer_text_is_its_beginning_and_its_length():
    assert printable("k" * 11, 10) == "k" * 10 + "… (11 characters)"
    assert printable("k" * 10, 10) == "k" * 10
    assert printable("k" * 1_000_000, 10) == "k" * 10 + "… (1,000,000 characters)"


def test_escapes_count():
    assert printable("\0" * 10, 10) == r"\x00\x00" + "… (10 characters)"


def test_an_address_and_a_failure_are_printable():
    address = Address(TypeName("a", "b"), "x\n" + "y" * 1_000_000)
    assert str(address).startswith(r"a/b/x\ny")
    assert len(str(address)) < ID_MAX + 40
    failure = Failure(Cause.STATUS, "\n" * 1_000_000)
    assert failure.detail.startswith(r"\n\n")
    assert len(failure.detail) < TEXT_MAX + 40
