"""Records for Kinesis, as functions send them and as checkpoints keep them."""

import re
from dataclasses import dataclass

from statefun_runtime.adapters.wire import decode_kinesis_record, with_kinesis_stream
from statefun_runtime.connectors.kinesis.settings.names import why_no_stream
from statefun_runtime.core.checkpoints.manifest import ObjectId
from statefun_runtime.core.model.dead_letter import KINESIS_RECORD
from statefun_runtime.core.outboxes.form import RecordForm
from statefun_runtime.ports.egress import RecordRefused

RECORD_TYPENAME = KINESIS_RECORD
RECORD_OVERHEAD_BYTES = 200
# What AWS takes at most; a stream that was not told so refuses what is larger than 1 MiB.
RECORD_BYTES_MAX = 10 * 1024 * 1024
_KEY_CHARACTERS_MAX = 256
_HASH_KEY = re.compile(r"0|[1-9][0-9]{0,38}")
_HASH_KEY_MAX = 2**128 - 1


async def nothing_is_stored(object_id: ObjectId) -> list[bytes]:
    """There is no checkpoint store."""
    raise AssertionError(f"{object_id} is nowhere")


@dataclass(frozen=True, slots=True)
class Record:
    """A record in parts; `encoded` is all of it as the function sent it, an empty hash key is none."""

    stream: str
    partition_key: str
    hash_key: str
    value: bytes
    encoded: bytes

    @property
    def key(self) -> tuple[str, str, str]:
        """What keeps its order: the records that are sure to share a shard."""
        return self.stream, self.partition_key, self.hash_key

    @property
    def size_bytes(self) -> int:
        """Return what it counts for while it waits."""
        return len(self.value) + len(self.partition_key.encode()) + RECORD_OVERHEAD_BYTES

    def entry(self) -> dict[str, bytes | str]:
        """Return it as an entry of a PutRecords request."""
        entry: dict[str, bytes | str] = {"Data": self.value, "PartitionKey": self.partition_key}
        return {**entry, "ExplicitHashKey": self.hash_key} if self.hash_key else entry


def prepare_record(typename: str, value: bytes, *, stream_suffix: str = "") -> Record:
    """Return a KinesisEgressRecord in parts; raise RecordRefused if Kinesis could not take it.

    It is for the stream that it names with `stream_suffix` behind it, also when a checkpoint gives it back.
    """
    if typename != RECORD_TYPENAME:
        raise RecordRefused(f"a record must be of type '{RECORD_TYPENAME}', found '{typename}'")
    try:
        record = read_record(value)
        if stream_suffix:
            record = read_record(with_kinesis_stream(value, record.stream + stream_suffix))
    except ValueError as error:
        raise RecordRefused(str(error)) from error
    defect = why_no_stream(record.stream)
    if defect is not None:
        raise RecordRefused(defect)
    if not 1 <= len(record.partition_key) <= _KEY_CHARACTERS_MAX:
        raise RecordRefused(
            f"the partition key must have 1 to {_KEY_CHARACTERS_MAX} characters, "
            f"found {len(record.partition_key)}"
        )
    if record.hash_key and not _is_hash_key(record.hash_key):
        raise RecordRefused(
            f"the explicit hash key must be a number from 0 to 2^128 - 1, found {record.hash_key!r}"
        )
    size_bytes = len(record.value) + len(record.partition_key.encode())
    if size_bytes > RECORD_BYTES_MAX:
        raise RecordRefused(
            f"a record of {size_bytes} bytes for stream '{record.stream}' is larger than "
            f"Kinesis takes ({RECORD_BYTES_MAX})"
        )
    return record


def read_record(data: bytes) -> Record:
    """Read a record as a checkpoint keeps it: as the function sent it."""
    return Record(*decode_kinesis_record(data), data)


FORM = RecordForm[Record](
    lambda record: record.encoded, read_record, lambda record: record.size_bytes
)


def _is_hash_key(text: str) -> bool:
    return bool(_HASH_KEY.fullmatch(text)) and int(text) <= _HASH_KEY_MAX
