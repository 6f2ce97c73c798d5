"""The records of one transaction on their way: when all are taken, when one never will be, and when it takes too long."""

import asyncio
from collections.abc import Iterable

from aiokafka.errors import KafkaError

from statefun_runtime.connectors.complaint import Complaint
from statefun_runtime.connectors.kafka.client import inside
from statefun_runtime.connectors.kafka.client.codes import REFUSED
from statefun_runtime.connectors.kafka.client.protocols import Arguments, Producer
from statefun_runtime.connectors.kafka.client.troubles import words
from statefun_runtime.connectors.kafka.egress.limits import PortionSize
from statefun_runtime.connectors.kafka.egress.partitioner import Partitioner
from statefun_runtime.connectors.kafka.egress.records import FORM, Record, batches
from statefun_runtime.connectors.kafka.topics import EgressTopics, Places
from statefun_runtime.core.printable import printable
from statefun_runtime.errors import UnavailableError

_LOOK_S = 2.0
_KEY_MAX = 80

Place = tuple[str, int]
Sent = dict["asyncio.Future[object]", tuple[Place, Record]]
# Topic, key and value of a record of our own.
Note = tuple[str, bytes, bytes]


class RecordRefused(Exception):
    """The broker will never take one of the records of a transaction."""


class HeldUp(KafkaError):  # type: ignore[misc]
    """A batch was not taken; `error` says why, `what` says which."""

    def __init__(self, error: Exception, what: str) -> None:
        super().__init__(what)
        self.error = error
        self.what = what


def what_waits(place: Place, record: Record) -> str:
    """Return where records are held up, and which one is the first of them."""
    key = (
        "no key"
        if record.key is None
        else f"key '{printable(record.key.decode('utf-8', 'replace'), _KEY_MAX)}'"
    )
    return f"topic {place[0]}, partition {place[1]}; the first that does not leave has {key} and {len(record.value)} bytes"


def why_not_taken(producer: Producer, place: Place, arguments: Arguments) -> str | None:
    """Return what the broker answers for a topic partition, again and again; None if it says nothing of it."""
    found = inside.answer(producer, *place)
    if found is None:
        return None
    return found.said or words(found.error, arguments)


class Sending:
    """Sends what belongs to one transaction; `limit_s` is how long that may take."""

    def __init__(
        self,
        topics: EgressTopics,
        partitioner: Partitioner,
        complaint: Complaint,
        arguments: Arguments,
        size: PortionSize,
        *,
        limit_s: float,
    ) -> None:
        self._size = size
        self._topics = topics
        self._partitioner = partitioner
        self._complaint = complaint
        self._arguments = arguments
        self._limit_s = limit_s

    async def send(
        self, producer: Producer, by_place: Places, note: Note
    ) -> "asyncio.Future[object]":
        """Write the records of a transaction; all are acknowledged when this returns what waits for the note.

        The note leaves with them, and not behind them: one request each adds both to the transaction and writes both. Raise UnavailableError if that takes so long that the coordinator would abort it, RecordRefused if the broker will
        never take one of them.
        """
        loop = asyncio.get_running_loop()
        ends_s = loop.time() + self._limit_s
        sent = await self._hand_over(producer, by_place, ends_s)
        noted = await _noted(producer, note, ends_s)
        waiting = set(sent)
        while waiting and loop.time() < ends_s and not _has_failed(sent):
            _, waiting = await asyncio.wait(
                waiting,
                timeout=min(_LOOK_S, max(0.0, ends_s - loop.time())),
                return_when=asyncio.FIRST_EXCEPTION,
            )
            if waiting:
                await self._topics.refresh(producer)
                self._check_places(by_place)
                self._tell_what_waits(producer, sent)
        _raise_failure(producer, sent, self._arguments)
        if waiting:
            raise self._too_long(producer, sent, bytes_of(by_place))
        return noted

    async def _hand_over(self, producer: Producer, by_place: Places, ends_s: float) -> Sent:
        sent: Sent = {}
        try:
            async with asyncio.timeout_at(ends_s):
                for (topic, partition), records in by_place.items():
                    first = 0
                    for batch, count in batches(producer, records):
                        future = await producer.send_batch(batch, topic, partition=partition)
                        sent[future] = (topic, partition), records[first]
                        first += count
        except TimeoutError:
            raise self._too_long(producer, sent, bytes_of(by_place)) from None
        except AssertionError as lost:
            # How aiokafka says that a topic has less partitions now.
            self._topics.look_again()
            raise KafkaError("a topic has less partitions than before") from lost
        return sent

    def _check_places(self, by_place: Places) -> None:
        """Raise UnavailableError if records are on their way to what is not there any more."""
        for topic, partition in by_place:
            if not self._partitioner.has(topic, partition):
                raise UnavailableError(
                    f"topic '{topic}' has no partition {partition} any more: its records are placed anew",
                    code="SF3025",
                )

    def _tell_what_waits(self, producer: Producer, sent: Sent) -> None:
        """Tell of what the client sends again and again by itself."""
        for place, record in _waiting(sent):
            why = why_not_taken(producer, place, self._arguments)
            if why is not None:
                about = f"{place[0]} {place[1]} {why}"
                self._complaint.say(f"keeps trying {what_waits(place, record)}: {why}", about=about)

    def _too_long(self, producer: Producer, sent: Sent, tried_bytes: int) -> UnavailableError:
        """A smaller transaction helps where the broker has not said that something else is wrong."""
        for place, record in _waiting(sent):
            why = why_not_taken(producer, place, self._arguments)
            if why is not None:
                then = f"{what_waits(place, record)}: {why}"
                break
        else:
            self._size.took_too_long(tried_bytes)
            then = f"the next ones have at most {self._size.bytes} bytes"
        return UnavailableError(
            f"a transaction did not end within {self._limit_s:g} s; {then}", code="SF3023"
        )


async def _noted(producer: Producer, note: Note, ends_s: float) -> "asyncio.Future[object]":
    topic, key, value = note
    try:
        async with asyncio.timeout_at(ends_s):
            noted = await producer.send(topic, value, key, partition=0)
    except TimeoutError:
        raise no_note_taken(topic) from None
    # Nobody waits for it any more when a record was not taken.
    noted.add_done_callback(lambda one: one.cancelled() or one.exception())
    return noted


def no_note_taken(topic: str) -> UnavailableError:
    """Return the error of a progress topic that does not take what is to be noted there."""
    return UnavailableError(f"the progress topic {topic} does not take a record", code="SF3024")


def bytes_of(by_place: Places) -> int:
    """Return how large the records of a transaction are."""
    return sum(FORM.size_of(record) for records in by_place.values() for record in records)


def _waiting(sent: Sent) -> Iterable[tuple[Place, Record]]:
    """Return the first record that waits of each topic partition."""
    first: dict[Place, Record] = {}
    for future, (place, record) in sent.items():
        if not future.done():
            first.setdefault(place, record)
    return first.items()


def _has_failed(sent: Iterable["asyncio.Future[object]"]) -> bool:
    return any(one.done() and one.exception() is not None for one in sent)


def _raise_failure(producer: Producer, sent: Sent, arguments: Arguments) -> None:
    """Raise what the first batch failed with, but rather that a record is refused for good."""
    failed = {one: error for one in sent if one.done() and (error := one.exception())}
    for one, error in failed.items():
        if isinstance(error, REFUSED):
            why = why_not_taken(producer, sent[one][0], arguments)
            raise RecordRefused(why or str(error) or type(error).__name__) from error
    for one, error in failed.items():
        assert isinstance(error, Exception)
        raise HeldUp(error, what_waits(*sent[one])) from error
