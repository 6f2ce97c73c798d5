"""Channels between the processes of one machine: a pair of sockets for each two workers.

Whoever starts the workers makes the pairs and hands each its ends, so that nothing of another plan can come: another plan
has other pairs. A frame is its length, four bytes, and its content.
"""

import asyncio
import socket
from collections.abc import Mapping
from typing import cast

from statefun_runtime.core.cluster.troubles import channel_broken
from statefun_runtime.ports.team import TakeFrame

_LENGTH_BYTES = 4
_SOCKET_BYTES = 512 * 1024


class SocketLinks:
    """Links over connected sockets, by the slot of the worker at their other ends."""

    def __init__(self, sockets: Mapping[int, socket.socket]) -> None:
        self._sockets = sockets
        self._ends: dict[int, _End] = {}
        self._early: list[tuple[int, bytes]] = []
        self._take: TakeFrame | None = None

    def attach(self, take: TakeFrame) -> None:
        """Say who takes what comes."""
        self._take = take

    def send(self, slot: int, frame: bytes) -> None:
        """Send a frame; what is sent before `run` waits for it."""
        if (end := self._ends.get(slot)) is None:
            self._early.append((slot, frame))
        else:
            end.send(frame)

    @property
    def waiting_bytes(self) -> int:
        """The size of what the sockets have not taken."""
        early = sum(len(frame) for _, frame in self._early)
        return early + sum(end.waiting_bytes for end in self._ends.values())

    async def run(self) -> None:
        """Carry frames until cancelled."""
        assert self._take is not None
        loop = asyncio.get_running_loop()
        lost: asyncio.Future[int] = loop.create_future()
        ends = []
        for slot, connected in self._sockets.items():
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_BYTES)
            end = _End(slot, self._take, lost)
            await loop.create_unix_connection(lambda end=end: end, sock=connected)  # type: ignore[misc]
            ends.append((slot, end))
        self._ends = dict(ends)
        early, self._early = self._early, []
        for slot, frame in early:
            self._ends[slot].send(frame)
        try:
            slot = await lost
            raise channel_broken(f"the channel to worker {slot} is broken")
        finally:
            for end in self._ends.values():
                end.abort()


class _End(asyncio.Protocol):
    """One end of a channel."""

    def __init__(self, slot: int, take: TakeFrame, lost: "asyncio.Future[int]") -> None:
        self._slot = slot
        self._take = take
        self._lost = lost
        self._data = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is the loop's."""
        # uvloop's transports are none of asyncio's by their types.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Take the frames that are whole now."""
        data = self._data + data if self._data else data
        offset, end = 0, len(data)
        while end - offset >= _LENGTH_BYTES:
            begin = offset + _LENGTH_BYTES
            frame_end = begin + int.from_bytes(data[offset:begin], "big")
            if frame_end > end:
                break
            self._take(self._slot, data[begin:frame_end])
            offset = frame_end
        self._data = data[offset:]

    def connection_lost(self, error: Exception | None) -> None:
        """The other process is gone."""
        if not self._lost.done():
            self._lost.set_result(self._slot)

    def send(self, frame: bytes) -> None:
        """Write a frame; one that was cut off is told by `run`."""
        if self._transport is None or self._transport.is_closing():
            return
        self._transport.write(len(frame).to_bytes(_LENGTH_BYTES, "big") + frame)

    @property
    def waiting_bytes(self) -> int:
        """The size of what the socket has not taken."""
        return self._transport.get_write_buffer_size() if self._transport is not None else 0

    def abort(self) -> None:
        """Leave at once."""
        if self._transport is not None:
            self._transport.abort()
