"""What a server says of when to ask again."""

import time
from email.utils import formatdate

import pytest

from statefun_runtime.adapters.http.responses import (
    Parsing,
    parse_head,
    refusal,
    seconds_to_wait,
)


def test_seconds_are_seconds_and_a_date_is_what_is_left_until_then():
    assert seconds_to_wait(" 7 ") == 7.0
    left_s = seconds_to_wait(formatdate(time.time() + 100, usegmt=True))
    assert left_s is not None
    assert 90 < left_s <= 101
    assert seconds_to_wait("Fri, 31 Dec 1999 23:59:59 GMT") == 0.0


@pytest.mark.parametrize("text", ["soon", "-1", "1.5", "9" * 30, "Fri, 99 Foo"])
def test_what_is_neither_says_nothing(text: str):
    assert seconds_to_wait(text) is None


def test_it_is_read_by_the_short_way_and_by_the_parser():
    head = parse_head(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nRetry-After: 3")
    assert head is not None
    assert refusal(head.status, head.content_type, b"", head.retry_after).is_later

    parsing = Parsing(100)
    parsing.feed(
        b"HTTP/1.1 429 Slow\r\nTransfer-Encoding: chunked\r\nRetry-After: 3\r\n\r\n0\r\n\r\n"
    )
    assert parsing.head().retry_after == "3"
