"""Records that are rows until somebody has read them."""

from statefun_runtime.core.model.keys import egress_key, egress_prefix
from statefun_runtime.core.outboxes.row_outbox import RowOutbox, Topic
from tests.fakes.rows import DictRows

PREFIX = egress_prefix("t")


def outbox(rows: DictRows, *topics: Topic, complete_epoch: int = 0) -> RowOutbox:
    by_name = {topic.name: topic for topic in topics}
    return RowOutbox(by_name, rows.read, rows.write, complete_epoch=complete_epoch)


def test_rows_stand_in_the_order_in_which_they_were_made_over_epochs():
    rows, topic = DictRows(), Topic("t", PREFIX)
    made = outbox(rows, topic)
    made.collect(("t", b"1"))
    made.cut(1)
    made.collect(("t", b"2"))

    assert sorted(rows.rows) == [egress_key(PREFIX, 1, 0), egress_key(PREFIX, 2, 1)]
    assert [made.payload(topic, place) for place in topic.places] == [b"1", b"2"]
    assert made.complete_epoch == 0
    made.completed(1)
    assert made.complete_epoch == 1


def test_the_next_life_finds_them_and_goes_on_behind_them():
    rows, topic = DictRows(), Topic("t", PREFIX)
    outbox(rows, topic).collect(("t", b"1"))
    again = Topic("t", PREFIX)
    made = outbox(rows, again, complete_epoch=7)
    made.find(again, (key for key, _ in rows.scan_sizes(PREFIX)))
    made.collect(("t", b"2"))

    assert list(again.places) == [(1, 0), (8, 0)]
    made.remove_first(again)
    assert made.count == 1
    assert list(rows.rows) == [egress_key(PREFIX, 8, 0)]


def test_the_oldest_gives_way_where_there_are_as_many_as_there_may_be():
    rows, topic = DictRows(), Topic("t", PREFIX, count_max=2)
    made = outbox(rows, topic)
    for payload in (b"1", b"2", b"3"):
        made.collect(("t", payload))

    assert [made.payload(topic, place) for place in topic.places] == [b"2", b"3"]
    assert (made.dropped, made.count, len(rows.rows)) == (1, 2, 2)
