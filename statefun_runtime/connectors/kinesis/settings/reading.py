"""`io.statefun.kinesis.v1/ingress` and `io.statefun.kinesis.v1/egress`.

An ingress takes the properties of Flink's Kinesis consumer and AWS's Java client, an egress those of the Kinesis
producer library: what has a counterpart here has its effect, the rest is named in a warning.
"""

from collections.abc import Mapping

from statefun_runtime.config.module.failures import read_invalid_records, read_route
from statefun_runtime.config.module.ids import read_id
from statefun_runtime.config.problems import Code
from statefun_runtime.config.reading.fields import Fields, Item, Shape
from statefun_runtime.config.yaml.positions import Scalar
from statefun_runtime.connectors.kinesis.settings.aws import (
    AwsClientSettings,
    AwsRegion,
    CustomEndpoint,
)
from statefun_runtime.connectors.kinesis.settings.aws_reading import (
    Property,
    check_endpoint,
    from_ms,
    read_credentials,
    read_numbers,
    read_properties,
    read_region,
)
from statefun_runtime.connectors.kinesis.settings.streams import read_stream_position, read_streams
from statefun_runtime.connectors.kinesis.settings.values import ShardReading
from statefun_runtime.connectors.kinesis.specs import KinesisEgressSpec, KinesisIngressSpec

KINESIS_INGRESS = Shape(
    "Kinesis ingress",
    (
        "id",
        "awsRegion",
        "awsCredentials",
        "startupPosition",
        "streams",
        "clientConfigProperties",
        "invalidRecordHandling",
        "deadLetters",
    ),
    advice={"maxOutstandingRecords": "only an egress has it"},
)
KINESIS_EGRESS = Shape(
    "Kinesis egress",
    (
        "id",
        "awsRegion",
        "awsCredentials",
        "maxOutstandingRecords",
        "clientConfigProperties",
        "deadLetters",
    ),
    advice={
        "streams": "a function names the stream in each record",
        "startupPosition": "only an ingress has it",
        "deliverySemantic": "it is always at least once",
    },
)

_OUTSTANDING_MAX = 1000
_CONSUMER = {
    "socketTimeout": Property("read_s", 1, convert=from_ms),
    "connectionTimeout": Property("connect_s", 1, convert=from_ms),
    "maxConnections": Property("connections_max", 1, 10_000, int),
    "aws.endpoint": Property("endpoint_url"),
    "flink.shard.getrecords.intervalmillis": Property("interval_s", 1, convert=from_ms),
    "flink.shard.getrecords.maxrecordcount": Property("records_max", 1, 10_000, int),
    "flink.shard.discovery.intervalmillis": Property("discovery_s", 1, convert=from_ms),
}
_CONSUMER_REFUSED = {
    "aws.region": "the field 'awsRegion' decides it",
    "aws.credentials.": "the field 'awsCredentials' decides it",
    "flink.stream.initpos": "the field 'startupPosition' decides it",
    "flink.stream.initpos.": "the field 'startupPosition' decides it",
}
_PRODUCER = {
    "requestTimeout": Property("read_s", 1, convert=from_ms),
    "connectTimeout": Property("connect_s", 1, convert=from_ms),
    "maxConnections": Property("connections_max", 1, 10_000, int),
    "kinesisEndpoint": Property("host"),
    "kinesisPort": Property("port", 1, 65_535, int),
}
_PRODUCER_REFUSED = {
    "region": "the field 'awsRegion' decides it",
    "aggregationEnabled": "records leave one by one, never aggregated",
}
_CLIENT_SETTINGS = ("read_s", "connect_s", "connections_max")


def read_kinesis_ingress(fields: Fields) -> KinesisIngressSpec | None:
    ingress_id = read_id(fields, "ingress id")
    region, credentials = read_region(fields), read_credentials(fields)
    routes = read_streams(fields)
    startup = read_stream_position(fields)
    invalid_records = read_invalid_records(fields)
    found = read_properties(fields, _CONSUMER, _CONSUMER_REFUSED)
    numbers = read_numbers(fields, _CONSUMER, found)
    endpoint = found.get("endpoint_url")
    url = None if endpoint is None else _read_url(fields, endpoint, endpoint.value, region)
    if ingress_id is None or region is None or credentials is None or startup is None:
        return None
    reading = {name: numbers[name] for name in numbers if name not in _CLIENT_SETTINGS}
    return KinesisIngressSpec(
        id=ingress_id,
        routes=routes,
        region=region,
        credentials=credentials,
        startup=startup,
        client=_client_settings(numbers, url),
        reading=ShardReading(**reading),  # type: ignore[arg-type]
        invalid_records=invalid_records,
    )


def read_kinesis_egress(fields: Fields) -> KinesisEgressSpec | None:
    egress_id = read_id(fields, "egress id")
    region, credentials = read_region(fields), read_credentials(fields)
    outstanding_max = fields.integer("maxOutstandingRecords", low=1)
    found = read_properties(fields, _PRODUCER, _PRODUCER_REFUSED)
    numbers = read_numbers(fields, _PRODUCER, found)
    url = _read_host_and_port(fields, found, numbers, region)
    dead_letters = read_route(fields)
    if egress_id is None or region is None or credentials is None:
        return None
    return KinesisEgressSpec(
        id=egress_id,
        region=region,
        credentials=credentials,
        outstanding_max=_OUTSTANDING_MAX if outstanding_max is None else outstanding_max,
        client=_client_settings(numbers, url),
        dead_letters=dead_letters,
    )


def _client_settings(numbers: Mapping[str, float], url: str | None) -> AwsClientSettings:
    settings = {name: numbers[name] for name in _CLIENT_SETTINGS if name in numbers}
    return AwsClientSettings(**settings, endpoint_url=url)  # type: ignore[arg-type]


def _read_url(fields: Fields, item: Item, value: Scalar, region: AwsRegion | None) -> str | None:
    """Return an endpoint that is a property; a custom endpoint of `awsRegion` wins."""
    if isinstance(region, CustomEndpoint):
        message = f"property {item.key!r} is ignored: the field 'awsRegion' decides it"
        fields.draft.warn(item.place, Code.IGNORED, message)
        return None
    return check_endpoint(fields, item.key, value)


def _read_host_and_port(
    fields: Fields,
    found: Mapping[str, Item],
    numbers: Mapping[str, float],
    region: AwsRegion | None,
) -> str | None:
    host, port = found.get("host"), found.get("port")
    if host is None:
        if port is not None:
            message = f"property {port.key!r} is ignored: there is no 'KinesisEndpoint'"
            fields.draft.warn(port.place, Code.IGNORED, message)
        return None
    text = host.value.text
    if "//" not in text:
        # The producer library takes a host, and always calls it over https.
        text = f"https://{text}"
    if "port" in numbers:
        text = f"{text}:{numbers['port']:.0f}"
    return _read_url(fields, host, Scalar(host.value.place, host.value.kind, text), region)
