"""Sends dead letters again: each takes effect once, however often it is replayed while its id is remembered."""

from collections.abc import Iterable
from hashlib import sha256
from typing import Any

from statefun_runtime.core.model.dead_letter import DeadLetter
from statefun_runtime.core.model.idempotency import Repeat
from statefun_runtime.core.model.messages import is_invocation
from statefun_runtime.core.printable import ID_MAX, printable
from statefun_runtime.engine.checkpoints.checkpointing import Checkpointing
from statefun_runtime.ports.ingress import IngressContext


class Replay:
    """Delivers what is in dead letters to the addresses that they were for."""

    def __init__(self, context: IngressContext, checkpointer: Checkpointing) -> None:
        self._context = context
        self._checkpointer = checkpointer

    async def replay(self, letters: Iterable[DeadLetter]) -> dict[str, Any]:
        """Return how many were delivered, when that is durable, how many had been before, and which cannot be."""
        replayed = repeated = 0
        refused = []
        for letter in letters:
            outcome = self._deliver(letter)
            if isinstance(outcome, str):
                refused.append(f"{printable(letter.id, ID_MAX)}: {outcome}")
            elif outcome is Repeat.NEW:
                replayed += 1
            elif outcome is Repeat.SAME:
                repeated += 1
            else:
                refused.append(
                    f"{printable(letter.id, ID_MAX)}: it was replayed before with another content"
                )
        await self._checkpointer.saved()
        return {"replayed": replayed, "repeated": repeated, "refused": refused}

    def _deliver(self, letter: DeadLetter) -> Repeat | str:
        """Deliver a letter unless it was before; return why it cannot be, if so."""
        if letter.target is None or not letter.invocation:
            return f"it is a record that has no function to go to ({printable(letter.error)})"
        if not is_invocation(letter.invocation):
            return "its 'invocation' is not whole"
        function = self._context.resolve(letter.target.type)
        if function is None:
            return f"no endpoint serves {printable(str(letter.target.type), ID_MAX)}"
        # The key is remembered with the target, so letters that differ in it are different letters.
        key, digest = f"dead-letter {letter.id}", sha256(letter.invocation).digest()
        repeat = self._context.look(function, letter.target.id, key, digest)
        if repeat is Repeat.NEW:
            self._context.deliver_keyed(function, letter.target.id, letter.invocation, key, digest)
        return repeat
