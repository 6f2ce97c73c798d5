"""Where topic partitions are gone on with, and what is told, kept and counted of those that cannot be."""

import logging

import pytest
from aiokafka import TopicPartition

from statefun_runtime.connectors.kafka.ingress.decision import (
    GoesOn,
    Log,
    Lost,
    MadeAnew,
    Restarted,
    decide,
)
from statefun_runtime.connectors.kafka.ingress.position import KafkaPosition
from statefun_runtime.connectors.kafka.ingress.splits import Splits
from statefun_runtime.connectors.kafka.settings.values import OffsetReset
from statefun_runtime.core.model.address import TypeName

INGRESS = TypeName("shop.io", "orders")
ONE, TWO = TopicPartition("orders", 0), TopicPartition("orders", 1)
EARLIEST, LATEST = OffsetReset.EARLIEST, OffsetReset.LATEST


@pytest.mark.parametrize("offset", [5, 7, 9])
def test_a_position_that_is_there_is_gone_on_at_and_learns_the_id_of_its_topic(offset: int):
    expected = GoesOn(KafkaPosition(offset, "A"))

    assert decide(KafkaPosition(offset), Log(5, 9, "A"), None) == expected
    assert decide(KafkaPosition(offset, "A"), Log(5, 9, "A"), EARLIEST) == expected
    assert decide(KafkaPosition(offset, "A"), Log(5, 9, None), None) == expected


@pytest.mark.parametrize("offset", [4, 10])
def test_a_position_that_is_not_there_is_lost(offset: int):
    assert decide(KafkaPosition(offset, "A"), Log(5, 9, "A"), None) == Lost(
        KafkaPosition(offset, "A", "offsets 5 to 9")
    )


def test_what_was_lost_stays_lost_when_its_offset_comes_into_being():
    lost = KafkaPosition(10, "A", "offsets 5 to 9")

    assert decide(lost, Log(5, 20, "A"), None) == Lost(lost)


@pytest.mark.parametrize("lost", ["", "offsets 5 to 9"])
def test_a_person_says_where_a_lost_position_is_gone_on_with(lost: str):
    before, log = KafkaPosition(2, "A", lost), Log(5, 9, "A")

    assert decide(before, log, EARLIEST) == Restarted(
        KafkaPosition(5, "A"), before, skipped=3, again=0
    )
    assert decide(before, log, LATEST) == Restarted(
        KafkaPosition(9, "A"), before, skipped=7, again=0
    )


def test_a_log_that_was_cut_may_be_read_again_or_skipped():
    before, log = KafkaPosition(12, "A"), Log(5, 9, "A")

    assert decide(before, log, EARLIEST) == Restarted(
        KafkaPosition(5, "A"), before, skipped=0, again=4
    )
    assert decide(before, log, LATEST) == Restarted(
        KafkaPosition(9, "A"), before, skipped=4, again=0
    )


@pytest.mark.parametrize("offset", [2, 7, 12])
@pytest.mark.parametrize("lost", ["", "offsets 5 to 9"])
def test_a_topic_with_another_id_is_read_from_its_beginning_wherever_the_old_one_was(
    offset: int, lost: str
):
    before = KafkaPosition(offset, "A", lost)

    assert decide(before, Log(5, 9, "B"), None) == MadeAnew(KafkaPosition(5, "B"), before)
    assert decide(before, Log(5, 9, "B"), LATEST) == MadeAnew(KafkaPosition(9, "B"), before)


def test_without_ids_a_topic_that_was_gone_counts_as_made_anew_only_where_its_offset_is_not_there():
    assert decide(KafkaPosition(7), Log(5, 9), None, was_gone=True) == GoesOn(KafkaPosition(7))
    assert decide(KafkaPosition(12), Log(5, 9), None, was_gone=True) == MadeAnew(
        KafkaPosition(5), KafkaPosition(12)
    )
    # The id says that it is the same topic.
    assert isinstance(decide(KafkaPosition(12, "A"), Log(5, 9, "A"), None, was_gone=True), Lost)


def test_a_position_is_kept_as_a_number_where_there_is_no_more_to_say():
    for position, stored in (
        (KafkaPosition(7), 7),
        (KafkaPosition(7, "A"), {"offset": 7, "topic_id": "A"}),
        (KafkaPosition(7, "A", "x"), {"offset": 7, "topic_id": "A", "lost": "x"}),
    ):
        assert position.stored() == stored
        assert KafkaPosition.read(stored) == position


@pytest.mark.parametrize("stored", ["seven", {"offset": "7"}, {"sequence": 7}, {"topic_id": "A"}])
def test_what_is_no_position_is_refused(stored: object):
    with pytest.raises(ValueError, match="is no position of a topic partition"):
        KafkaPosition.read(stored)  # type: ignore[arg-type]


def test_a_lost_split_is_told_kept_counted_and_told_again_after_a_while(
    caplog: pytest.LogCaptureFixture,
):
    splits = Splits(INGRESS, {"orders/0": {"offset": 2, "topic_id": "A"}, "orders/1": 6})
    splits.take(
        {
            ONE: decide(KafkaPosition(2, "A"), Log(5, 9, "A"), None),
            TWO: GoesOn(KafkaPosition(6, "A")),
        }
    )

    assert [str(record.message) for record in caplog.records] == [
        "SF3003: ingress 'shop.io/orders' cannot go on at topic orders, partition 0, offset 2: the broker has "
        "offsets 5 to 9; it waits there, and the others go on; hint: to go on without what is lost, start with "
        "--restart-topic orders, or with orders=latest to skip what is there now, too"
    ]
    assert splits.at == {TWO: 6}
    stored = splits.positions()
    assert stored == {
        "orders/0": {"offset": 2, "topic_id": "A", "lost": "offsets 5 to 9"},
        "orders/1": {"offset": 6, "topic_id": "A"},
    }
    assert metric(splits, "statefun_ingress_lost_splits") == 1
    # Another life knows it, too.
    assert Splits(INGRESS, stored).of(ONE) == KafkaPosition(2, "A", "offsets 5 to 9")
    caplog.clear()
    for now_s in (1.0, 2.0, 299.0, 302.0):
        splits.remind(now_s)
    assert [record.message for record in caplog.records] == [
        "ingress shop.io/orders still waits where its position is lost: orders/0 (SF3003); --restart-topic says "
        "where to go on"
    ]


def test_what_a_person_gives_up_is_told_and_counted(caplog: pytest.LogCaptureFixture):
    splits = Splits(INGRESS, {"orders/0": 2})

    splits.take({ONE: decide(KafkaPosition(2), Log(5, 9, "A"), EARLIEST)})

    assert [record.message for record in caplog.records] == [
        "ingress shop.io/orders goes on at topic orders, partition 0, offset 5, and not at offset 2, as "
        "--restart-topic says: 3 records are skipped, 0 may be read again"
    ]
    assert metric(splits, "statefun_ingress_lost_records") == 3
    assert metric(splits, "statefun_ingress_restarted_splits") == 1
    assert splits.positions() == {"orders/0": {"offset": 5, "topic_id": "A"}}


def test_topics_of_another_id_are_found_fresh_and_those_that_came_back_are_gone_on_with(
    caplog: pytest.LogCaptureFixture,
):
    splits = Splits(INGRESS, {})
    splits.take({ONE: GoesOn(KafkaPosition(6, "A")), TWO: GoesOn(KafkaPosition(3, "A"))})
    assert splits.fresh({ONE: "A", TWO: "A"}) == []
    assert splits.fresh({ONE: "A", TWO: None}) == []
    assert splits.fresh({ONE: "A", TWO: "B"}) == [TWO]

    splits.let_go(splits.gone({ONE: "A"}))

    assert splits.at == {ONE: 6}
    assert splits.positions()["orders/1"] == {"offset": 3, "topic_id": "A"}
    assert splits.fresh({ONE: "A", TWO: "A"}) == [TWO]
    back = {TWO: decide(KafkaPosition(3, "A"), Log(0, 9, "B"), None)}
    assert splits.still_fresh(back) == back
    splits.take(back)
    assert splits.still_fresh(back) == {}
    assert splits.at == {ONE: 6, TWO: 0}
    assert caplog.records[0].levelno == logging.WARNING
    assert caplog.records[0].message == (
        "ingress shop.io/orders: topic orders was made anew: partition 1 is read from offset 0 on, and not from "
        "offset 3 of the topic of before; what was not read of that is lost [SF3026]"
    )
    assert metric(splits, "statefun_ingress_made_anew") == 1


def metric(splits: Splits, name: str) -> float:
    (value,) = [one.value for one in splits.metrics() if one.name == name]
    assert isinstance(value, int | float)
    return value
