"""What a leader knows of one worker process, and what it asks of it."""

import json
from collections.abc import Callable
from typing import Any

from statefun_runtime.core.cluster import words
from statefun_runtime.engine.cluster.leading import RemoteParticipant
from statefun_runtime.engine.cluster.questions import Questions, read_error
from statefun_runtime.errors import StatefunError, UnavailableError
from statefun_runtime.ports.team import Hired


class WorkerProcess:
    """A worker of a plan; `told` is called with what it says that concerns the application."""

    def __init__(
        self,
        slot: int,
        hired: Hired,
        participant: RemoteParticipant,
        told: Callable[["WorkerProcess"], None],
        now_s: Callable[[], float],
    ) -> None:
        self.slot = slot
        self.number = hired.number
        self.pid = hired.pid
        self.where = hired.where
        self.participant = participant
        self.is_ready = self.has_ended = False
        self.is_buried = self.has_hung_up = False
        self.status = 0
        self.failure: StatefunError | None = None
        self._pipe = hired.pipe
        self._told = told
        self._now_s = now_s
        self.heard_s = now_s()
        self._questions = Questions()

    def tell(self, order: words.Order) -> None:
        """Give an order."""
        self._pipe.say(words.encode(order))

    async def ask(self, command: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Have it carry out a command; raise UnavailableError if it cannot, or is gone."""
        return await self._questions.ask(
            lambda number: self._pipe.say(
                {"ask": number, "command": command, "arguments": arguments}
            )
        )

    async def listen(self) -> None:
        """Take what it says, until it is gone."""
        async for line in self._pipe.heard():
            self.heard_s = self._now_s()
            if line.startswith(b'{"word"'):
                answer = words.decode(line)
                assert isinstance(answer, words.Answer)
                self.participant.hear(answer)
                if isinstance(answer, words.Report | words.Rests):
                    self._told(self)
            else:
                self._hear(json.loads(line))
        self.has_hung_up = True
        self._told(self)

    def _hear(self, said: dict[str, Any]) -> None:
        if "told" in said:
            self._questions.told(said["told"], said)
            return
        if "ready" in said:
            self.is_ready = True
        elif "failing" in said:
            self.failure = read_error(said["failing"])
        elif "ended" in said:
            self.has_ended = True
            if "error" in said:
                self.failure = read_error(said["error"])
        self._told(self)

    def gone(self, error: UnavailableError) -> None:
        """It answers no more."""
        self.participant.gone(error)
        self._questions.gone(error)
        self._pipe.close()
