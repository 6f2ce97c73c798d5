"""`statefun serve` as a runtime meets it: requests, bundles that are answered in parts, what is refused, how it ends."""

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from statefun import Context, Message, RequestReplyHandler, StatefulFunctions
from statefun.calls.bundles import BUNDLE
from statefun.serving.processes import listen
from statefun.serving.server import Server

from tests.support.http.bundles import framed, outcome, split
from tests.unit.sdk.sdk_requests import request

NAMES = {"now", "later", "never", "fail", "block"}


def asked(name: str, id: str = "x") -> bytes:
    return request(target=("t", name, id))


class Rig:
    """A server and the functions that it serves; `go` lets `later` and `block` end."""

    def __init__(self, *, sync_threads: int = 0, **more: int) -> None:
        self.functions = StatefulFunctions()
        self.go = asyncio.Event()
        self.unblock = threading.Event()
        self.stop = asyncio.Event()
        self.functions.register("t/now", self._now)
        self.functions.register("t/later", self._later)
        self.functions.register("t/fail", self._fail)
        self.functions.register("t/block", self._block)
        handler = RequestReplyHandler(self.functions, sync_threads=sync_threads)
        self.server = Server(handler, **more)
        listener = listen("127.0.0.1", 0)
        self.port = listener.getsockname()[1]
        self._listener = listener

    async def serve(self, *, grace_s: float = 5.0) -> None:
        self.is_whole = await self.server.serve(self._listener, self.stop, grace_s=grace_s)

    def _now(self, context: Context, message: Message) -> None: ...

    async def _later(self, context: Context, message: Message) -> None:
        await self.go.wait()

    def _fail(self, context: Context, message: Message) -> None:
        raise LookupError("no such item")

    def _block(self, context: Context, message: Message) -> None:
        assert self.unblock.wait(10)

    @asynccontextmanager
    async def connected(self):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            yield Caller(reader, writer)
        finally:
            writer.close()


class Caller:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, body: bytes = b"", *, target: str = "POST /statefun", **headers: str) -> None:
        fields = {"host": "x", "content_length": str(len(body)), **headers}
        lines = [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
        self.writer.write("\r\n".join((f"{target} HTTP/1.1", *lines, "", "")).encode() + body)

    def send_bundle(self, *bodies: bytes) -> None:
        self.send(framed(*bodies), content_type=BUNDLE)

    async def head(self) -> tuple[int, dict[str, str]]:
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        pairs = (line.partition(": ") for line in lines[1:] if line)
        return int(lines[0].split(" ")[1]), {name.lower(): value for name, _, value in pairs}

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        status, headers = await self.head()
        if "content-length" in headers:
            return status, headers, await self.reader.readexactly(int(headers["content-length"]))
        body = b""
        while part := await self.chunk():
            body += part
        return status, headers, body

    async def chunk(self) -> bytes:
        size = int(await self.reader.readline(), 16)
        return (await self.reader.readexactly(size + 2))[:-2]


def play(body: Callable[[Rig], Awaitable[None]], **how: int) -> None:
    async def main() -> None:
        rig = Rig(**how)
        async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
            tasks.create_task(rig.serve())
            await body(rig)
            rig.stop.set()

    asyncio.run(main())


def parts(body: bytes) -> set[bytes]:
    return set(split(body))


def test_an_ordinary_request_is_answered_with_an_offer_and_the_connection_goes_on():
    async def body(rig: Rig) -> None:
        async with rig.connected() as caller:
            for _ in range(3):
                caller.send(asked("now"))
                status, headers, reply = await caller.answer()
                assert (status, reply) == (200, b"")
                assert headers["content-type"] == "application/octet-stream"
                assert headers["statefun-bundle"] == "1"

    play(body)


def test_what_a_function_raises_is_a_500_with_its_words():
    async def body(rig: Rig) -> None:
        async with rig.connected() as caller:
            caller.send(asked("fail"))
            status, _, text = await caller.answer()
            assert (status, text) == (500, b"LookupError: no such item")
            caller.send(asked("never"))
            assert (await caller.answer())[0] == 404

    play(body)


def test_a_bundle_of_plain_functions_has_a_length():
    async def body(rig: Rig) -> None:
        async with rig.connected() as caller:
            caller.send_bundle(asked("now"), asked("fail"), asked("now"))
            status, headers, answer = await caller.answer()
            assert (status, headers["content-type"]) == (200, BUNDLE)
            assert parts(answer) == {
                outcome(0, reply=b""),
                outcome(1, status=500, text="LookupError: no such item"),
                outcome(2, reply=b""),
            }

    play(body)


def test_a_function_that_waits_holds_up_none_of_its_bundle():
    async def body(rig: Rig) -> None:
        async with rig.connected() as caller:
            caller.send_bundle(asked("later"), asked("now"), asked("later"), asked("fail"))
            status, headers = await caller.head()
            assert (status, headers["content-type"]) == (200, BUNDLE)
            first = await caller.chunk()
            assert parts(first) == {
                outcome(1, reply=b""),
                outcome(3, status=500, text="LookupError: no such item"),
            }
            rig.go.set()
            second = await caller.chunk()
            assert parts(second) == {outcome(0, reply=b""), outcome(2, reply=b"")}
            assert await caller.chunk() == b""
            caller.send(asked("now"))
            assert (await caller.answer())[0] == 200

    play(body)


def test_plain_functions_in_threads_hold_up_nobody():
    async def body(rig: Rig) -> None:
        async with rig.connected() as caller, rig.connected() as other:
            caller.send_bundle(asked("block"), asked("now"))
            await caller.head()
            assert parts(await caller.chunk()) == {outcome(1, reply=b"")}
            other.send(asked("now"))
            assert (await other.answer())[0] == 200
            rig.unblock.set()
            assert parts(await caller.chunk()) == {outcome(0, reply=b"")}

    play(body, sync_threads=2)


def test_what_is_no_bundle_is_a_400():
    async def body(rig: Rig) -> None:
        async with rig.connected() as caller:
            caller.send(framed(asked("now"))[:-1], content_type=f"{BUNDLE}; version=1")
            status, _, text = await caller.answer()
            assert status == 400
            assert text == b"the bundle ends 1 bytes too early; was its body cut on the way?"
            caller.send_bundle()
            assert (await caller.answer())[::2] == (200, b"")

    play(body)


def test_requests_in_a_row_are_answered_in_their_order():
    async def body(rig: Rig) -> None:
        async with rig.connected() as caller:
            caller.send(asked("later"))
            caller.send(asked("fail"))
            caller.send_bundle(asked("later"))
            caller.send(asked("never"))
            await asyncio.sleep(0.01)
            rig.go.set()
            assert [(await caller.answer())[0] for _ in range(4)] == [200, 500, 200, 404]

    play(body)


@pytest.mark.parametrize(
    ("target", "status", "said"),
    [
        ("GET /health", 200, b"ok\n"),
        ("GET /statefun", 405, b"functions are called with POST, not GET"),
        ("POST /elsewhere", 404, b"functions are at /statefun, and nothing is at /elsewhere"),
        ("POST /statefuns", 404, b"functions are at /statefun, and nothing is at /statefuns"),
    ],
)
def test_what_is_none_for_functions_is_refused_in_words(target: str, status: int, said: bytes):
    async def body(rig: Rig) -> None:
        async with rig.connected() as caller:
            caller.send(target=target)
            assert (await caller.answer())[::2] == (status, said)
            caller.send(asked("now"), target="POST /statefun/t/now?x=1")
            assert (await caller.answer())[0] == 200

    play(body)


def test_a_request_that_is_too_large_is_a_413_and_the_end():
    async def body(rig: Rig) -> None:
        async with rig.connected() as caller:
            caller.send(b"x" * 2000)
            status, headers, text = await caller.answer()
            assert (status, text) == (413, b"a request may have 1000 bytes")
            assert headers["connection"] == "close"
            assert await caller.reader.read() == b""

    play(body, body_bytes_max=1000)


def test_what_is_not_http_is_a_400_and_the_end():
    async def body(rig: Rig) -> None:
        async with rig.connected() as caller:
            caller.writer.write(b"\x16\x03\x01 hello\r\n\r\n")
            assert (await caller.answer())[0] == 400
            assert await caller.reader.read() == b""

    play(body)


def test_who_waits_to_be_told_to_go_on_is_told():
    async def body(rig: Rig) -> None:
        async with rig.connected() as caller:
            whole = asked("now")
            caller.send(
                target="POST /statefun", content_length=str(len(whole)), expect="100-continue"
            )
            assert (await caller.head())[0] == 100
            caller.writer.write(whole)
            assert (await caller.answer())[0] == 200

    play(body)


def test_a_connection_is_closed_for_who_asks_for_it():
    async def body(rig: Rig) -> None:
        async with rig.connected() as caller:
            caller.send(asked("now"), connection="close")
            _, headers, _ = await caller.answer()
            assert headers["connection"] == "close"
            assert await caller.reader.read() == b""

    play(body)


def test_a_server_that_stops_answers_what_was_asked_and_then_closes():
    async def body(rig: Rig) -> None:
        async with rig.connected() as idle, rig.connected() as busy, rig.connected() as bundled:
            busy.send(asked("later"))
            bundled.send_bundle(asked("later"), asked("now"))
            await bundled.head()
            rig.stop.set()
            assert await idle.reader.read() == b""
            with pytest.raises(OSError):
                await asyncio.open_connection("127.0.0.1", rig.port)
            rig.go.set()
            status, headers, _ = await busy.answer()
            assert (status, headers["connection"]) == (200, "close")
            assert parts(await bundled.chunk()) == {outcome(1, reply=b"")}
            assert parts(await bundled.chunk()) == {outcome(0, reply=b"")}
            assert await bundled.chunk() == b""
            assert await bundled.reader.read() == b""

    play(body)


@pytest.mark.parametrize("is_there", [True, False])
def test_what_does_not_end_in_time_is_cut_and_what_is_for_nobody_ends_nothing(is_there: bool):
    async def main() -> None:
        rig = Rig()
        async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
            tasks.create_task(rig.serve(grace_s=0.1 if is_there else 60.0))
            async with rig.connected() as caller:
                caller.send(asked("later"))
                await asyncio.sleep(0.05)
                if is_there:
                    rig.stop.set()
                    assert await caller.reader.read() == b""
            rig.stop.set()
        assert rig.is_whole is not is_there

    asyncio.run(main())


def test_a_caller_that_leaves_in_the_middle_is_missed_by_nobody():
    async def body(rig: Rig) -> None:
        async with rig.connected() as caller:
            caller.send_bundle(asked("later"), asked("now"))
            await caller.head()
        async with rig.connected() as caller:
            rig.go.set()
            caller.send(asked("now"))
            assert (await caller.answer())[0] == 200

    play(body)


def test_a_socket_file_that_was_left_behind_is_taken_over(tmp_path):
    path = str(tmp_path / "fns.sock")
    listen("", 0, path).close()
    listener = listen("", 0, path)
    assert listener.family == socket.AF_UNIX
    listener.close()
