"""A bug of ours ends the worker; it does not go on half."""

import asyncio
from collections.abc import Callable

import pytest
import uvloop

from statefun_runtime.adapters.http.server import HttpRequest, HttpResponse, HttpServer
from statefun_runtime.app.loops import crash_on_bugs


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_an_exception_where_bytes_are_received_ends_the_worker(
    loop: Callable[[], asyncio.AbstractEventLoop],
):
    def stumble(request: HttpRequest) -> HttpResponse:
        raise ValueError("a bug")

    async def main() -> None:
        async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
            crash_on_bugs(tasks)
            server = HttpServer(stumble, host="127.0.0.1", port=0, body_bytes_max=1024)
            await server.start(what="the test")
            _, writer = await asyncio.open_connection("127.0.0.1", server.port)
            try:
                writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                await asyncio.Event().wait()
            finally:
                writer.close()
                await server.close()

    with pytest.raises(ExceptionGroup) as raised, asyncio.Runner(loop_factory=loop) as runner:
        runner.run(main())

    assert raised.group_contains(ValueError, match="a bug")
