"""What a leader and a worker of its machine say to each other: objects of JSON, one a line, over a pair of sockets."""

import asyncio
import json
import socket
from collections.abc import AsyncGenerator
from typing import Any

_LINE_BYTES_MAX = 256 * 1024 * 1024

Said = dict[str, Any]


class Pipe:
    """One end; lines come and go in their order."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, connected: socket.socket) -> "Pipe":
        """Return the end that a connected socket is."""
        return cls(*await asyncio.open_unix_connection(sock=connected, limit=_LINE_BYTES_MAX))

    def say(self, said: Said | bytes) -> None:
        """Say something: an object, or one that is encoded already."""
        line = said if isinstance(said, bytes) else json.dumps(said).encode()
        if not self._writer.is_closing():
            self._writer.write(line + b"\n")

    async def drained(self) -> None:
        """Return when what was said is on its way."""
        try:
            await self._writer.drain()
        except OSError:
            return

    async def heard(self) -> AsyncGenerator[bytes, None]:
        """Yield what the other end says, until it is gone."""
        while True:
            try:
                line = await self._reader.readline()
            except OSError:
                return
            if not line.endswith(b"\n"):
                return
            yield line

    def close(self) -> None:
        """Leave."""
        self._writer.close()
