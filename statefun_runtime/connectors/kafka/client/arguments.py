"""Kafka properties, written for the Java client, as arguments of aiokafka.

They were checked by the table in settings/properties.py, and told what has no effect; here each of the
others has its argument.
"""

from collections.abc import Callable

from aiokafka import codec

from statefun_runtime.connectors.kafka.client.protocols import Arguments
from statefun_runtime.connectors.kafka.client.security import security_arguments
from statefun_runtime.connectors.kafka.settings.names import plain_servers
from statefun_runtime.connectors.kafka.settings.security import read_security
from statefun_runtime.connectors.kafka.settings.values import (
    DeliverySemantic,
    KafkaEgressSettings,
    KafkaIngressSettings,
)
from statefun_runtime.errors import ConfigError

_Names = dict[str, tuple[str, Callable[[str], object]]]


def _flag(text: str) -> bool:
    return text == "true"


_COMMON: _Names = {
    "client.id": ("client_id", str),
    "request.timeout.ms": ("request_timeout_ms", int),
    "metadata.max.age.ms": ("metadata_max_age_ms", int),
    "retry.backoff.ms": ("retry_backoff_ms", int),
    "connections.max.idle.ms": ("connections_max_idle_ms", int),
}
_CONSUMER: _Names = {
    **_COMMON,
    "fetch.min.bytes": ("fetch_min_bytes", int),
    "fetch.max.bytes": ("fetch_max_bytes", int),
    "fetch.max.wait.ms": ("fetch_max_wait_ms", int),
    "max.partition.fetch.bytes": ("max_partition_fetch_bytes", int),
    "max.poll.records": ("max_poll_records", int),
    "isolation.level": ("isolation_level", str),
    "check.crcs": ("check_crcs", _flag),
    "client.rack": ("client_rack", str),
}
_PRODUCER: _Names = {
    **_COMMON,
    "compression.type": ("compression_type", lambda text: None if text == "none" else text),
    "linger.ms": ("linger_ms", int),
    "batch.size": ("max_batch_size", int),
    "max.request.size": ("max_request_size", int),
}
_DISCOVERY = ("flink.partition-discovery.interval-millis", "metadata.max.age.ms")
_DISCOVERY_S = 300.0

# What a connection is made with.
CONNECTION = frozenset(
    {"client_id", "ssl_context", "security_protocol", "sasl_mechanism", "sasl_plain_username"}
    | {"sasl_plain_password", "sasl_oauth_token_provider"}
)
# What any client takes.
_SHARED = CONNECTION | {"bootstrap_servers", "request_timeout_ms", "retry_backoff_ms"}

BATCH_BYTES = 512 * 1024
REQUEST_BYTES_MAX = 1024 * 1024


def consumer_arguments(spec: KafkaIngressSettings) -> Arguments:
    """Return the arguments for the consumer of an ingress; raise ConfigError if a file of theirs is unusable."""
    return {
        "fetch_max_wait_ms": 500,
        **_translate(spec.properties, _CONSUMER, f"ingress '{spec.id}'"),
        "bootstrap_servers": plain_servers(spec.bootstrap_servers),
        "group_id": spec.group_id,
        "enable_auto_commit": False,
        # Positions are the worker's: the client must not move them.
        "auto_offset_reset": "none",
    }


def connection_arguments(arguments: Arguments) -> Arguments:
    """Return those arguments of a client that say how to reach its cluster: other clients take them too."""
    return {name: value for name, value in arguments.items() if name in _SHARED}


def client_arguments(
    servers: str, properties: tuple[tuple[str, str], ...], owner: str
) -> Arguments:
    """Return what any client at these brokers takes; raise ConfigError if a file of the properties is unusable."""
    return {
        **_translate(properties, _COMMON, owner),
        "bootstrap_servers": plain_servers(servers),
    }


def discovery_s(spec: KafkaIngressSettings) -> float:
    """Return how often new topic partitions are looked for."""
    given = dict(spec.properties)
    found = next((given[name] for name in _DISCOVERY if name in given), None)
    return _DISCOVERY_S if found is None else int(found) / 1000


def producer_arguments(spec: KafkaEgressSettings) -> Arguments:
    """Return the arguments for the producer of an egress; raise ConfigError if it cannot run with them."""
    owner = f"egress '{spec.id}'"
    arguments = {
        "max_batch_size": BATCH_BYTES,
        "max_request_size": REQUEST_BYTES_MAX,
        **_translate(spec.properties, _PRODUCER, owner),
        "bootstrap_servers": plain_servers(spec.bootstrap_servers),
        **_promise(spec),
    }
    _check_codec(arguments.get("compression_type"), owner)
    return arguments


def _promise(spec: KafkaEgressSettings) -> Arguments:
    if spec.delivery is not DeliverySemantic.NONE:
        return {"enable_idempotence": True, "acks": "all"}
    given = dict(spec.properties)
    if given.get("enable.idempotence") == "true":
        return {"enable_idempotence": True, "acks": "all"}
    acks = given.get("acks", "0")
    return {"enable_idempotence": False, "acks": "all" if acks in ("all", "-1") else int(acks)}


def _translate(properties: tuple[tuple[str, str], ...], names: _Names, owner: str) -> Arguments:
    arguments: Arguments = {}
    for name, text in properties:
        if name in names:
            argument, convert = names[name]
            arguments[argument] = convert(text)
    security, _ = read_security(dict(properties))
    return arguments | security_arguments(security, owner)


def _check_codec(compression: str | None, owner: str) -> None:
    if compression is not None and not getattr(codec, f"has_{compression}")():
        raise ConfigError(
            f"{owner}: compression.type '{compression}' needs a library that is not installed",
            code="SF1035",
            hint="pip install 'statefun-runtime[kafka-compression]', or use gzip",
        )
