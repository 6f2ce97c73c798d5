"""What is done with aiokafka's clients beside what they offer: the only file that touches their inside.

Written for aiokafka 0.13 and 0.14; tests/contracts and tests/integration/kafka run on the one that is installed.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import aiokafka.client
import aiokafka.errors
import aiokafka.producer.sender
from aiokafka import TopicPartition
from aiokafka.client import ConnectionGroup
from aiokafka.errors import IllegalOperation, KafkaConnectionError, KafkaError
from aiokafka.producer.sender import SendProduceReqHandler
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.produce import ProduceRequest, ProduceRequest_v8

from statefun_runtime.connectors.kafka.client.codes import REFUSED, Codes
from statefun_runtime.connectors.kafka.client.metadata import TopicsRequest
from statefun_runtime.connectors.kafka.client.protocols import Client, Offsets

log = logging.getLogger("statefun.kafka")

_LEAVE_S = 2.0
_SILENT_S = 1.0
_MARKS_S = 0.004
# Connections of a client are told apart by what they are for; aiokafka has two such groups.
_ASIDE = 2

Inner = Any
"""The connections of a client, and what it knows of the cluster."""


def inner(client: object) -> Inner:
    """Return what a producer, consumer or admin client talks to brokers with."""
    return getattr(client, "client", None) or getattr(client, "_client")  # noqa: B009


def _look_only(topics: list[str] | None = None) -> MetadataRequest:
    return MetadataRequest(topics, allow_auto_topic_creation=False)


# A client keeps up with its topics by itself, and asks in a way that has a broker make those that are gone.
aiokafka.client.MetadataRequest = _look_only

# A broker answers a commit before it has written the marks of the transaction, and sends the next transaction away until
# it has: mostly a millisecond or two, for which the client would wait 20. It was one transaction in 15, at 50 a second.
aiokafka.producer.sender.BACKOFF_OVERRIDE = _MARKS_S

aiokafka.errors.kafka_errors = Codes(aiokafka.errors.kafka_errors)


# From this version on brokers say in words what they refuse a record for; the client can read it, and does not ask.
if ProduceRequest_v8 not in ProduceRequest._CLASSES:
    ProduceRequest._CLASSES = (*ProduceRequest._CLASSES, ProduceRequest_v8)


@dataclass(frozen=True, slots=True)
class Answer:
    """The last error that a broker answered for a topic partition, with its own words if it has any."""

    error: KafkaError
    said: str


def _note(handler: Any, response: Any) -> None:
    """Keep what a broker says of batches: the client keeps what is sent again and again to itself."""
    answers = vars(handler._sender).setdefault("answers", {})
    for topic, partitions in response.topics:
        for partition, code, *more in partitions:
            place = TopicPartition(topic, partition)
            if code:
                error = aiokafka.errors.for_code(code)()
                answers[place] = Answer(error, _said(more))
                if isinstance(error, REFUSED):
                    _take_back(handler, place)
            elif answers:
                answers.pop(place, None)


def _take_back(handler: Any, place: TopicPartition) -> None:
    """The broker has not counted the records of a batch that it refused, and would refuse all behind them."""
    manager, batch = handler._sender._txn_manager, handler._batches.get(place)
    if manager is not None and batch is not None:
        sequence = manager.sequence_number(place) - batch.record_count
        manager._sequence_numbers[place] = sequence if sequence >= -(2**31) else sequence + 2**32


def _said(parts: Sequence[Any]) -> str:
    """Return a broker's own words from the end of its answer: of the first record that it names, or of the batch."""
    if len(parts) < len(("offset", "timestamp", "log_start_offset", "records", "message")):
        return ""
    *_, records, message = parts
    of_records = [words for _, words in records or () if words]
    return str((of_records or [message or ""])[0])


_handle_response = SendProduceReqHandler.handle_response


def _handle_and_note(handler: Any, response: Any) -> None:
    _note(handler, response)
    _handle_response(handler, response)


SendProduceReqHandler.handle_response = _handle_and_note


def answer(producer: object, topic: str, partition: int) -> Answer | None:
    """Return what a producer was last answered for a topic partition, if that was an error."""
    answers: dict[TopicPartition, Answer] = getattr(
        getattr(producer, "_sender", None), "answers", {}
    )
    return answers.get(TopicPartition(topic, partition))


async def ask(client: object, topics: Sequence[str], *, may_create: bool) -> Any:
    """Ask any broker about topics and the cluster; only a client that was started knows one."""
    connections = inner(client)
    node = connections.get_random_node()
    if node is None:
        raise KafkaConnectionError("no broker is known")
    return await connections.send(node, TopicsRequest(topics, may_create=may_create))


async def watch(client: object, topics: Sequence[str]) -> None:
    """Have a client keep up with these topics, and no others."""
    await inner(client).set_topics(list(topics))


async def teach(client: object, counts: dict[str, int]) -> dict[str, int]:
    """Let a client know how many partitions topics have; it asserts that those it is given are known to it.

    Return how many it knows: brokers hear of changes one after another.
    """
    connections = inner(client)
    known = connections.cluster.partitions_for_topic
    news = [topic for topic, count in counts.items() if len(known(topic) or ()) < count]
    if not news:
        return counts
    for topic in news:
        connections.add_topic(topic)
    await connections.force_metadata_update()
    return {**counts, **{topic: len(known(topic) or ()) for topic in news}}


async def silent_brokers(client: object) -> list[str]:
    """Return which of the brokers that a client knows give no answer; all are asked at once."""
    connections = inner(client)
    silent: list[str] = []

    async def ask_one(broker: Any) -> None:
        if not await _answers(connections, broker.nodeId):
            silent.append(f"{broker.host}:{broker.port}")

    brokers = connections.cluster.brokers()
    async with asyncio.TaskGroup() as tasks:
        for broker in brokers:
            tasks.create_task(ask_one(broker))
    if silent and len(silent) < len(brokers):
        # The others know whether it has left the cluster.
        connections.force_metadata_update()
    return sorted(silent)


async def _answers(connections: Inner, broker: int) -> bool:
    """Return whether a broker answers, on the connection that there is or else on a new one.

    Of a client that is over its quota a broker reads no more for seconds, on that connection.
    """
    request = MetadataRequest([], False)
    for group in (ConnectionGroup.DEFAULT, _ASIDE):
        try:
            async with asyncio.timeout(_SILENT_S):
                await connections.send(broker, request, group=group)
            return True
        except (KafkaError, OSError, TimeoutError):
            pass
        finally:
            aside = connections._conns.pop((broker, _ASIDE), None)
            if aside is not None:
                aside.close()
    return False


def positions(consumer: object) -> Offsets:
    """Return where each topic partition is read next: behind the marks of transactions, too, which are no records."""
    subscription = consumer._subscription.subscription  # type: ignore[attr-defined]
    if subscription is None or subscription.assignment is None:
        return {}
    assignment = subscription.assignment
    states = {split: assignment.state_value(split) for split in assignment.tps}
    return {split: state.position for split, state in states.items() if state.has_valid_position}


def why_it_failed(producer: object, error: Exception) -> Exception:
    """Return what a transactional producer failed with; it says only that it is in no transaction any more."""
    if type(error) is not IllegalOperation:
        return error
    waiter = getattr(getattr(producer, "_txn_manager", None), "_transaction_waiter", None)
    if waiter is not None and waiter.done() and not waiter.cancelled():
        cause: Exception | None = waiter.exception()
        return cause or error
    return error


async def leave(client: Client) -> None:
    """Stop a producer or consumer, within a moment; what it could not do any more is not needed."""
    try:
        async with asyncio.timeout(_LEAVE_S):
            await client.stop()
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        # A consumer cancels its own fetches, and lets that escape before it has closed its connections.
        await inner(client).close()
    except (KafkaError, OSError, TimeoutError) as error:
        log.debug("a client left with an error: %s", error)
