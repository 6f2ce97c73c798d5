"""One connection, byte by byte: what is a response, what is not, and when the connection may be used again."""

import gzip
import zlib
from collections.abc import Callable

import pytest

from statefun_runtime.adapters.http.connection import Connection
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.module.specs import EndpointSpec, FunctionPattern
from statefun_runtime.core.partition.backlog import Backlog, Function
from statefun_runtime.core.partition.partition import Partition
from statefun_runtime.core.partition.retry import Cause, Failure

FUNCTION = Function(TypeName("t", "f"), EndpointSpec(FunctionPattern("t", None), "http://x/"))
ALICE = Partition(0, range(1)).admit(FUNCTION, "alice", b"")
TYPE = b"content-type: application/octet-stream\r\n"
BYTES_MAX = 1000


class FakeTransport:
    def __init__(self) -> None:
        self.written = b""
        self.is_aborted = False

    def write(self, data: bytes) -> None:
        self.written += data

    def abort(self) -> None:
        self.is_aborted = True


class Owner:
    payload_bytes_max = BYTES_MAX

    def __init__(self) -> None:
        self.told: list[object] = []

    def responded(self, connection: Connection, backlog: Backlog, body: bytes) -> None:
        assert backlog is ALICE
        self.told.append(body)

    def broke(self, connection: Connection, backlog: Backlog, failure: Failure) -> None:
        assert backlog is ALICE
        self.told.append(failure)

    def closed(self, connection: Connection, backlog: Backlog) -> None:
        assert backlog is ALICE
        self.told.append("closed")

    def went_stale(self, connection: Connection, backlog: Backlog, body: bytes) -> None:
        assert (backlog, body) == (ALICE, b"request")
        self.told.append("stale")

    def lost(self, connection: Connection) -> None:
        self.told.append("lost")


class Rig:
    """A connection with a request out."""

    def __init__(self) -> None:
        self.owner = Owner()
        self.transport = FakeTransport()
        self.connection = Connection(self.owner, {})
        self.connection.connection_made(self.transport)  # type: ignore[arg-type]
        self.send()

    def send(self) -> None:
        self.connection.send(
            self.owner, b"POST / HTTP/1.1\r\ncontent-length: ", ALICE, b"request", 9.0
        )

    def receive(self, data: bytes, *cuts: int) -> "Rig":
        """Receive data in pieces, as a transport delivers them: none after it was aborted."""
        for start, end in zip((0, *cuts), (*cuts, len(data)), strict=True):
            if not self.transport.is_aborted and data[start:end]:
                self.connection.data_received(data[start:end])
        return self

    def end(self) -> "Rig":
        """The other side closes."""
        self.connection.eof_received()
        self.connection.connection_lost(None)
        return self

    @property
    def outcome(self) -> object:
        (only,) = self.owner.told
        return only.cause if isinstance(only, Failure) else only

    @property
    def detail(self) -> str:
        (only,) = self.owner.told
        assert isinstance(only, Failure)
        return only.detail

    @property
    def is_reusable(self) -> bool:
        return self.connection.is_open and not self.transport.is_aborted


def plain(body: bytes = b"reply", status: bytes = b"200 OK", headers: bytes = TYPE) -> bytes:
    return b"HTTP/1.1 %b\r\n%bcontent-length: %d\r\n\r\n%b" % (status, headers, len(body), body)


def chunked(body: bytes = b"reply", headers: bytes = TYPE, *, chunk: int = 2) -> bytes:
    pieces = [body[at : at + chunk] for at in range(0, len(body), chunk)]
    coded = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    head = b"HTTP/1.1 200 OK\r\n" + headers + b"transfer-encoding: chunked\r\n\r\n"
    return head + coded + b"0\r\n\r\n"


def zipped(body: bytes, encoding: bytes, coded: bytes) -> bytes:
    return plain(coded, headers=TYPE + b"content-encoding: " + encoding + b"\r\n")


GOOD = {
    "plain": plain(),
    "empty": plain(b""),
    "odd case": plain().replace(b"content-", b"CoNtEnT-"),
    "no blank": plain().replace(b": ", b":"),
    "status 201": plain(status=b"201 Created"),
    "no phrase": plain(status=b"200 "),
    "chunked": chunked(),
    "chunked with trailer": chunked()[:-2] + b"x-trailer: 1\r\n\r\n",
    "gzip": zipped(b"reply", b"gzip", gzip.compress(b"reply")),
    "deflate": zipped(b"reply", b"deflate", zlib.compress(b"reply")),
    "continue before": b"HTTP/1.1 100 Continue\r\n\r\n" + plain(),
    "two early heads": b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" * 2 + plain(),
    "parameter": plain(headers=b"content-type: application/octet-stream; charset=utf-8\r\n"),
    "type in capitals": plain(headers=b"content-type: Application/Octet-Stream\r\n"),
    "one of several types": plain(headers=b"content-type: a/b, application/octet-stream\r\n"),
    "type twice": plain(headers=b"content-type: a/b\r\n" + TYPE),
}


def expected(name: str) -> bytes:
    return b"" if name == "empty" else b"reply"


def test_a_request_is_written_with_its_length():
    assert Rig().transport.written == b"POST / HTTP/1.1\r\ncontent-length: 7\r\n\r\nrequest"


@pytest.mark.parametrize("name", GOOD)
def test_a_good_response_in_one_piece_frees_the_connection(name: str):
    rig = Rig().receive(GOOD[name])

    assert rig.outcome == expected(name)
    assert rig.is_reusable


@pytest.mark.parametrize("name", GOOD)
def test_a_good_response_may_be_split_anywhere(name: str):
    data = GOOD[name]
    for cut in range(1, len(data)):
        rig = Rig().receive(data, cut)

        assert rig.outcome == expected(name), cut
        assert rig.is_reusable, cut


@pytest.mark.parametrize("name", GOOD)
def test_a_good_response_may_come_byte_by_byte_and_again(name: str):
    data = GOOD[name]
    rig = Rig().receive(data, *range(1, len(data)))
    rig.send()
    rig.receive(data, *range(1, len(data)))

    assert rig.owner.told == [expected(name)] * 2
    assert rig.is_reusable


@pytest.mark.parametrize("name", GOOD)
def test_a_response_that_was_cut_anywhere_is_no_reply(name: str):
    data = GOOD[name]
    for cut in range(1, len(data)):
        rig = Rig().receive(data[:cut]).end()

        assert rig.outcome == "closed", cut
        assert not rig.is_reusable


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("surplus", [b"x", plain()])
def test_a_connection_with_surplus_bytes_is_never_used_again(name: str, surplus: bytes):
    rig = Rig().receive(GOOD[name] + surplus)

    assert rig.outcome == expected(name)
    assert not rig.is_reusable


def test_a_connection_that_speaks_unasked_is_closed():
    rig = Rig().receive(plain())
    rig.receive(plain())

    assert rig.owner.told == [b"reply", "lost"]
    assert not rig.is_reusable


@pytest.mark.parametrize(
    "data",
    [
        plain(headers=TYPE + b"connection: close\r\n"),
        plain(headers=TYPE + b"Connection: Close\r\n"),
        chunked(headers=TYPE + b"connection: close\r\n"),
        plain().replace(b"HTTP/1.1", b"HTTP/1.0"),
    ],
)
def test_a_response_that_ends_the_connection_is_a_good_one(data: bytes):
    rig = Rig().receive(data)

    assert rig.outcome == b"reply"
    assert not rig.is_reusable


def test_a_body_without_length_ends_with_the_connection():
    rig = Rig().receive(b"HTTP/1.1 200 OK\r\n" + TYPE + b"\r\nre").receive(b"ply")
    assert rig.owner.told == []

    assert rig.end().outcome == b"reply"
    assert not rig.is_reusable


@pytest.mark.parametrize(
    ("status", "body", "detail"),
    [
        (b"500 Oops", b"boom\n", "the endpoint answered with status 500: boom"),
        (b"404 Not Found", b"", "the endpoint answered with status 404"),
        (b"503 X", b"y" * 900, "the endpoint answered with status 503: " + "y" * 800 + "…"),
        (b"502 X", b"\xff", "the endpoint answered with status 502: \ufffd"),
        (b"302 Found", b"", "the endpoint answered with status 302"),
    ],
)
def test_another_status_is_told_with_what_the_endpoint_said(
    status: bytes, body: bytes, detail: str
):
    rig = Rig().receive(plain(body, status, b"content-type: text/plain\r\n"))

    assert rig.outcome is Cause.STATUS
    assert rig.detail == detail
    assert rig.is_reusable


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        (b"content-type: text/html\r\n", "'text/html'"),
        (b"", "none"),
        (b"content-type: application/octet-streams\r\n", "'application/octet-streams'"),
    ],
)
def test_another_content_type_is_told(headers: bytes, found: str):
    rig = Rig().receive(plain(headers=headers))

    assert rig.outcome is Cause.CONTENT_TYPE
    assert (
        rig.detail
        == f"the reply's content type must be 'application/octet-stream', found {found}: reply"
    )
    assert rig.is_reusable


def test_no_content_is_no_reply():
    rig = Rig().receive(b"HTTP/1.1 204 No Content\r\n\r\n")

    assert rig.outcome is Cause.CONTENT_TYPE


@pytest.mark.parametrize(
    "data",
    [
        b"garbage\r\n\r\n",
        b"HTTP/1.1 2x0 OK\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nreply",
        b"HTTP/1.1 200 OK\r\ncontent-length: %b\r\n\r\n" % (b"9" * 5000),
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nnot a size\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
        zipped(b"reply", b"gzip", b"no gzip"),
        zipped(b"reply", b"br", b"brotli"),
        zipped(b"reply", b"gzip", gzip.compress(b"reply")[:-3]),
    ],
)
def test_what_is_not_proper_http_closes_the_connection(data: bytes):
    rig = Rig().receive(data)

    assert rig.outcome is Cause.BAD_HTTP
    assert not rig.is_reusable


@pytest.mark.parametrize(
    "data",
    [
        plain(b"x" * (BYTES_MAX + 1)),
        chunked(b"x" * (BYTES_MAX + 1), chunk=100),
        b"HTTP/1.1 200 OK\r\n" + TYPE + b"\r\n" + b"x" * (BYTES_MAX + 1),
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 70_000,
    ],
)
def test_a_response_that_is_too_large_closes_the_connection(data: bytes):
    for cuts in ((), range(100, len(data), 100)):
        rig = Rig().receive(data, *cuts)

        assert rig.outcome is Cause.TOO_LARGE
        assert not rig.is_reusable


def test_the_largest_response_is_taken():
    body = b"x" * BYTES_MAX

    assert Rig().receive(plain(body)).outcome == body
    assert Rig().receive(chunked(body, chunk=100)).outcome == body


def test_a_small_body_that_unpacks_to_a_large_one_is_refused():
    rig = Rig().receive(zipped(b"", b"gzip", gzip.compress(b"x" * (BYTES_MAX * 50))))

    assert rig.outcome is Cause.TOO_LARGE
    assert rig.detail == f"the response is larger than {BYTES_MAX} bytes"


def test_a_used_connection_closed_before_a_byte_is_stale():
    rig = Rig().receive(plain())
    rig.send()
    rig.end()

    assert rig.owner.told == [b"reply", "stale"]


def test_a_fresh_connection_closed_before_a_byte_is_not():
    assert Rig().end().outcome == "closed"


def test_an_idle_connection_told_of_its_time_out_while_a_request_is_on_its_way_is_stale():
    told = plain(b"", b"408 Request Timeout", TYPE + b"connection: close\r\n")
    rig = Rig().receive(plain())
    rig.send()
    rig.receive(told)

    assert rig.owner.told == [b"reply", "stale"]
    assert not rig.is_reusable
    assert Rig().receive(told).outcome is Cause.STATUS


@pytest.mark.parametrize(
    ("said", "idle_s"),
    [
        (b"", 4.0),
        (b"keep-alive: timeout=5\r\n", 4.0),
        (b"Keep-Alive: timeout=3, max=99\r\n", 2.0),
        (b"keep-alive: max=1, Timeout = 1\r\n", 0.5),
        (b"keep-alive: timeout=75\r\n", 4.0),
        (b"keep-alive: timeout=soon, max\r\n", 4.0),
    ],
)
@pytest.mark.parametrize("make", [plain, chunked])
def test_an_idle_connection_is_left_before_its_server_closes_it(
    said: bytes, idle_s: float, make: Callable[..., bytes]
):
    rig = Rig().receive(make(headers=TYPE + said))
    rig.connection.idle_since_s = 100.0

    assert rig.is_reusable
    assert not rig.connection.is_left_over(100.0 + idle_s - 0.01)
    assert rig.connection.is_left_over(100.0 + idle_s)


@pytest.mark.parametrize(
    "said", [b"keep-alive: timeout=5, max=0\r\n", b"keep-alive: timeout=0\r\n"]
)
@pytest.mark.parametrize("make", [plain, chunked])
def test_a_connection_that_may_not_be_used_again_is_closed(said: bytes, make: Callable[..., bytes]):
    rig = Rig().receive(make(headers=TYPE + said))

    assert rig.outcome == b"reply"
    assert not rig.is_reusable


def test_a_connection_that_was_not_needed_is_left_soon():
    connection = Connection(Owner(), {})
    connection.idle_since_s = 100.0

    assert not connection.is_left_over(100.02)
    assert connection.is_left_over(100.04)


def test_an_idle_connection_that_is_closed_is_told():
    rig = Rig().receive(plain())
    rig.end()

    assert rig.owner.told == [b"reply", "lost"]


def test_a_request_whose_time_is_over_takes_the_connection_with_it():
    rig = Rig()
    rig.connection.expire()
    rig.connection.connection_lost(None)

    assert rig.outcome is Cause.TIMEOUT
    assert not rig.is_reusable


def test_after_close_nothing_is_told():
    rig = Rig()
    rig.connection.close()
    rig.end()

    assert rig.owner.told == []


def test_a_large_response_in_many_pieces_is_put_together():
    owner = Owner()
    owner.payload_bytes_max = 1 << 30
    connection = Connection(owner, {})
    connection.connection_made(FakeTransport())  # type: ignore[arg-type]
    connection.send(owner, b"", ALICE, b"", 9.0)
    body = b"x" * (8 << 20)
    data = memoryview(plain(body))
    for start in range(0, len(data), 1024):
        connection.data_received(bytes(data[start : start + 1024]))

    assert owner.told == [body]
