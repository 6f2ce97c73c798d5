"""What becomes of what cannot go on: an address is parked, an invocation or record is given up, the worker stops.

What is given up goes to a declared egress as a dead letter, in the same epoch in which it leaves its backlog or its
split: it is in one of the two, never in both or in none.
"""

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from statefun_runtime.core.model.address import Address, TypeName
from statefun_runtime.core.model.dead_letter import DeadLetter, Origin
from statefun_runtime.core.model.keys import parked_key_of
from statefun_runtime.core.module.specs import DeadLetterRoute
from statefun_runtime.core.partition.backlog import Backlog
from statefun_runtime.core.partition.failure_state import FailureState
from statefun_runtime.engine.egress import Egress
from statefun_runtime.engine.state.states import States
from statefun_runtime.errors import FunctionError, StatefunError
from statefun_runtime.ports.clock import Clock
from statefun_runtime.ports.egress import RecordRefused

log = logging.getLogger("statefun.functions")

# Makes the typed value that carries a letter to a topic of one egress: typename and value.
Wrap = Callable[[str, DeadLetter], tuple[str, bytes]]


class Outcomes:
    """Carries out what was decided.

    `egresses` may be filled after this is made; `wraps` says in which form each takes letters; `life` is in the ids
    of letters and is never the same in two lives; `fatal` has the worker stop for what its operator declared fatal.
    """

    def __init__(
        self,
        states: States,
        clock: Clock,
        egresses: Mapping[TypeName, Egress[Any]],
        wraps: Mapping[TypeName, Wrap],
        *,
        life: str,
        fatal: Callable[[StatefunError], None],
    ) -> None:
        self._states = states
        self._clock = clock
        self._egresses = egresses
        self._wraps = wraps
        self._fatal = fatal
        self._life = life
        self._letters = 0
        self.letters_sent: dict[TypeName, int] = {}

    # ── addresses ──

    def parked(self, backlog: Backlog, failing: FailureState) -> None:
        """Remember that an address is parked, over restarts too."""
        failing.parked_ms = failing.parked_ms or self._clock.now_ms()
        content = {
            "since_ms": failing.parked_ms,
            "times": failing.parked_times,
            "attempts": failing.attempts,
            "reason": failing.reason,
            "decided": failing.is_decided,
        }
        row = json.dumps(content, separators=(",", ":")).encode()
        self._states.write(parked_key_of(backlog.key), row)

    def read_parked(self, row: bytes) -> FailureState:
        """Return what a row says about an address that was parked when the last life ended."""
        content = json.loads(row)
        failing = FailureState()
        failing.parked_times, failing.parked_ms = content["times"], content["since_ms"]
        failing.attempts, failing.reason = content["attempts"], content["reason"]
        failing.is_decided = content.get("decided", True)
        return failing

    def unparked(self, backlog: Backlog) -> None:
        """The address goes on."""
        self._states.write(parked_key_of(backlog.key), None)

    def dead_letter(self, backlog: Backlog, failing: FailureState, reason: str) -> str | None:
        """Send the one invocation in flight as a dead letter; return why it cannot be sent, or None."""
        function = backlog.function
        route = function.endpoint.dead_letters
        assert route is not None, f"{function} has no route for dead letters"
        (invocation,) = backlog.in_flight
        letter = DeadLetter(
            id="",
            time_ms=0,
            reason=reason,
            error=failing.reason,
            target=backlog.address,
            invocation=invocation,
            attempts=failing.attempts,
            endpoint=function.url,
        )
        refused = self._send(route, letter)
        if refused is None:
            function.counts.dead_letters += 1
        return refused

    def fail(self, backlog: Backlog, failing: FailureState) -> None:
        """Have the worker stop: its operator wants to be the one who decides."""
        self._fatal(
            FunctionError(
                f"{backlog.address} at {backlog.function.url} failed after {failing.attempts} attempts, "
                f"and its endpoint says 'onFailure: fail': {failing.reason}",
                code="SF2001",
                hint="mend the function and start again: nothing is lost, the invocation is sent again; "
                "or choose 'onFailure: park', 'dead-letter' or 'skip'",
            )
        )

    # ── records of ingresses ──

    def forward(
        self,
        route: DeadLetterRoute,
        origin: Origin,
        *,
        reason: str,
        error: str,
        target: Address | None = None,
        invocation: bytes | None = None,
    ) -> str | None:
        """Send a record that cannot be routed as a dead letter; return why it cannot be sent, or None."""
        return self._send(
            route, DeadLetter("", 0, reason, error, target, invocation, origin=origin)
        )

    def _send(self, route: DeadLetterRoute, letter: DeadLetter) -> str | None:
        egress, wrap = self._egresses[route.egress], self._wraps[route.egress]
        self._letters += 1
        named = replace(letter, id=f"{self._life}-{self._letters}", time_ms=self._clock.now_ms())
        try:
            record = egress.prepare(*wrap(route.topic, named))
        except RecordRefused as error:
            return f"egress '{route.egress}' refuses its dead letter: {error}"
        egress.emit(record)
        self.letters_sent[route.egress] = self.letters_sent.get(route.egress, 0) + 1
        return None

    def why_refused(self, route: DeadLetterRoute) -> str | None:
        """Return why the egress of a route would refuse every letter, or None."""
        egress, wrap = self._egresses[route.egress], self._wraps[route.egress]
        try:
            egress.prepare(*wrap(route.topic, DeadLetter("", 0, "", "")))
        except RecordRefused as error:
            return str(error)
        return None
