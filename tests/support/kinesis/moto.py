"""The server of `kinesis_server`: moto, with shards that split and merge as they do at AWS.

    python -m tests.support.kinesis.moto PORT

moto moves the records of a shard that is split or merged to its children, and never lets it end. Here a closed shard
keeps its records, takes no more, and ends behind the last one.
"""

import sys
from collections import OrderedDict
from hashlib import md5
from typing import Any

from moto.kinesis import models
from moto.kinesis.utils import decompose_shard_iterator
from moto.server import main

Shard, Stream, Backend = models.Shard, models.Stream, models.KinesisBackend
_split, _merge, _get_records = Stream.split_shard, Stream.merge_shards, Backend.get_records


def split_shard(stream: Any, shard_to_split: str, new_starting_hash_key: str) -> None:
    kept = _take_records(stream, shard_to_split)
    _split(stream, shard_to_split, new_starting_hash_key)
    _put_back(stream, kept)


def merge_shards(stream: Any, shard_to_merge: str, adjacent_shard_to_merge: str) -> None:
    kept = _take_records(stream, shard_to_merge, adjacent_shard_to_merge)
    _merge(stream, shard_to_merge, adjacent_shard_to_merge)
    _put_back(stream, kept)


def _take_records(stream: Any, *shard_ids: str) -> dict[str, Any]:
    kept = {shard_id: stream.shards[shard_id].records for shard_id in shard_ids}
    for shard_id in shard_ids:
        stream.shards[shard_id].records = OrderedDict()
    return kept


def _put_back(stream: Any, kept: dict[str, Any]) -> None:
    for shard_id, records in kept.items():
        stream.shards[shard_id].records = records


def get_shard_for_key(stream: Any, partition_key: str, explicit_hash_key: str | None) -> Any:
    digest = md5(partition_key.encode(), usedforsecurity=False).hexdigest()
    hash_key = int(explicit_hash_key) if explicit_hash_key else int(digest, 16)
    for shard in stream.shards.values():
        if shard.is_open and shard.starting_hash <= hash_key <= shard.ending_hash:
            return shard
    return None


def get_records(backend: Any, stream_arn: Any, shard_iterator: str, limit: Any) -> Any:
    stream_name, shard_id, _ = decompose_shard_iterator(shard_iterator)
    following, records, behind_ms = _get_records(backend, stream_arn, shard_iterator, limit)
    shard = backend.streams[stream_name].get_shard(shard_id)
    reached = int(decompose_shard_iterator(following)[2])
    if not shard.is_open and reached >= shard.get_max_sequence_number():
        return None, records, behind_ms
    return following, records, behind_ms


if __name__ == "__main__":
    for owner, name, function in (
        (Stream, "split_shard", split_shard),
        (Stream, "merge_shards", merge_shards),
        (Stream, "get_shard_for_key", get_shard_for_key),
        (Backend, "get_records", get_records),
    ):
        setattr(owner, name, function)
    main(["-H", "127.0.0.1", "-p", sys.argv[1]])
