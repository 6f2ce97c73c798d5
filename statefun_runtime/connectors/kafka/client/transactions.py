"""Ends transactions of producers that are gone, as no client offers it: by their id, producer and epoch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka.errors import (
    IncompatibleBrokerVersion,
    KafkaError,
    TransactionalIdAuthorizationFailed,
    for_code,
)
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.transaction import EndTxnRequest, InitProducerIdRequest
from aiokafka.protocol.types import (
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Int64,
    Schema,
    TaggedFields,
)

from statefun_runtime.connectors.kafka.client import inside

_TRANSACTION = 1
_NOT_FOUND = 105
_TIMEOUT_MS = 60_000


class DescribeTransactionsResponse_v0(Response):  # type: ignore[misc]
    """What a coordinator knows of transactional ids."""

    API_KEY = 65
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "states",
            CompactArray(
                ("error_code", Int16),
                ("transactional_id", CompactString("utf-8")),
                ("state", CompactString("utf-8")),
                ("timeout_ms", Int32),
                ("started_ms", Int64),
                ("producer_id", Int64),
                ("producer_epoch", Int16),
                (
                    "topics",
                    CompactArray(
                        ("topic", CompactString("utf-8")),
                        ("partitions", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class DescribeTransactionsRequest_v0(RequestStruct):  # type: ignore[misc]
    """What is asked."""

    API_KEY = 65
    API_VERSION = 0
    RESPONSE_TYPE = DescribeTransactionsResponse_v0
    FLEXIBLE_VERSION = True
    SCHEMA = Schema(
        ("transactional_ids", CompactArray(CompactString("utf-8"))), ("tags", TaggedFields)
    )


class DescribeTransactionsRequest(Request[DescribeTransactionsRequest_v0]):  # type: ignore[misc]
    """Asks for the state of transactional ids; brokers answer it from Kafka 3.0 on."""

    API_KEY = 65

    def __init__(self, transactional_ids: Sequence[str]) -> None:
        self._transactional_ids = list(transactional_ids)

    def build(self, struct: Any) -> Any:
        """Return the request."""
        return struct(self._transactional_ids, {})


@dataclass(frozen=True, slots=True)
class Described:
    """What a broker knows of a transactional id; `state` is Kafka's word, "" where it knows nothing of it."""

    state: str
    producer_id: int = -1
    epoch: int = -1
    timeout_ms: int = 0


async def describe(client: object, transactional_id: str) -> Described | None:
    """Return what the coordinator of a transactional id knows of it; None if the broker cannot be asked that."""
    try:
        answer = await _ask(
            client, transactional_id, DescribeTransactionsRequest([transactional_id])
        )
    except IncompatibleBrokerVersion:
        return None
    (found,) = answer.to_object()["states"]
    if found["error_code"] == _NOT_FOUND:
        return Described("")
    _raise(found["error_code"], transactional_id)
    return Described(
        found["state"], found["producer_id"], found["producer_epoch"], found["timeout_ms"]
    )


async def end(
    client: object, transactional_id: str, producer_id: int, epoch: int, *, commit: bool
) -> None:
    """End a transaction; raise KafkaError if it cannot be. To end it in the same way once more is no error."""
    request = EndTxnRequest(transactional_id, producer_id, epoch, commit)
    answer = await _ask(client, transactional_id, request)
    _raise(answer.error_code, transactional_id)


async def fence(client: object, transactional_id: str) -> None:
    """Abort whatever is open under a transactional id: its producer can go on no more."""
    request = InitProducerIdRequest(transactional_id, _TIMEOUT_MS)
    answer = await _ask(client, transactional_id, request)
    _raise(answer.error_code, transactional_id)


async def _ask(client: object, transactional_id: str, request: Any) -> Any:
    connections = inside.inner(client)
    node = connections.get_random_node()
    found = await connections.send(node, FindCoordinatorRequest(transactional_id, _TRANSACTION))
    _raise(found.error_code, transactional_id)
    return await connections.send(found.coordinator_id, request)


def _raise(code: int, transactional_id: str) -> None:
    if code:
        error: type[KafkaError] = for_code(code)
        if issubclass(error, TransactionalIdAuthorizationFailed):
            lacking = "the user lacks the right Describe or Write for transactional id"
            raise error(f"{lacking} '{transactional_id}'")
        raise error
