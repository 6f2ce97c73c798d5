"""Opens TCP connections to names that have several addresses: they are raced, as RFC 8305 wants it.

An address gets a head start over the next one, and the first that answers wins. One that was refused, or lost the race
in spite of its start, is tried last for a while, so that a dead address costs its head start once and not each time.
The order is the resolver's otherwise: behind a name with many good addresses each gets its share.
"""

import asyncio
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain, zip_longest

HEAD_START_S = 0.25
_REMEMBERED_S = 60.0


@dataclass(frozen=True, slots=True)
class Place:
    """One address that a name has."""

    family: int
    type: int
    protocol: int
    address: tuple[object, ...]


class Dialler:
    """Connects to names, and remembers which of their addresses are bad."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._bad: dict[Place, float] = {}

    async def dial(self, host: str, port: int) -> socket.socket:
        """Return a socket that is connected; raise OSError, of the address that failed first, or UnicodeError."""
        places = await self._places(host, port)
        if len(places) == 1:
            return await self._try(places[0])
        return await self._race(places)

    async def known_good(self, host: str, port: int) -> list[str]:
        """Return a name's first good address, but only if others of it are known to be bad."""
        if not self._bad:
            return []
        places = await self._places(host, port)
        is_partly_bad = places[0] not in self._bad and any(place in self._bad for place in places)
        return [str(places[0].address[0])] if is_partly_bad else []

    async def _places(self, host: str, port: int) -> list[Place]:
        """Return the addresses in the order in which to try them; at least one."""
        found = await self._loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        now_s = self._loop.time()
        self._bad = {place: until_s for place, until_s in self._bad.items() if until_s > now_s}
        # Each once: a hosts file may name one twice.
        places = list(
            dict.fromkeys(
                Place(family, kind, protocol, address)
                for family, kind, protocol, _, address in found
            )
        )
        if not places:
            raise OSError("its name has no address")
        return sorted(interleaved(places), key=lambda place: place in self._bad)

    async def _try(self, place: Place) -> socket.socket:
        made = socket.socket(place.family, place.type, place.protocol)
        try:
            made.setblocking(False)
            await self._loop.sock_connect(made, place.address)
        except BaseException:
            made.close()
            raise
        return made

    async def _race(self, places: Sequence[Place]) -> socket.socket:
        race = _Race()
        try:
            async with asyncio.TaskGroup() as tasks:
                await self._run_race(places, race, tasks)
        except BaseException:
            if race.winner is not None:
                race.winner.close()
            raise
        if race.winner is None:
            raise race.errors[places[0]]
        for place in race.started:
            if place != race.winner_place:
                self._bad[place] = self._loop.time() + _REMEMBERED_S
        return race.winner

    async def _run_race(
        self, places: Sequence[Place], race: "_Race", tasks: asyncio.TaskGroup
    ) -> None:
        runners = []
        for place in places:
            race.started.append(place)
            runners.append(tasks.create_task(self._run(place, race)))
            await race.moves(HEAD_START_S)
            if race.winner is not None:
                break
        while race.winner is None and len(race.errors) < len(places):
            await race.moves(None)
        for runner in runners:
            runner.cancel()

    async def _run(self, place: Place, race: "_Race") -> None:
        try:
            made = await self._try(place)
        except OSError as error:
            race.errors[place] = error
        else:
            if race.winner is None:
                race.winner, race.winner_place = made, place
            else:
                made.close()
        race.moved.set()


@dataclass(slots=True)
class _Race:
    winner: socket.socket | None = None
    winner_place: Place | None = None
    started: list[Place] = field(default_factory=list)
    errors: dict[Place, OSError] = field(default_factory=dict)
    moved: asyncio.Event = field(default_factory=asyncio.Event)

    async def moves(self, within_s: float | None) -> None:
        """Wait until somebody has won or lost, or the time is over."""
        try:
            async with asyncio.timeout(within_s):
                await self.moved.wait()
        except TimeoutError:
            pass
        self.moved.clear()


def interleaved(places: Sequence[Place]) -> list[Place]:
    """Return them with the families in turn, beginning with that of the first."""
    first = [place for place in places if place.family == places[0].family]
    others = [place for place in places if place.family != places[0].family]
    pairs = chain.from_iterable(zip_longest(first, others))
    return [place for place in pairs if place is not None]
