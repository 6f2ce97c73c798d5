"""Topics in memory, which somebody who develops has in the place of a broker."""

import pytest

from statefun_runtime.connectors.kafka.local import topics
from statefun_runtime.connectors.kafka.local.topics import LocalTopic


def test_what_is_taken_is_still_there_for_ingresses():
    topic = LocalTopic("names")
    topic.append(b"a", b"1")
    topic.append(b"b", b"2")

    first, second = topic.take(), topic.take()

    assert first is not None
    assert second is not None
    assert (first.value, second.value, topic.take()) == (b"1", b"2", None)
    assert [record.offset for record in topic.read(0, 10)] == [0, 1]
    assert topic.read(1, 10) == [second]
    assert topic.read(2, 10) == []


def test_the_oldest_go_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(topics, "_RECORDS_MAX", 10)
    topic = LocalTopic("names")

    for number in range(25):
        topic.append(None, b"%d" % number)

    assert topic.end == 25
    kept = topic.read(0, 100)
    assert [record.offset for record in kept] == list(range(topic.begin, 25))
    assert 0 < len(kept) <= 10
    # Whoever was to take those that are gone goes on with the first that is kept.
    taken = topic.take()
    assert taken is not None
    assert taken.offset == topic.begin
