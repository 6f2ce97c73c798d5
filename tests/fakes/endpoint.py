"""What an endpoint does with requests, said once for the fake client and for a real server."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

OCTETS = "application/octet-stream"


class Fate(Enum):
    """What becomes of a request that arrived."""

    ANSWERED = "answered"
    LOST = "no reply, and the connection stays"
    CUT = "the connection is cut in the middle of the reply"
    STALE = "the connection is closed without a byte"
    BESIDE = "it stood behind another that hung, and comes back; the fake alone knows it"


@dataclass(frozen=True)
class Answer:
    body: bytes = b""
    status: int = 200
    content_type: str = OCTETS
    after_s: float = 0.0
    fate: Fate = Fate.ANSWERED
    retry_after_s: float | None = None
    # A server says that in seconds, or as the date when they are over.
    is_retry_after_date: bool = False


class Endpoint:
    """`answer` makes the answer to a request's bytes; a test sets it, and `is_up`, as it likes."""

    def __init__(self, answer: Callable[[bytes], Answer] = lambda _: Answer()) -> None:
        self.answer = answer
        self.is_up = True
        self.requests: list[bytes] = []

    def take(self, request: bytes) -> Answer:
        self.requests.append(request)
        return self.answer(request)
