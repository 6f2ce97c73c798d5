"""The log of a cluster writes all that it is to write, however much it is."""

from typing import Any

import pytest
from aiokafka.errors import MessageSizeTooLargeError

from statefun_runtime.connectors.kafka.cluster.log import _batches


class TwoRecords:
    """A batch that has room for two records, and for none that is large."""

    def __init__(self) -> None:
        self.keys: list[bytes] = []

    def append(self, *, timestamp: None, key: bytes, value: bytes | None) -> object | None:
        if len(self.keys) == 2 or len(value or b"") > 10:
            return None
        self.keys.append(key)
        return object()

    def close(self) -> None:
        """Nothing is added any more."""


class Producer:
    def create_batch(self) -> TwoRecords:
        return TwoRecords()


def keys(records: dict[bytes, bytes | None]) -> list[list[bytes]]:
    producer: Any = Producer()
    batches: Any = _batches(producer, records)
    return [batch.keys for batch in batches]


def test_more_records_than_fit_go_in_several_batches():
    records: dict[bytes, bytes | None] = dict.fromkeys([b"a", b"b", b"c", b"d", b"e"])

    assert keys(records) == [[b"a", b"b"], [b"c", b"d"], [b"e"]]


def test_a_record_that_fits_in_no_batch_is_an_error():
    with pytest.raises(MessageSizeTooLargeError):
        keys({b"a": bytes(11)})
