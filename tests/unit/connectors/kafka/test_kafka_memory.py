"""What an exactly-once egress remembers of earlier lives, and what it refuses because of it."""

import json

import pytest

from statefun_runtime.connectors.kafka.egress.memory import Memory
from statefun_runtime.core.checkpoints.manifest import Manifest, Progress
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.outboxes.epoch_outbox import Outboxes
from statefun_runtime.core.outboxes.form import RecordForm
from statefun_runtime.errors import ConfigError, CorruptionError

EGRESS = TypeName("shop.io", "receipts")
FORM = RecordForm[str](str.encode, bytes.decode, len)


def memory(known: Progress | None, *, may_republish: bool = False) -> Memory:
    return Memory(EGRESS, known, may_republish=may_republish)


def outboxes(*epochs: int) -> Outboxes[str]:
    made: Outboxes[str] = Outboxes(FORM, records_max=100, memory_max_bytes=10_000)
    for epoch in epochs:
        made.restore(epoch, ["a", "b"])
    return made


def test_at_first_there_is_nothing_to_remember_and_nothing_to_miss():
    first = memory(None)
    first.check_cluster("A", outboxes(3))
    first.check_topic("progress", is_there=False)
    assert first.progress(0) is None

    first.begun("A")

    assert first.progress(0) == Progress(0, "A")
    assert first.progress(7) == Progress(7, "A")


def test_the_same_cluster_is_no_news_nor_is_one_that_does_not_say():
    for cluster in ("A", None):
        later = memory(Progress(5, "A"))
        later.check_cluster(cluster, outboxes(5, 6))
        later.check_topic("progress", is_there=True)
        assert later.progress(0) == Progress(5, "A")


def test_another_cluster_is_refused_while_records_may_have_left_to_the_first():
    with pytest.raises(ConfigError) as refused:
        memory(Progress(5, "A")).check_cluster("B", outboxes(5, 6))

    assert str(refused.value) == (
        "SF1036: egress 'shop.io/receipts' has 2 records that may have been published to Kafka cluster A, "
        "and its address leads to cluster B\n"
        "hint: put the address back until they have left; or say --republish-egress shop.io/receipts "
        "to publish them to the new cluster, perhaps once more"
    )


def test_an_egress_of_which_all_is_known_to_be_published_may_move():
    waiting = outboxes(4, 5)
    moved = memory(Progress(5, "A"))

    moved.check_cluster("B", waiting)
    moved.check_topic("progress", is_there=False)

    assert not waiting.has_queued
    moved.begun("B")
    assert moved.progress(0) == Progress(5, "B")


def test_a_person_may_say_that_records_are_published_once_more():
    waiting = outboxes(5, 6)
    moved = memory(Progress(5, "A"), may_republish=True)
    moved.check_cluster("B", waiting)
    assert waiting.count == 2

    vanished = memory(Progress(5, "A"), may_republish=True)
    vanished.check_topic("progress", is_there=False)


def test_a_topic_that_was_there_is_missed():
    with pytest.raises(CorruptionError) as missed:
        memory(Progress(0, "A")).check_topic("progress", is_there=False)

    assert str(missed.value) == (
        "SF5006: the progress topic progress has vanished, and with it what was published\n"
        "hint: restore the topic; or say --republish-egress shop.io/receipts "
        "to publish what the last checkpoint holds, perhaps once more"
    )
    begun = memory(None)
    begun.begun("A")
    with pytest.raises(CorruptionError):
        begun.check_topic("progress", is_there=False)


def test_a_manifest_keeps_it():
    known = {"shop.io/receipts": Progress(7, "A"), "shop.io/other": Progress(0, None)}
    manifest = Manifest("app", 8, 1, "l", 0, 128, 8, {}, (), (), progress={"standalone": known})
    content = json.loads(manifest.encode())

    assert Manifest.from_json(content) == manifest
