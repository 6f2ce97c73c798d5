"""Kafka properties, written for the Java client, as arguments of aiokafka.

One table per client says which property becomes which argument; what has no counterpart is named once in a warning
and left out, and so is what would break a guarantee of the worker.
"""

import logging
import ssl
from collections.abc import Callable
from typing import Any

from statefun_runtime.core.specs import DeliverySemantic, KafkaEgressSpec, KafkaIngressSpec
from statefun_runtime.errors import ConfigError

log = logging.getLogger("statefun.kafka")

Arguments = dict[str, Any]
_Table = dict[str, tuple[str, Callable[[str], object]]]

_COMMON: _Table = {
    "client.id": ("client_id", str),
    "request.timeout.ms": ("request_timeout_ms", int),
    "metadata.max.age.ms": ("metadata_max_age_ms", int),
    "retry.backoff.ms": ("retry_backoff_ms", int),
    "connections.max.idle.ms": ("connections_max_idle_ms", int),
    "security.protocol": ("security_protocol", str),
    "sasl.mechanism": ("sasl_mechanism", str),
}
_CONSUMER: _Table = {
    **_COMMON,
    "fetch.min.bytes": ("fetch_min_bytes", int),
    "fetch.max.bytes": ("fetch_max_bytes", int),
    "fetch.max.wait.ms": ("fetch_max_wait_ms", int),
    "max.partition.fetch.bytes": ("max_partition_fetch_bytes", int),
    "max.poll.records": ("max_poll_records", int),
    "isolation.level": ("isolation_level", str),
    "check.crcs": ("check_crcs", lambda text: text.lower() == "true"),
    "client.rack": ("client_rack", str),
}
_PRODUCER: _Table = {
    **_COMMON,
    "compression.type": ("compression_type", lambda text: None if text == "none" else text),
    "linger.ms": ("linger_ms", int),
    "batch.size": ("max_batch_size", int),
    "max.request.size": ("max_request_size", int),
}
# The worker decides these itself.
_OURS = frozenset(
    {"bootstrap.servers", "group.id", "auto.offset.reset", "enable.auto.commit", "transactional.id"}
    | {"transaction.timeout.ms", "enable.idempotence", "acks"}
)

BATCH_BYTES = 512 * 1024
REQUEST_BYTES_MAX = 1024 * 1024


def consumer_arguments(spec: KafkaIngressSpec) -> Arguments:
    """Return the arguments for the consumer of an ingress."""
    return {
        "fetch_max_wait_ms": 500,
        **_translate(spec.properties, _CONSUMER, f"ingress '{spec.id}'"),
        "bootstrap_servers": spec.bootstrap_servers,
        "group_id": spec.group_id,
        "enable_auto_commit": False,
        # Positions are the worker's: the client must not move them.
        "auto_offset_reset": "none",
    }


def producer_arguments(spec: KafkaEgressSpec) -> Arguments:
    """Return the arguments for the producer of an egress."""
    return {
        "max_batch_size": BATCH_BYTES,
        "max_request_size": REQUEST_BYTES_MAX,
        **_translate(spec.properties, _PRODUCER, f"egress '{spec.id}'"),
        "bootstrap_servers": spec.bootstrap_servers,
        "enable_idempotence": spec.delivery is not DeliverySemantic.NONE,
        "acks": 0 if spec.delivery is DeliverySemantic.NONE else "all",
    }


def _translate(properties: tuple[tuple[str, str], ...], table: _Table, owner: str) -> Arguments:
    arguments: Arguments = {}
    for name, text in properties:
        if name not in table:
            why = "the worker decides it itself" if name in _OURS else "it has no counterpart"
            log.warning("%s: property '%s' is ignored: %s", owner, name, why)
            continue
        argument, convert = table[name]
        try:
            arguments[argument] = convert(text)
        except ValueError:
            raise ConfigError(
                f"{owner}: property '{name}' must be a number, found {text!r}", code="SF1043"
            ) from None
    if "SSL" in str(arguments.get("security_protocol", "")):
        arguments["ssl_context"] = ssl.create_default_context()
    return arguments
