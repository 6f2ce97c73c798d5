"""What the next snapshot goes on from, when ranges have come together that others wrote."""

from pathlib import Path
from typing import Any

from statefun_runtime.core.checkpoints.manifest import (
    Base,
    Delta,
    KeyGroups,
    Manifest,
    ObjectId,
    Part,
    StoredObject,
)
from statefun_runtime.engine.checkpoints.bases import Bases
from statefun_runtime.engine.settings import Pace

LOW, HIGH = KeyGroups(0, 2), KeyGroups(2, 4)


def delta(epoch: int) -> Delta:
    return Delta(epoch, StoredObject(ObjectId(f"d{epoch}"), 1))


def test_a_base_of_some_key_groups_leaves_out_no_delta_of_the_others():
    parts = (
        Part("standalone", LOW, (Base(12, LOW, ()),), (delta(13),)),
        Part("worker-1", HIGH, (), (delta(2), delta(11))),
    )
    last = Manifest("app", 20, 1, "line", 0, 4, 1, {}, parts, ())
    nothing: Any = None

    bases = Bases(
        "standalone",
        KeyGroups(0, 4),
        nothing,
        nothing,
        nothing,
        last=last,
        scratch=lambda: Path("scratch"),
        discard=lambda _: None,
        pace=Pace(),
    )

    assert [one.epoch for one in bases.part(delta(21)).deltas] == [2, 11, 13, 21]
