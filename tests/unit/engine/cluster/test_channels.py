"""What a worker sends to others, and what it makes of what comes."""

from typing import Any

from statefun_runtime.core.cluster import frames
from statefun_runtime.core.cluster.alignment import Alignment
from statefun_runtime.core.cluster.plan import assign
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.engine.cluster.channels import Incoming, Outgoing
from tests.fakes.virtual_time import run_virtual

GROUPS = 8
PLAN = assign(GROUPS, range(3))
OUT = TypeName("a", "out")


class Sent:
    """Links that tell what was sent."""

    def __init__(self) -> None:
        self.frames: list[tuple[int, bytes]] = []
        self.waiting_bytes = 0

    def attach(self, take: Any) -> None:
        raise AssertionError("nothing comes")

    def send(self, slot: int, frame: bytes) -> None:
        self.frames.append((slot, frame))

    async def run(self) -> None:
        raise AssertionError("nothing is carried")


def test_messages_of_one_turn_leave_in_one_frame_and_in_front_of_the_barrier():
    async def main() -> None:
        links = Sent()
        outgoing = Outgoing(PLAN, 1, links)
        for value in (b"1", b"2"):
            outgoing.bring_home(OUT, "t", value)
        assert links.frames == []
        outgoing.cut(7, is_last_complete=True)

        (slot, frame), *barriers = links.frames
        assert slot == PLAN.home.slot
        bodies = [body for _, _, body, _ in frames.split_messages(frame, 1)]
        assert list(map(frames.read_egress_record, bodies)) == [("t", b"1"), ("t", b"2")]
        assert sorted(barriers) == [
            (other, frames.barrier(7, is_last_complete=True)) for other in (0, 2)
        ]

    run_virtual(main)


def test_too_much_on_its_way_is_a_limit():
    async def main() -> None:
        links = Sent()
        outgoing = Outgoing(PLAN, 1, links)
        assert outgoing.why_full() is None
        links.waiting_bytes = 1 << 30
        assert outgoing.why_full() == ("1073741824 bytes wait for other workers (limit 16777216)")

    run_virtual(main)


class Reached:
    """Targets that take messages of one byte each, until they cannot."""

    def __init__(self) -> None:
        self.taken = b""
        self.stops_at = b""

    def deliver(self, data: bytes, offset: int) -> int:
        for place in range(offset, len(data)):
            if data[place : place + 1] == self.stops_at:
                return place
            self.taken += data[place : place + 1]
        return len(data)


def test_what_cannot_be_delivered_now_waits_with_all_behind_it_and_is_in_the_next_cut():
    wakes = []
    targets: Any = Reached()
    targets.stops_at = b"3"
    alignment = Alignment([1, 2], epoch=0)
    incoming = Incoming(alignment, targets, lambda *_: None, wakes.append)
    incoming.take(1, frames.MESSAGES + b"1234")
    incoming.take(2, frames.MESSAGES + b"5")
    assert targets.taken == b"12"

    incoming.cut()
    alignment.cut(1)
    incoming.take(2, frames.MESSAGES + b"6")
    targets.stops_at = b""
    (wake,) = wakes
    wake()
    assert targets.taken == b"123456"
    assert incoming.recorded() == [b"34", b"5", b"6"]
    assert incoming.recorded() == []
