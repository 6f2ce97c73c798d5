"""A server that has place for so many connections at once; others wait in the backlog until one of them is closed."""

import asyncio
import socket
from contextlib import suppress

from tests.support.http.raw_http import read_request, response


class NarrowServer:
    """Answers every request, on at most `places` connections at once; `async with` starts and ends it."""

    def __init__(self, places: int) -> None:
        self._places = asyncio.Semaphore(places)
        self.accepted = 0
        self.requests = 0
        self.open = 0
        self.open_max = 0

    def url(self) -> str:
        return f"http://127.0.0.1:{self._listening.getsockname()[1]}/statefun"

    async def __aenter__(self) -> "NarrowServer":
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self._listening.setblocking(False)
        self._tasks = await asyncio.TaskGroup().__aenter__()
        self._accepting = self._tasks.create_task(self._accept())
        return self

    async def __aexit__(self, *error: object) -> None:
        self._accepting.cancel()
        self._listening.close()
        await self._tasks.__aexit__(None, None, None)

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._places.acquire()
            connection, _ = await loop.sock_accept(self._listening)
            self.accepted += 1
            self._tasks.create_task(self._serve(connection))

    async def _serve(self, connection: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=connection)
        self.open += 1
        self.open_max = max(self.open_max, self.open)
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                await read_request(reader)
                self.requests += 1
                writer.write(response(b"reply"))
        writer.close()
        self.open -= 1
        self._places.release()
