"""What becomes of an invocation that its address cannot get past, as its endpoint says."""

import json
import logging
from typing import Any

import pytest

from statefun_runtime.core.model.address import Address, TypeName
from statefun_runtime.core.model.dead_letter import read_letter
from statefun_runtime.core.module.specs import AsyncTransport, OkHttpTransport, OnFailure
from statefun_runtime.core.partition.backlog import Phase
from statefun_runtime.engine.checkpoints.checkpointer import Checkpointer
from statefun_runtime.engine.dispatch.parked import ParkedAddresses, Selection
from statefun_runtime.errors import ConfigError
from tests.fakes.endpoint import Answer
from tests.fakes.virtual_time import run_virtual
from tests.support.wire_builders import Request, result
from tests.unit.engine.engine_world import ENCODER, World

OKHTTP = OkHttpTransport(call_s=1.0, read_s=0.3, write_s=0.3)
UNREADABLE = (
    "the reply is not a FromFunction message (1 bytes: Error parsing message with type "
    "'statefun.runtime.wire.FromFunction': Wire format was corrupt)"
)
ALICE = Address(TypeName("t", "f"), "alice")


def allergic_to(*values: bytes):
    """Fail every batch that holds one of some values; else say what came."""

    def handler(request: Request) -> Answer:
        if set(values) & set(request.values):
            return Answer(b"\xff")
        return Answer(result(egress=[("out", value) for value in request.values]))

    return handler


class DurableAtOnce(Checkpointer):
    """Only the part that commands wait for."""

    def __init__(self) -> None:
        pass

    async def saved(self) -> None:
        pass


def commands(world: World) -> ParkedAddresses:
    return ParkedAddresses(world.exchange, DurableAtOnce(), world.clock)


def letters(world: World) -> list[dict[str, Any]]:
    return [json.loads(one) for one in world.egress.left if one.startswith(b"{")]


def played(how: OnFailure, *values: bytes, poison: tuple[bytes, ...], **options: Any) -> World:
    """Send a batch with poison in it, and let the budget and more pass."""
    worlds = []

    async def main():
        world = World(transport=OKHTTP, on_failure=how, **options)
        worlds.append(world)
        world.serve("f", allergic_to(*poison))
        world.send("f", "alice", *values)
        await world.passes(20.0)
        await world.cut()

    run_virtual(main)
    return worlds[0]


def test_skip_drops_the_one_invocation_that_fails_and_the_others_go_on():
    world = played(OnFailure.SKIP, *b"1 2 3 4 5 6 7".split(), poison=(b"4",))

    assert world.egress.left == b"1 2 3 5 6 7".split()
    function = world.function("f")
    assert (function.counts.skipped, function.counts.dead_letters) == (1, 0)
    assert (function.parked, function.waiting, function.busy, world.load.waiting_bytes) == (
        0,
        0,
        0,
        0,
    )
    assert world.heads == {}


def test_skip_drops_several_and_keeps_the_order_of_the_others():
    world = played(OnFailure.SKIP, *b"1 2 3 4 5 6 7 8 9".split(), poison=(b"1", b"6", b"7"))

    assert world.egress.left == b"2 3 4 5 8 9".split()
    assert world.function("f").counts.skipped == 3


def test_a_dead_letter_holds_all_that_is_needed_to_send_it_again():
    world = played(OnFailure.DEAD_LETTER, b"1", b"2", b"3", poison=(b"2",), has_dead_letters=True)

    assert [one for one in world.egress.left if not one.startswith(b"{")] == [b"1", b"3"]
    (letter,) = letters(world)
    assert letter.pop("time").endswith("+00:00")
    assert letter == {
        "id": "app-1-nonce-1",
        "reason": "bad-reply",
        "error": UNREADABLE,
        "target": {"type": "t/f", "id": "alice"},
        "invocation": letter["invocation"],
        "argument": {"typename": "t/value", "bytes": 1, "text": "2"},
        "attempts": 2,
        "endpoint": "http://functions/f",
    }
    assert read_letter(json.dumps(letter | {"time": "2026-01-01T00:00:00+00:00"})).invocation == (
        ENCODER.encode(b"2")
    )
    assert world.function("f").counts.dead_letters == 1


def test_a_dead_letter_that_its_egress_refuses_parks_the_address_and_says_why():
    world = played(
        OnFailure.DEAD_LETTER, b"2" * 2_000_000, poison=(b"2" * 2_000_000,), has_dead_letters=True
    )

    (shown,) = commands(world).show(Selection(), limit=10)["parked"]
    assert world.egress.left == []
    assert shown["error"].startswith("egress 't/out' refuses its dead letter: a record of 2667")


def test_fail_asks_for_a_stop_and_loses_nothing():
    world = played(OnFailure.FAIL, b"1", b"2", poison=(b"2",))

    assert str(world.stop.failure) == (
        "SF2001: t/f/alice at http://functions/f failed after 1 attempts, and its endpoint says "
        f"'onFailure: fail': {UNREADABLE}\n"
        "hint: mend the function and start again: nothing is lost, the invocation is sent again; "
        "or choose 'onFailure: park', 'dead-letter' or 'skip'"
    )
    assert world.backlog("f", "alice").waiting_count == 1


def test_one_poisoned_invocation_of_a_large_batch_is_found_in_few_attempts():
    values = [b"%d" % number for number in range(1000)]
    world = played(OnFailure.SKIP, *values, poison=(b"700",))

    assert world.egress.left == values[:700] + values[701:]
    assert len(world.requests("f")) < 70


def test_a_parked_address_is_shown_with_what_a_person_needs():
    world = played(OnFailure.PARK, b"1", b"2", b"3", poison=(b"2",))

    shown = commands(world).show(Selection(), limit=10)
    (address,) = shown["parked"]
    assert shown["total"] == 1
    assert 15 < address.pop("parked_s") < 21
    assert 0 < address.pop("next_try_s") <= 16
    assert address == {
        "function": "t/f",
        "id": "alice",
        "endpoint": "http://functions/f",
        "attempts": 6,
        "waiting": 2,
        "error": UNREADABLE,
    }


def test_parked_addresses_keep_nothing_in_memory_and_their_order_on_disk():
    async def main():
        world = World(transport=OKHTTP, waiting_bytes_max=1_900)
        world.serve("f", allergic_to(b"0"))
        for name in ("alice", "bob"):
            world.send("f", name, *(b"%d" % number for number in range(50)))
        await world.passes(2.5)
        world.send("f", "alice", b"50", b"51")
        await world.cut()

        # Whoever is parked, others are fed.
        assert world.ingress_context.is_open()
        assert not world.load.waiting_bytes
        assert world.load.spilled_bytes > 1_900
        world.serve("f", allergic_to())
        await world.passes(10.0)
        assert sorted(world.egress.left) == sorted(
            [b"%d" % n for n in range(50)] * 2 + [b"50", b"51"]
        )
        alice = [r.values for r in world.requests("f") if r.id == "alice"]
        served = [value for values in alice[-20:] for value in values]
        assert served[-52:] == [b"%d" % number for number in range(52)]
        assert (world.load.waiting_bytes, world.load.spilled_bytes) == (0, 0)

    run_virtual(main)


def test_releasing_tries_a_parked_address_at_once():
    async def main():
        world = World(transport=OKHTTP)
        world.serve("f", allergic_to(b"1"))
        world.send("f", "alice", b"1", b"2")
        await world.passes(10.0)
        world.serve("f", allergic_to())

        answer = await commands(world).release(Selection(address=ALICE))
        await world.passes(0.1)

        assert answer == {"released": 1}
        assert world.egress.left == [b"1", b"2"]
        assert commands(world).show(Selection(), limit=10) == {"total": 0, "parked": []}
        # The pause that was cut short means nothing any more.
        await world.passes(30.0)
        assert world.egress.left == [b"1", b"2"]

    run_virtual(main)


def test_skipping_drops_only_what_holds_the_address_up(caplog: pytest.LogCaptureFixture):
    async def main():
        world = World(transport=OKHTTP)
        world.serve("f", allergic_to(b"1"))
        world.send("f", "alice", b"1", b"2")
        world.send("f", "bob", b"3")
        await world.passes(10.0)

        answer = await commands(world).skip(Selection(address=ALICE))
        await world.passes(0.1)

        assert answer == {"skipped": 1, "under_way": 0, "refused": []}
        assert world.egress.left == [b"3", b"2"]
        function = world.function("f")
        assert function.counts.skipped == 1
        assert (function.parked, function.busy, function.waiting) == (0, 0, 0)

    with caplog.at_level(logging.WARNING):
        run_virtual(main)
    assert "t/f/alice at http://functions/f: skipped after 5 attempts" in caplog.text


def test_what_an_operator_skips_becomes_a_dead_letter_where_there_is_a_place_for_them():
    async def main():
        world = World(transport=OKHTTP, has_dead_letters=True)
        world.serve("f", allergic_to(b"1"))
        world.send("f", "alice", b"1")
        await world.passes(10.0)

        await commands(world).skip(Selection(function_type=TypeName("t", "f")))

        assert [letter["reason"] for letter in letters(world)] == ["skipped"]

    run_virtual(main)


@pytest.mark.parametrize("later_s", [0.05, 10.0])
def test_a_retry_that_is_under_way_is_skipped_at_once(later_s: float):
    """Its request is cancelled: what it is answered, now or much later, counts for nothing."""

    async def main():
        world = World(transport=OKHTTP)
        world.serve("f", allergic_to(b"1"))
        world.send("f", "alice", b"1", b"2")
        await world.passes(0.5)
        while world.backlog("f", "alice").phase != Phase.PARKED:
            await world.passes(0.01)
        world.serve("f", lambda _: Answer(result(egress=[("out", b"late")]), after_s=later_s))
        while world.backlog("f", "alice").phase != Phase.IN_FLIGHT:
            await world.passes(0.01)

        answer = await commands(world).skip(Selection(address=ALICE))
        world.serve("f", allergic_to(b"1"))
        await world.passes(0.01)

        assert answer == {"skipped": 1, "under_way": 0, "refused": []}
        assert world.egress.left == [b"2"]
        await world.passes(20.0)
        assert world.egress.left == [b"2"]
        function = world.function("f")
        assert (function.parked, function.busy, function.waiting) == (0, 0, 0)

    run_virtual(main)


def test_a_released_address_is_skipped_at_once_while_it_waits_for_its_next_attempt():
    async def main():
        world = World(transport=AsyncTransport(call_s=1.0))
        world.serve("f", allergic_to(b"1"))
        world.send("f", "alice", b"1", b"2")
        while world.backlog("f", "alice").phase != Phase.PARKED:
            await world.passes(0.01)
        await commands(world).release(Selection(address=ALICE))
        while world.backlog("f", "alice").phase != Phase.BACKING_OFF:
            await world.passes(0.001)

        answer = await commands(world).skip(Selection(address=ALICE))
        await world.passes(0.1)

        assert answer == {"skipped": 1, "under_way": 0, "refused": []}
        assert world.egress.left == [b"2"]
        await world.passes(20.0)
        function = world.function("f")
        assert (function.parked, function.busy, function.waiting) == (0, 0, 0)

    run_virtual(main)


def test_an_address_whose_endpoint_is_down_is_skipped_at_once():
    async def main():
        world = World(transport=OKHTTP)
        world.serve("f", allergic_to(b"1"))
        world.send("f", "alice", b"1", b"2")
        while world.backlog("f", "alice").phase != Phase.PARKED:
            await world.passes(0.01)
        world.endpoint("f").is_up = False
        world.send("f", "bob")
        while world.backlog("f", "alice").phase != Phase.READY:
            await world.passes(0.01)

        assert (await commands(world).skip(Selection(address=ALICE)))["skipped"] == 1
        world.endpoint("f").is_up = True
        await world.passes(10.0)

        assert sorted(world.egress.left) == [b"2", b"x"]

    run_virtual(main)


def test_who_is_not_parked_cannot_be_released_or_skipped():
    async def main():
        world = World(transport=OKHTTP)
        with pytest.raises(ConfigError) as raised:
            await commands(world).skip(Selection(address=ALICE))
        assert str(raised.value) == (
            "SF1053: t/f/alice is not parked\nhint: `statefun-worker parked list` shows which are"
        )

    run_virtual(main)


def test_a_parked_address_is_still_parked_after_a_restart_and_no_other():
    async def main():
        old = World(transport=OKHTTP)
        old.serve("f", allergic_to(b"1"))
        old.send("f", "alice", b"1", b"2")
        await old.passes(9.0)
        await old.stopped()

        new = World(transport=OKHTTP, store=old.store)
        new.serve("f", allergic_to(b"1"))
        new.take_over(old)
        new.send("f", "bob", b"3")
        await new.passes(0.5)

        (shown,) = commands(new).show(Selection(), limit=10)["parked"]
        assert (shown["id"], shown["waiting"], shown["attempts"]) == ("alice", 2, 5)
        assert shown["error"] == UNREADABLE
        assert shown["parked_s"] > 8
        assert new.egress.left == [b"3"]
        assert len(new.requests("f")) == 1
        assert (await commands(new).skip(Selection(address=ALICE)))["skipped"] == 1
        await new.passes(0.1)
        assert new.egress.left == [b"3", b"2"]
        await new.stopped()

        newest = World(transport=OKHTTP, store=new.store)
        newest.take_over(new)
        assert commands(newest).show(Selection(), limit=10)["total"] == 0

    run_virtual(main)
