"""A commit log whose checkpoints lie where others could keep theirs, too: each life claims that place.

    read ─▶ holder known to this log? ─▶ … ─▶ append(started) ─▶ hold ─▶ whoever held it before deletes nothing more

The objects of a place are deleted by whoever does not name them. So a place has the objects of one application, and of
one life of it: of two that began from copies of one log, the later one holds it, and the other is fenced when it is
about to delete something.
"""

import json
from dataclasses import dataclass

from statefun_runtime.core.checkpoints.commits import Entry, History, Started, fenced
from statefun_runtime.errors import ConfigError, UnavailableError
from statefun_runtime.ports.checkpoint_store import HeldPlace
from statefun_runtime.ports.commit_log import CommitLog


@dataclass(frozen=True, slots=True)
class _Life:
    application: str
    incarnation: int
    nonce: str


class ClaimedLog:
    """A CommitLog that has every life which it is told of hold a place; `where` is what people call that."""

    def __init__(self, log: CommitLog, place: HeldPlace, where: str) -> None:
        self._log = log
        self._place = place
        self._where = where
        self._history = History(())

    async def read(self) -> list[Entry]:
        """Return all entries; raise ConfigError if the place is held by a life that is none of them."""
        entries = await self._log.read()
        self._history = History(tuple(entries))
        await self._known_holder()
        return entries

    async def append(self, entry: Entry) -> None:
        """Add an entry; what a life begins with is followed by its claim. Raise FencedError if another was first.

        Raise UnavailableError if nobody holds the place, and checkpoints of this lineage were completed there.
        """
        if not isinstance(entry, Started):
            await self._log.append(entry)
            return
        found = await self._known_holder()
        goes_on = any(one.lineage == entry.lineage for one in self._history.completed)
        if found is None and goes_on:
            raise _away(self._where)
        # The log first: a claim of a life that no log knows could be followed by none.
        await self._log.append(entry)
        # The next life may be begun by who has begun this one, and reads nothing.
        self._history = History((*self._history.entries, entry))
        if not await self._place.hold(_content(entry), instead_of=found):
            raise fenced(self._where)

    async def prune(self, oldest_epoch: int) -> None:
        """Delete the entries of checkpoints before an epoch."""
        await self._log.prune(oldest_epoch)

    async def _known_holder(self) -> bytes | None:
        content = await self._place.holder()
        if content is not None:
            life = _life(content)
            if life is None or not self._history.knows(life.incarnation, life.nonce):
                raise _foreign(self._where, life)
        return content


def _content(started: Started) -> bytes:
    said = {
        "application": started.application,
        "incarnation": started.incarnation,
        "nonce": started.nonce,
    }
    return json.dumps(said).encode()


def _life(content: bytes) -> _Life | None:
    try:
        said = json.loads(content)
        return _Life(str(said["application"]), int(said["incarnation"]), str(said["nonce"]))
    except (ValueError, KeyError, TypeError):
        return None


def _foreign(where: str, life: _Life | None) -> ConfigError:
    whose = "what this version cannot read" if life is None else _named(life)
    return ConfigError(
        f"{where} has the checkpoints of {whose}, which the commit log of this state folder does not know",
        code="SF1084",
        hint="each application needs a place of its own: name another with --checkpoints, or the state folder that "
        "belongs to this one with --state-dir",
    )


def _away(where: str) -> UnavailableError:
    return UnavailableError(
        f"{where} is held by nobody, although a checkpoint of this application was completed there: is it mounted?",
        code="SF3066",
    )


def _named(life: _Life) -> str:
    return f"application {life.application[:8]}, incarnation {life.incarnation}"
