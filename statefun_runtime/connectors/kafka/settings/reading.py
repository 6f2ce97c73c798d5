"""`io.statefun.kafka.v1/ingress` and `io.statefun.kafka.v1/egress`."""

from statefun_runtime.config.module.failures import read_invalid_records, read_route
from statefun_runtime.config.module.ids import read_id
from statefun_runtime.config.problems import Code, Place
from statefun_runtime.config.reading.fields import Fields, Shape
from statefun_runtime.config.reading.units import DURATION_FORM
from statefun_runtime.connectors.kafka.settings.names import is_server, protocol_of
from statefun_runtime.connectors.kafka.settings.properties import CONSUMER, PRODUCER
from statefun_runtime.connectors.kafka.settings.property_reading import (
    Properties,
    check_promises,
    check_properties,
    read_properties,
)
from statefun_runtime.connectors.kafka.settings.startup import read_startup_position
from statefun_runtime.connectors.kafka.settings.topics import read_topics
from statefun_runtime.connectors.kafka.settings.values import DeliverySemantic, OffsetReset
from statefun_runtime.connectors.kafka.specs import KafkaEgressSpec, KafkaIngressSpec

KAFKA_INGRESS = Shape(
    "Kafka ingress",
    (
        "id",
        "address",
        "consumerGroupId",
        "topics",
        "autoOffsetResetPosition",
        "startupPosition",
        "properties",
        "invalidRecordHandling",
        "deadLetters",
    ),
    advice={"deliverySemantic": "only an egress has it"},
)
KAFKA_EGRESS = Shape(
    "Kafka egress",
    ("id", "address", "deliverySemantic", "properties", "deadLetters"),
    advice={
        "topics": "a function names the topic in each record",
        **dict.fromkeys(
            ("transactionTimeout", "transactionTimeoutMillis"),
            "it belongs below 'deliverySemantic'",
        ),
    },
)
DELIVERY_SHAPE = Shape(
    "deliverySemantic", ("type", "transactionTimeout", "transactionTimeoutMillis")
)

_BOOTSTRAP_SERVERS = "bootstrap.servers"
_GROUP_ID = "group.id"
_TRANSACTION_TIMEOUT_MAX_MS = 2**31 - 1


def read_kafka_ingress(fields: Fields) -> KafkaIngressSpec | None:
    ingress_id = read_id(fields, "ingress id")
    properties = read_properties(fields)
    servers = _read_servers(fields, properties)
    group_id = _field_or_property(fields, "consumerGroupId", _GROUP_ID, properties)
    used = check_properties(fields, properties, CONSUMER, "consumer")
    if used.get("isolation.level") == "read_uncommitted":
        fields.draft.read_uncommitted(properties["isolation.level"].place)
    routes = read_topics(fields)
    choices = [reset.value for reset in OffsetReset]
    reset = fields.choice("autoOffsetResetPosition", choices, ignore_case=True)
    startup = read_startup_position(fields, {route.topic for route in routes})
    invalid_records = read_invalid_records(fields)
    if ingress_id is None or servers is None or group_id is None or startup is None:
        return None
    return KafkaIngressSpec(
        id=ingress_id,
        bootstrap_servers=servers,
        group_id=group_id[0],
        routes=routes,
        offset_reset=OffsetReset.LATEST if reset is None else OffsetReset(reset),
        startup=startup,
        properties=tuple(used.items()),
        invalid_records=invalid_records,
    )


def read_kafka_egress(fields: Fields) -> KafkaEgressSpec | None:
    egress_id = read_id(fields, "egress id")
    properties = read_properties(fields)
    servers = _read_servers(fields, properties)
    delivery, timeout_ms = _read_delivery(fields)
    if delivery is DeliverySemantic.EXACTLY_ONCE:
        fields.draft.publish_exactly_once()
    used = check_properties(fields, properties, PRODUCER, "producer")
    check_promises(fields, properties, used, delivery)
    dead_letters = read_route(fields)
    if egress_id is None or servers is None:
        return None
    return KafkaEgressSpec(
        egress_id, servers, delivery, timeout_ms, tuple(used.items()), dead_letters
    )


def _read_servers(fields: Fields, properties: Properties) -> str | None:
    found = _field_or_property(fields, "address", _BOOTSTRAP_SERVERS, properties)
    if found is None:
        return None
    servers, place = found
    spoken = properties["security.protocol"].text if "security.protocol" in properties else ""
    for server in [s for each in servers.split(",") if (s := each.strip())] or [servers]:
        if not is_server(server):
            message = f"{server!r} is not of the form 'host:port'"
            hint = "write it like kafka-1:9092,kafka-2:9092"
            fields.draft.error(place, Code.WRONG_VALUE, message, hint)
        elif protocol_of(server) not in (None, spoken.upper() or "PLAINTEXT"):
            message = f"what stands in front of {server!r} has no effect"
            hint = "the property 'security.protocol' says how to connect; it is PLAINTEXT if it is not there"
            fields.draft.warn(place, Code.DOUBTFUL_PROPERTY, message, hint)
    return servers


def _field_or_property(
    fields: Fields, name: str, property_name: str, properties: Properties
) -> tuple[str, Place] | None:
    """Return the field, or the property that stands for it; the field wins."""
    if property_name in properties and fields.find(name) is None:
        return properties.pop(property_name)[:2]
    scalar = fields.scalar(name, required=True)
    return None if scalar is None else (scalar.text, scalar.place)


def _read_delivery(egress: Fields) -> tuple[DeliverySemantic, int | None]:
    """Return the semantic, and with exactly-once the transaction timeout in milliseconds."""
    fields = egress.mapping("deliverySemantic", DELIVERY_SHAPE)
    if fields is None:
        return DeliverySemantic.AT_LEAST_ONCE, None
    chosen = fields.choice("type", [semantic.value for semantic in DeliverySemantic])
    delivery = DeliverySemantic.AT_LEAST_ONCE if chosen is None else DeliverySemantic(chosen)
    timeout_ms = _read_transaction_timeout_ms(fields)
    if delivery is not DeliverySemantic.EXACTLY_ONCE:
        return delivery, None
    is_there = any(fields.find(n) for n in ("transactionTimeout", "transactionTimeoutMillis"))
    if not is_there:
        message = "exactly-once needs a 'transactionTimeout'"
        hint = (
            "add 'transactionTimeout: 15min'; the broker's transaction.max.timeout.ms is the limit"
        )
        fields.draft.error(fields.value_place("type"), Code.CONTRADICTION, message, hint)
    return delivery, timeout_ms


def _read_transaction_timeout_ms(fields: Fields) -> int | None:
    timeout_ns = fields.positive_duration_ns("transactionTimeout")
    millis = fields.find("transactionTimeoutMillis")
    if millis is not None:
        if fields.find("transactionTimeout") is not None:
            message = "'transactionTimeout' is ignored, because 'transactionTimeoutMillis' is there"
            place = fields.value_place("transactionTimeout")
            fields.draft.warn(place, Code.IGNORED, message, "leave 'transactionTimeoutMillis' out")
        return fields.integer("transactionTimeoutMillis", low=1)
    if timeout_ns is None:
        return None
    timeout_ms = timeout_ns // 1_000_000
    if 1 <= timeout_ms <= _TRANSACTION_TIMEOUT_MAX_MS:
        return timeout_ms
    message = "transactionTimeout must be at least 1ms and less than 25 days"
    place = fields.value_place("transactionTimeout")
    fields.draft.error(place, Code.BAD_TIME, message, DURATION_FORM)
    return None
