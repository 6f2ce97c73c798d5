"""A real server process that speaks Kinesis' protocol: moto's, without AWS and without the internet."""

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import botocore.session
from botocore.config import Config

from tests.support.processes import Process, wait_until
from tests.support.sockets import free_port

REGION = "eu-west-1"
KEY_ID, SECRET = "test-key-id", "test-secret"
REQUEST_RECORDS_MAX = 500


@dataclass(frozen=True, slots=True)
class StreamRecord:
    """A record as it lies in a shard."""

    shard: str
    partition_key: str
    value: bytes
    sequence: int


class KinesisServer:
    """One server on a free loopback port; its streams are gone when it is."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._folder = tempfile.TemporaryDirectory(prefix="kinesis-server-")
        self._process: Process | None = None
        self._streams = 0
        self.client: Any = botocore.session.Session().create_client(
            "kinesis",
            region_name=REGION,
            endpoint_url=self.url,
            aws_access_key_id=KEY_ID,
            aws_secret_access_key=SECRET,
            config=Config(retries={"total_max_attempts": 3}),
        )

    def start(self) -> "KinesisServer":
        """Start the process; return when its port is open."""
        self._process = Process(
            [sys.executable, "-m", "tests.support.kinesis.moto", str(self.port)],
            log=Path(self._folder.name) / "moto.log",
        )
        self._process.wait_for_port(self.port)
        return self

    def pause(self) -> None:
        """Freeze the server: connections stay open and nothing is answered."""
        assert self._process is not None
        self._process.pause()

    def resume(self) -> None:
        assert self._process is not None
        self._process.resume()

    def close(self) -> None:
        if self._process is not None:
            self._process.stop()
        self._folder.cleanup()

    def unique_stream(self, stem: str, shards: int = 1) -> str:
        """Create a stream that no other test has."""
        self._streams += 1
        name = f"{stem}-{self._streams}"
        self.create_stream(name, shards)
        return name

    def create_stream(self, name: str, shards: int = 1) -> None:
        self.client.create_stream(StreamName=name, ShardCount=shards)

    def put(self, stream: str, records: Sequence[tuple[str, bytes]], *, shard: int = -1) -> None:
        """Put (partition key, data) in order, into one shard or where the keys lead."""
        into = {}
        if shard >= 0:
            hashes = self.shards(stream)[shard]["HashKeyRange"]
            into["ExplicitHashKey"] = hashes["StartingHashKey"]
        entries = [{"PartitionKey": key, "Data": data, **into} for key, data in records]
        assert len(entries) <= REQUEST_RECORDS_MAX
        answer = self.client.put_records(StreamName=stream, Records=entries)
        assert not answer["FailedRecordCount"], answer

    def shards(self, stream: str) -> list[Any]:
        found: list[Any] = self.client.list_shards(StreamName=stream)["Shards"]
        return found

    def split(self, stream: str, shard: str) -> None:
        """Split a shard in the middle of its hash keys."""
        hashes = next(s for s in self.shards(stream) if s["ShardId"] == shard)["HashKeyRange"]
        middle = (int(hashes["StartingHashKey"]) + int(hashes["EndingHashKey"])) // 2
        self.client.split_shard(
            StreamName=stream, ShardToSplit=shard, NewStartingHashKey=str(middle)
        )

    def merge(self, stream: str, shard: str, adjacent: str) -> None:
        self.client.merge_shards(
            StreamName=stream, ShardToMerge=shard, AdjacentShardToMerge=adjacent
        )

    def read_all(self, stream: str) -> list[StreamRecord]:
        """Return what lies in all shards, in order per shard."""
        found = []
        for shard in self.shards(stream):
            iterator = self.client.get_shard_iterator(
                StreamName=stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
            )["ShardIterator"]
            for record in self.client.get_records(ShardIterator=iterator)["Records"]:
                found.append(
                    StreamRecord(
                        shard["ShardId"],
                        record["PartitionKey"],
                        record["Data"],
                        int(record["SequenceNumber"]),
                    )
                )
        return found

    def consume(self, stream: str, count: int) -> list[StreamRecord]:
        """Return what lies in all shards, once there are so many."""

        def enough() -> list[StreamRecord] | None:
            found = self.read_all(stream)
            return found if len(found) >= count else None

        return wait_until(enough, f"{count} records of {stream}") if count else []

    def __enter__(self) -> "KinesisServer":
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
