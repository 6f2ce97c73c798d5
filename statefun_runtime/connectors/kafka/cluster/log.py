"""The commit log of a cluster: a compacted topic, written in transactions by whoever leads.

    claim ─▶ the leader's transactional id is this process's, and nobody else's any more ─▶ mark ─▶ read up to it ─▶ append …

Invariants: of two that claim, the broker lets only the later one write, and refuses the other at its next append. What was
written before a claim is read after it, since a mark of one's own is behind it: a client's end of a topic may be too early.
An append whose outcome is not known ends the claim: whoever claims next reads it.
"""

import asyncio
import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import suppress

from aiokafka import TopicPartition
from aiokafka.errors import (
    IllegalOperation,
    InvalidProducerEpoch,
    KafkaError,
    MessageSizeTooLargeError,
    ProducerFenced,
)

from statefun_runtime.connectors.kafka.client.clients import AIOKAFKA, KafkaClients
from statefun_runtime.connectors.kafka.client.inside import leave, why_it_failed
from statefun_runtime.connectors.kafka.client.protocols import Batch, Consumer, Producer
from statefun_runtime.connectors.kafka.cluster.topics import Brokers, away
from statefun_runtime.core.checkpoints.commits import (
    Completed,
    Entry,
    Started,
    entry_form,
    fenced,
    read_entry,
    unreadable,
)
from statefun_runtime.errors import FencedError, UnavailableError

_MARK = b"leader"
_TRANSACTION_TIMEOUT_MS = 30_000
_LIMIT_S = 20.0
_READ_S, _READS_MAX = 5.0, 4
_POLL_MS = 200

Content = dict[bytes, bytes]


class TopicLog:
    """A CommitLog in a topic; only who has claimed it appends. Close it.

    Who does not claim it reads up to the start of a life that is known to be there: the one with this `nonce`. If it is not
    known yet, it can `follow` meanwhile, and `look_for` that when it is.
    """

    def __init__(
        self, brokers: Brokers, clients: KafkaClients = AIOKAFKA, *, nonce: str = ""
    ) -> None:
        self._brokers = brokers
        self._clients = clients
        self._nonce = nonce
        self._arguments = brokers.arguments()
        self._place = TopicPartition(brokers.log, 0)
        self._producer: Producer | None = None
        self._completed: dict[bytes, int] = {}
        self._newest: bytes | None = None
        self._following: tuple[Consumer, Content] | None = None
        self._process = ""
        # Where this process's last mark is; they only grow, and so do those of who leads after it.
        self.term = 0

    async def claim(self, process: str) -> int:
        """Become the one that appends; return the term. Raise UnavailableError if the brokers are away."""
        await self.close()
        self._process = process
        self._producer = self._clients.make_producer(
            self._arguments
            | {
                "transactional_id": self._brokers.leader_id,
                "transaction_timeout_ms": _TRANSACTION_TIMEOUT_MS,
                "enable_idempotence": True,
                "acks": "all",
            }
        )
        try:
            async with asyncio.timeout(_LIMIT_S):
                await self._producer.start()
        except (KafkaError, OSError, TimeoutError) as error:
            raise await self._away(error) from error
        await self.read()
        return self.term

    async def confirm(self) -> None:
        """Raise FencedError if somebody else has claimed since."""
        await self._write({_MARK: self._mark()})

    async def follow(self) -> None:
        """Connect, and have come in what there is: then the next read has what is new only. What fails is left to that."""
        with suppress(KafkaError, OSError, TimeoutError):
            async with asyncio.timeout(_READ_S):
                self._following = await self._open()

    def look_for(self, nonce: str) -> None:
        """Read up to the start of this life from now on."""
        self._nonce = nonce

    async def read(self) -> list[Entry]:
        """Return all entries up to a mark that is written now, or to the start of the life that is looked for."""
        mark = b""
        if not self._nonce:
            mark = self._mark()
            await self._write({_MARK: mark})
        for attempt in range(1, _READS_MAX + 1):
            try:
                async with asyncio.timeout(_READ_S):
                    return self._entries(await self._content(mark))
            except (KafkaError, OSError, TimeoutError) as error:
                # A client that is stuck is given up: a new one looks for brokers anew.
                if attempt == _READS_MAX:
                    raise await self._away(error) from error
        raise AssertionError("the last attempt returns or raises")

    async def append(self, entry: Entry) -> None:
        """Add an entry; raise FencedError if another process leads, or it is not known whether the entry is there."""
        key = _key(entry)
        await self._write({key: json.dumps(entry_form(entry)).encode()})
        self._note(key, entry)

    async def prune(self, oldest_epoch: int) -> None:
        """Delete the entries of checkpoints before an epoch, but never the newest entry."""
        old = [
            key
            for key, epoch in self._completed.items()
            if epoch < oldest_epoch and key != self._newest
        ]
        if old:
            await self._write(dict.fromkeys(old))
        for key in old:
            del self._completed[key]

    async def close(self) -> None:
        """Append no more."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await leave(producer)

    # ── the topic ──

    def _mark(self) -> bytes:
        return json.dumps({"process": self._process, "mark": secrets.token_hex(8)}).encode()

    def _entries(self, content: Content) -> list[Entry]:
        entries: list[Entry] = []
        self._completed = {}
        for key, value in content.items():
            try:
                entry = read_entry(json.loads(value))
            except (ValueError, KeyError, TypeError) as error:
                raise unreadable(f"a record of {self._brokers.log}", error) from error
            self._note(key, entry)
            entries.append(entry)
        return entries

    def _note(self, key: bytes, entry: Entry) -> None:
        self._newest = key
        if isinstance(entry, Completed):
            self._completed[key] = entry.epoch

    async def _write(self, records: Mapping[bytes, bytes | None]) -> None:
        """Write records in one transaction; any failure ends the claim."""
        producer = self._producer
        if producer is None:
            raise fenced(self._brokers.log)
        try:
            async with asyncio.timeout(_LIMIT_S):
                await producer.begin_transaction()
                for batch in _batches(producer, records):
                    await (await producer.send_batch(batch, self._brokers.log, partition=0))
                await producer.commit_transaction()
        except (KafkaError, OSError, TimeoutError, AssertionError) as error:
            cause = why_it_failed(producer, error)
            await self.close()
            if isinstance(cause, ProducerFenced | InvalidProducerEpoch | IllegalOperation):
                raise fenced(self._brokers.log) from error
            why = await self._away(cause)
            raise FencedError(
                f"it is not known whether {self._brokers.log} has what was written: {why.message}",
                code="SF4003",
            ) from error

    async def _content(self, mark: bytes) -> Content:
        """Return the newest value of each key, in the order of the log, up to what is looked for."""
        (consumer, content), self._following = self._following or await self._open(), None
        try:
            while not await self._is_read(consumer, content, mark):
                pass
        finally:
            await leave(consumer)
        return content

    async def _open(self) -> tuple[Consumer, Content]:
        """Return a client that reads from the beginning, and what it has read."""
        consumer = self._clients.make_consumer(
            self._arguments
            | {
                "isolation_level": "read_committed",
                "enable_auto_commit": False,
                "auto_offset_reset": "earliest",
            }
        )
        try:
            await consumer.start()
            consumer.assign([self._place])
            await consumer.seek_to_beginning(self._place)
        except BaseException:
            await leave(consumer)
            raise
        return consumer, {}

    async def _is_read(self, consumer: Consumer, content: Content, mark: bytes) -> bool:
        """Take what comes; return whether what is looked for was in it."""
        is_found = False
        polled = await consumer.getmany(timeout_ms=_POLL_MS)
        for record in polled.get(self._place, ()):
            key, value = record.key or b"", record.value
            if key == _MARK:
                if value == mark:
                    self.term, is_found = record.offset + 1, True
                continue
            content.pop(key, None)
            if value is not None:
                content[key] = value
            is_found = is_found or (bool(self._nonce) and key == _started_key(self._nonce))
        return is_found

    async def _away(self, error: BaseException) -> UnavailableError:
        return await away(self._brokers, self._clients, self._arguments, error)


def _batches(producer: Producer, records: Mapping[bytes, bytes | None]) -> Iterator[Batch]:
    """Yield all records in as many batches as they need; raise MessageSizeTooLargeError for one that fits in none."""
    batch = producer.create_batch()
    for key, value in records.items():
        if batch.append(timestamp=None, key=key, value=value) is None:
            batch.close()
            yield batch
            batch = producer.create_batch()
            if batch.append(timestamp=None, key=key, value=value) is None:
                raise MessageSizeTooLargeError(key)
    batch.close()
    yield batch


def _started_key(nonce: str) -> bytes:
    return f"started {nonce}".encode()


def _key(entry: Entry) -> bytes:
    if isinstance(entry, Started):
        return _started_key(entry.nonce)
    return f"completed {entry.incarnation} {entry.epoch}".encode()
