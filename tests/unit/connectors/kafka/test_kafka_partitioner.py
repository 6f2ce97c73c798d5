import random

import pytest
from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import strategies as st

from statefun_runtime.connectors.kafka.egress.partitioner import Partitioner, murmur2

# From Kafka's own UtilsTest, as signed numbers.
VECTORS = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}


@pytest.mark.parametrize("key", VECTORS)
def test_the_hash_is_that_of_the_java_client(key: bytes):
    assert murmur2(key) == VECTORS[key] & 0xFFFFFFFF


@given(st.binary(max_size=40), st.integers(1, 50))
def test_a_key_goes_where_other_clients_send_it(key: bytes, partition_count: int):
    partitioner = Partitioner()
    partitioner.learn("t", partition_count)
    partitions = list(range(partition_count))

    assert partitioner.partition("t", key) == DefaultPartitioner()(key, partitions, partitions)


def test_records_without_key_take_turns():
    partitioner = Partitioner()
    partitioner.learn("t", 3)

    assert [partitioner.partition("t", None) for _ in range(4)] == [0, 1, 2, 0]


def test_a_topic_that_is_not_known_has_no_partition_yet():
    partitioner = Partitioner()
    assert partitioner.partition("t", b"key") is None
    assert partitioner.partition("t", None) is None

    partitioner.learn("t", 1)
    assert partitioner.partition("t", b"key") == 0


def test_a_remembered_key_stays_where_it_was(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("statefun_runtime.connectors.kafka.egress.partitioner._KEYS_MAX", 10)
    partitioner = Partitioner()
    partitioner.learn("t", 7)
    keys = [random.Random(n).randbytes(5) for n in range(100)]
    first = [partitioner.partition("t", key) for key in keys]

    assert [partitioner.partition("t", key) for key in keys] == first


def test_keys_may_go_elsewhere_when_a_topic_has_grown():
    partitioner = Partitioner()
    partitioner.learn("t", 1)
    assert {partitioner.partition("t", b"%d" % n) for n in range(20)} == {0}

    partitioner.learn("t", 3)

    assert {partitioner.partition("t", b"%d" % n) for n in range(20)} == {0, 1, 2}
    assert partitioner.topics() == ["t"]


def test_a_function_may_choose_a_partition_that_there_is():
    partitioner = Partitioner()
    assert partitioner.place("t", b"k", 1) is None
    partitioner.learn("t", 2)

    assert partitioner.place("t", b"k", 1) == 1
    assert partitioner.place("t", b"k", 2) == partitioner.partition("t", b"k")
    assert partitioner.place("t", b"k", None) == partitioner.partition("t", b"k")
