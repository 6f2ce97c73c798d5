"""Random programs: what functions do with a message depends on its text alone, so a model can say what must happen.

    text = record[/step]*     payload = text|sequence

A function counts in its state, numbers what it sends to each target, and tells every invocation to the egress `out`:
count, caller, sequence, text. Some are told to `web` (HTTP by cursor) and `alo` (Kafka at-least-once) too.
In some histories a few messages are poison: their function refuses every batch that holds one.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from zlib import crc32

from tests.simulation.kafka.wire import Reply, incomplete, parse_request

TYPES = ("a", "b", "c")
IDS = ("k0", "k1", "k2", "k3")
# How a message begins that goes well at every function.
WELL = "w"


@dataclass(frozen=True)
class Step:
    """Something a function sends: `kind` is now, later, tokened (may be cancelled) or cancel."""

    kind: str
    target: str
    text: str
    delay_ms: int = 0


class Program:
    """The functions of one history; `salt` makes it another one."""

    def __init__(self, salt: int, ids: tuple[str, ...], *, has_poison: bool = False) -> None:
        self._salt = salt
        self.ids = ids
        self.has_poison = has_poison

    def is_poison(self, address: str, text: str) -> bool:
        """Return whether the function at an address refuses a message."""
        if not self.has_poison or text.startswith(WELL):
            return False
        return crc32(f"{self._salt}poison{address}{text}".encode()) % 8 == 0

    def refuses(self, body: bytes) -> bool:
        """Return whether a request holds a message that its function refuses."""
        if not self.has_poison:
            return False
        request = parse_request(body)
        address = f"{request.type}/{request.id}"
        return any(
            self.is_poison(address, payload.partition("|")[0]) for _, payload in request.invocations
        )

    def steps(self, address: str, text: str) -> Iterator[Step]:
        """Return what the function at an address sends for a text; a cancellation goes out from its own id."""
        depth = text.count("/")
        dice = crc32(f"{self._salt}{address}{text}".encode())
        if text.startswith(WELL):
            # Each record goes to `a` and to `b` of its key.
            if address.startswith("a/"):
                yield Step("now", f"c/{address.partition('/')[2]}", f"{text}/c")
            return
        if text.endswith(("x", "t")) or depth > 2:
            return
        for index in range(((2, 2, 1, 0)[depth] * ((dice >> 3) % 8) + 4) // 8):
            turn = crc32(f"{dice}{index}".encode())
            target = f"{TYPES[turn % 3]}/{self.ids[(turn >> 4) % len(self.ids)]}"
            name = f"{text}/{address[0]}{index}"
            match (turn >> 9) % 10:
                case 0 | 1:
                    yield Step("later", target, name, (turn >> 13) % 1500)
                case 2:
                    yield Step("later", target, name, 1_500 + (turn >> 13) % 2_500)
                case 3 | 4:
                    delay_ms = 4_000 if turn & 4096 else (turn >> 13) % 400
                    yield Step("tokened", target, name + "t", delay_ms)
                    if turn & 8192:
                        yield Step("now", address, name + "x")
                case _:
                    yield Step("now", target, name)

    def told_to(self, address: str, text: str) -> Iterator[str]:
        """Return the egresses that hear of an invocation."""
        dice = crc32(f"{self._salt}{text}{address}".encode())
        yield "out"
        if dice % 4 == 0:
            yield "web"
        if dice % 4 == 1:
            yield "alo"

    def answer(self, body: bytes) -> tuple[str, list[str], bytes]:
        """Return address, payloads and reply of a request."""
        request = parse_request(body)
        address = f"{request.type}/{request.id}"
        payloads = [payload for _, payload in request.invocations]
        if request.state is None:
            return address, payloads, incomplete()
        state = json.loads(request.state or b'{"n":0,"to":{}}')
        reply = Reply()
        for caller, payload in request.invocations:
            self._invoke(state, address, caller, payload, reply)
        return address, payloads, reply.encode(json.dumps(state).encode())

    def _invoke(
        self, state: dict[str, Any], address: str, caller: str, payload: str, reply: Reply
    ) -> None:
        text, _, sequence = payload.rstrip(".").partition("|")
        state["n"] += 1
        for egress in self.told_to(address, text):
            reply.record(egress, address, f"{address}|{state['n']}|{caller}|{sequence}|{text}")
        if text.endswith("x"):
            reply.cancel(text[:-1] + "t")
        for step in self.steps(address, text):
            if step.kind == "now":
                number = state["to"].get(step.target, 0) + 1
                state["to"][step.target] = number
                reply.send(step.target, f"{step.text}|{number}")
            else:
                token = step.text if step.kind == "tokened" else ""
                reply.send_after(step.delay_ms, step.target, f"{step.text}|-", token)


@dataclass
class Expected:
    """What must have happened at each address, and what may have; `dead` is what must or may be a dead letter."""

    required: dict[tuple[str, str], None]
    optional: dict[tuple[str, str], None]
    dead: dict[tuple[str, str], bool]


def expect(
    program: Program, required: list[tuple[str, str]], optional: list[tuple[str, str]]
) -> Expected:
    """Follow everything that comes of (address, text) pairs."""
    found = Expected({}, {}, {})
    for roots, must in ((required, True), (optional, False)):
        waiting = [(address, text, must) for address, text in roots]
        while waiting:
            address, text, is_required = waiting.pop()
            if program.is_poison(address, text):
                found.dead[address, text] = is_required
                continue
            place = found.required if is_required else found.optional
            place[address, text] = None
            steps = list(program.steps(address, text))
            cancelled = {step.text[:-1] + "t" for step in steps if step.text.endswith("x")}
            for step in steps:
                waiting.append((step.target, step.text, is_required and step.text not in cancelled))
    return found
