from pathlib import Path

import pytest

from statefun_runtime.config import ModuleError, Severity, render
from statefun_runtime.connectors.kafka.settings.values import (
    DeliverySemantic,
    GroupOffsets,
    OffsetReset,
    SpecificOffsets,
    TopicRoute,
)
from statefun_runtime.connectors.kafka.specs import KafkaEgressSpec, KafkaIngressSpec
from statefun_runtime.connectors.kinesis.settings.aws import (
    AwsClientSettings,
    BasicCredentials,
    CustomEndpoint,
    DefaultCredentials,
    DefaultRegion,
    ProfileCredentials,
    SpecificRegion,
)
from statefun_runtime.connectors.kinesis.settings.values import ShardReading, StreamRoute
from statefun_runtime.connectors.kinesis.specs import KinesisEgressSpec, KinesisIngressSpec
from statefun_runtime.connectors.modules import load_module, parse_module
from statefun_runtime.connectors.playground.specs import PlaygroundEgressSpec, PlaygroundIngressSpec
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.module.specs import (
    AsyncTransport,
    Date,
    Earliest,
    EndpointSpec,
    FunctionPattern,
    HeaderSpec,
    Latest,
    OkHttpTransport,
    SigV4Spec,
    TlsSpec,
)
from tests.unit.config.module_texts import REST, load, load_with_rest

INGRESS = """kind: io.statefun.kafka.v1/ingress
spec:
  id: shop.io/orders
  address: kafka:9092
  consumerGroupId: shop
  topics:
    - topic: orders
      valueType: shop.types/Order
      targets: [rest.fns/order]
"""
EGRESS = """kind: io.statefun.kafka.v1/egress
spec:
  id: shop.io/receipts
  address: kafka:9092
"""
ENDPOINT = """kind: io.statefun.endpoints.v2/http
spec:
  functions: shop.fns/*
  urlPathTemplate: http://shop:8000/statefun
"""
ENDPOINT_V1 = ENDPOINT.replace("v2", "v1")


def endpoint(text: str) -> EndpointSpec:
    loaded = load_with_rest(text)
    assert not loaded.problems, render(loaded.problems)
    return loaded.required().endpoints[0]


def kafka_ingress(text: str) -> KafkaIngressSpec:
    loaded = load_with_rest(text)
    assert not loaded.problems, render(loaded.problems)
    ingress = loaded.required().ingresses[0]
    assert isinstance(ingress, KafkaIngressSpec)
    return ingress


def kafka_egress(text: str) -> KafkaEgressSpec:
    loaded = load_with_rest(text)
    (egress,) = loaded.required().egresses
    assert isinstance(egress, KafkaEgressSpec)
    return egress


def test_an_endpoint_has_the_defaults_of_statefun_but_for_the_pool_which_its_types_share():
    assert endpoint(ENDPOINT) == EndpointSpec(
        pattern=FunctionPattern("shop.fns", None),
        url_template="http://shop:8000/statefun",
        batch_threshold=1000,
        transport=AsyncTransport(
            call_s=120.0,
            connect_s=20.0,
            pool_ttl_s=15.0,
            pool_size=256,
            payload_max_bytes=33_554_432,
            tls=TlsSpec(None, None, None, None),
        ),
    )


def test_version_1_of_an_endpoint_is_always_okhttp():
    assert endpoint(ENDPOINT_V1).transport == OkHttpTransport(60.0, 10.0, 10.0, 10.0)


def test_an_endpoint_may_have_every_field_of_async():
    text = f"""{ENDPOINT}
  maxNumBatchRequests: -1
  transport:
    type: io.statefun.transports.v1/async
    call: 90s
    connect: 200
    pool_ttl: 0s
    pool_size: 7
    payload_max_bytes: "99"
    trust_cacerts: ca
    client_cert: cert
    client_key: key
    client_key_password: password
"""
    assert endpoint(text).batch_threshold == -1
    assert endpoint(text).transport == AsyncTransport(
        call_s=90.0,
        connect_s=0.2,
        pool_ttl_s=0.0,
        pool_size=7,
        payload_max_bytes=99,
        tls=TlsSpec("ca", "cert", "key", "password"),
    )


def test_the_timeouts_of_okhttp_decide_for_async_with_their_own_defaults():
    text = f"{ENDPOINT}  transport:\n    timeouts:\n      call: 3s\n"
    assert endpoint(text).transport == AsyncTransport(call_s=3.0, connect_s=10.0)
    text = f"{ENDPOINT}  transport:\n    timeouts: {{connect: 3s}}\n"
    assert endpoint(text).transport == AsyncTransport(call_s=60.0, connect_s=3.0)


def test_both_versions_of_an_endpoint_take_the_timeouts_of_okhttp():
    timeouts = "timeouts: {call: 2min, connect: 1s, read: 2s, write: 3s}\n"
    okhttp = "transport:\n    type: io.statefun.transports.v1/okhttp\n    "

    expected = OkHttpTransport(120.0, 1.0, 2.0, 3.0)
    assert endpoint(f"{ENDPOINT_V1}  {timeouts}").transport == expected
    assert endpoint(f"{ENDPOINT}  {okhttp}{timeouts}").transport == expected


def test_okhttp_may_have_what_statefun_s_does_not():
    text = f"""{ENDPOINT}
  transport:
    type: io.statefun.transports.v1/okhttp
    pool_ttl: 5s
    proxy: http://me:secret@proxy:3128
    trust_cacerts: ca
    client_cert: cert
    client_key: key
    client_key_password: password
"""
    transport = endpoint(text).transport
    assert transport == OkHttpTransport(
        pool_ttl_s=5.0,
        proxy="http://me:secret@proxy:3128",
        tls=TlsSpec("ca", "cert", "key", "password"),
    )
    assert "secret" not in repr(transport)


def test_files_are_beside_the_module_on_a_path_or_in_a_url():
    text = f"""{ENDPOINT}
  transport:
    trust_cacerts: classpath:tls/ca.pem
    client_cert: file:///etc/my%20tls/cert.pem
    client_key: tls/key.pem
"""
    loaded = parse_module((text + REST).encode(), file="/opt/modules/shop/module.yaml")
    (first, _) = loaded.required().endpoints
    assert first.transport == AsyncTransport(
        tls=TlsSpec("/opt/modules/shop/tls/ca.pem", "/etc/my tls/cert.pem", "tls/key.pem")
    )


def test_an_endpoint_may_have_headers_and_be_signed():
    text = f"""{ENDPOINT}
  headers:
    X-Tenant: " shop "
    X-Version: 3
    X-Key: {{file: classpath:key}}
  auth: {{type: aws-sigv4, region: eu-central-1, service: lambda}}
"""
    assert endpoint(text).headers == (
        HeaderSpec("X-Tenant", "shop"),
        HeaderSpec("X-Version", "3"),
        HeaderSpec("X-Key", file="key"),
    )
    assert endpoint(text).auth == SigV4Spec("eu-central-1", "lambda")


@pytest.mark.parametrize("url", ["http+unix:///run/fns.sock", "https+unix:///run/fns.sock/a?b=c"])
def test_functions_may_be_behind_a_unix_domain_socket(url: str):
    text = ENDPOINT.replace("http://shop:8000/statefun", url)
    assert endpoint(text).url_template == url


def test_fields_without_a_value_count_as_left_out():
    text = f"{ENDPOINT}  maxNumBatchRequests:\n  transport:\n"
    assert endpoint(text) == endpoint(ENDPOINT)


@pytest.mark.parametrize(
    "url",
    [
        "https://shop",
        "http://shop_1:8000/{function.name}/v1?a=b",
        "http://[::1]:8000/statefun",
        "http://{function.name}.shop:8000",
        "HTTP://shop/a%20b",
    ],
)
def test_urls_are_kept_as_they_are_written(url: str):
    assert endpoint(ENDPOINT.replace("http://shop:8000/statefun", url)).url_template == url


def test_trailing_slashes_and_empty_namespaces_of_patterns_are_as_in_statefun():
    assert endpoint(ENDPOINT.replace("shop.fns/*", "a/b/")).pattern == FunctionPattern("a", "b")
    assert endpoint(ENDPOINT.replace("shop.fns/*", "/b")).pattern == FunctionPattern("", "b")


def test_a_kafka_ingress_has_the_defaults_of_statefun():
    assert kafka_ingress(INGRESS) == KafkaIngressSpec(
        id=TypeName("shop.io", "orders"),
        bootstrap_servers="kafka:9092",
        group_id="shop",
        routes=(TopicRoute("orders", "shop.types/Order", (TypeName("rest.fns", "order"),)),),
        offset_reset=OffsetReset.LATEST,
        startup=Latest(),
        properties=(),
    )


def test_address_and_group_may_be_properties():
    text = INGRESS.replace("  address: kafka:9092\n  consumerGroupId: shop\n", "")
    text += "  properties: [{bootstrap.servers: 'k:1'}, {group.id: 7}, {client.id: me}]\n"

    ingress = kafka_ingress(text)
    assert (ingress.bootstrap_servers, ingress.group_id) == ("k:1", "7")
    assert ingress.properties == (("client.id", "me"),)


@pytest.mark.parametrize(
    "properties",
    [
        "\n    - fetch.min.bytes: 1\n    - check.crcs: True\n",
        "\n    fetch.min.bytes: 1\n    check.crcs: true\n",
    ],
)
def test_properties_are_a_list_or_a_mapping_and_kept_as_text(properties: str):
    expected = (("fetch.min.bytes", "1"), ("check.crcs", "true"))
    assert kafka_ingress(f"{INGRESS}  properties:{properties}").properties == expected


def test_committing_by_a_timer_may_be_turned_off():
    text = f"{INGRESS}  properties: [enable.auto.commit: false]\n"
    assert kafka_ingress(text).properties == ()


def test_a_topic_that_is_there_twice_is_refused():
    """StateFun takes the last entry, and the targets of the first one get nothing."""
    text = f"{INGRESS}    - {{topic: orders, valueType: b, targets: [rest.fns/x, rest.fns/y]}}\n"
    assert load_with_rest(text).spec is None


def test_a_record_goes_to_all_targets_in_the_order_of_the_file():
    text = INGRESS.replace("[rest.fns/order]", "[rest.fns/x, rest.fns/y]")
    x, y = TypeName("rest.fns", "x"), TypeName("rest.fns", "y")
    assert kafka_ingress(text).routes == (TopicRoute("orders", "shop.types/Order", (x, y)),)


def test_the_offset_reset_is_read_in_any_case():
    text = f"{INGRESS}  autoOffsetResetPosition: EARLIEST\n"
    assert kafka_ingress(text).offset_reset is OffsetReset.EARLIEST


@pytest.mark.parametrize(
    ("position", "expected"),
    [
        ("type: group-offsets", GroupOffsets()),
        ("type: earliest", Earliest()),
        ("type: latest", Latest()),
        ("type: date, date: 1970-01-01 00:00:01.000 +0000", Date(1000)),
        (
            "type: specific-offsets, offsets: [{orders/0: 5}, {orders/1: '6'}]",
            SpecificOffsets((("orders", 0, 5), ("orders", 1, 6))),
        ),
        (
            "type: specific-offsets, offsets: {orders/0: 5}",
            SpecificOffsets((("orders", 0, 5),)),
        ),
    ],
)
def test_every_startup_position_is_read(position: str, expected: object):
    assert kafka_ingress(f"{INGRESS}  startupPosition: {{{position}}}\n").startup == expected


def test_a_kafka_egress_is_at_least_once_by_default():
    assert kafka_egress(EGRESS) == KafkaEgressSpec(
        id=TypeName("shop.io", "receipts"),
        bootstrap_servers="kafka:9092",
        delivery=DeliverySemantic.AT_LEAST_ONCE,
        transaction_timeout_ms=None,
        properties=(),
    )


@pytest.mark.parametrize(
    ("semantic", "delivery", "timeout_ms"),
    [
        ("type: none", DeliverySemantic.NONE, None),
        ("type: at-least-once, transactionTimeout: 1s", DeliverySemantic.AT_LEAST_ONCE, None),
        ("type: exactly-once, transactionTimeout: 15min", DeliverySemantic.EXACTLY_ONCE, 900_000),
        ("type: exactly-once, transactionTimeoutMillis: 7", DeliverySemantic.EXACTLY_ONCE, 7),
        (
            "type: exactly-once, transactionTimeout: 15min, transactionTimeoutMillis: 7",
            DeliverySemantic.EXACTLY_ONCE,
            7,
        ),
    ],
)
def test_every_delivery_semantic_is_read(
    semantic: str, delivery: DeliverySemantic, timeout_ms: int | None
):
    egress = kafka_egress(f"{EGRESS}  deliverySemantic: {{{semantic}}}\n")
    assert (egress.delivery, egress.transaction_timeout_ms) == (delivery, timeout_ms)


KINESIS_INGRESS = """kind: io.statefun.kinesis.v1/ingress
spec:
  id: shop.io/orders
  streams:
    - {stream: orders, valueType: shop.types/Order, targets: [rest.fns/order]}
"""
KINESIS_EGRESS = """kind: io.statefun.kinesis.v1/egress
spec:
  id: shop.io/receipts
"""


def kinesis_ingress(text: str) -> KinesisIngressSpec:
    loaded = load_with_rest(text)
    assert not loaded.problems, render(loaded.problems)
    ingress = loaded.required().ingresses[0]
    assert isinstance(ingress, KinesisIngressSpec)
    return ingress


def kinesis_egress(text: str) -> KinesisEgressSpec:
    loaded = load_with_rest(text)
    assert not loaded.problems, render(loaded.problems)
    (egress,) = loaded.required().egresses
    assert isinstance(egress, KinesisEgressSpec)
    return egress


def test_a_kinesis_ingress_has_the_defaults_of_statefun_and_of_flinks_consumer():
    assert kinesis_ingress(KINESIS_INGRESS) == KinesisIngressSpec(
        id=TypeName("shop.io", "orders"),
        routes=(StreamRoute("orders", "shop.types/Order", (TypeName("rest.fns", "order"),)),),
        region=DefaultRegion(),
        credentials=DefaultCredentials(),
        startup=Latest(),
        client=AwsClientSettings(10.0, 50.0, 50, None),
        reading=ShardReading(0.2, 10_000, 10.0),
    )


def test_a_kinesis_egress_has_the_defaults_of_statefun():
    assert kinesis_egress(KINESIS_EGRESS) == KinesisEgressSpec(
        id=TypeName("shop.io", "receipts"),
        region=DefaultRegion(),
        credentials=DefaultCredentials(),
        outstanding_max=1000,
        client=AwsClientSettings(),
    )


@pytest.mark.parametrize(
    ("region", "expected"),
    [
        ("type: default", DefaultRegion()),
        ("type: specific, id: eu-west-1", SpecificRegion("eu-west-1")),
        (
            "type: custom-endpoint, endpoint: 'https://k:4567', id: eu-west-1",
            CustomEndpoint("https://k:4567", "eu-west-1"),
        ),
    ],
)
def test_every_aws_region_is_read(region: str, expected: object):
    assert kinesis_ingress(f"{KINESIS_INGRESS}  awsRegion: {{{region}}}\n").region == expected
    assert kinesis_egress(f"{KINESIS_EGRESS}  awsRegion: {{{region}}}\n").region == expected


@pytest.mark.parametrize(
    ("credentials", "expected"),
    [
        ("type: default", DefaultCredentials()),
        ("type: basic, accessKeyId: a, secretAccessKey: b", BasicCredentials("a", "b")),
        ("type: profile, profileName: a", ProfileCredentials("a")),
        ("type: profile, profileName: a, profilePath: /b", ProfileCredentials("a", "/b")),
    ],
)
def test_all_aws_credentials_are_read(credentials: str, expected: object):
    field = f"  awsCredentials: {{{credentials}}}\n"
    assert kinesis_ingress(KINESIS_INGRESS + field).credentials == expected
    assert kinesis_egress(KINESIS_EGRESS + field).credentials == expected


def test_a_secret_is_not_shown():
    assert "b" not in repr(BasicCredentials("a", "b")).removeprefix("BasicCredentials")


@pytest.mark.parametrize(
    ("position", "expected"),
    [
        ("type: earliest", Earliest()),
        ("type: latest", Latest()),
        ("type: date, date: 1970-01-01 00:00:01.000 +0000", Date(1000)),
    ],
)
def test_every_startup_position_of_kinesis_is_read(position: str, expected: object):
    text = f"{KINESIS_INGRESS}  startupPosition: {{{position}}}\n"
    assert kinesis_ingress(text).startup == expected


def test_properties_of_kinesis_have_the_effect_they_have_in_java():
    ingress = kinesis_ingress(
        f"""{KINESIS_INGRESS}  clientConfigProperties:
    - SocketTimeout: 9999
    - connectionTimeout: 1
    - MaxConnections: 7
    - aws.endpoint: https://k:1
    - flink.shard.getrecords.intervalmillis: 250
    - flink.shard.getrecords.maxrecordcount: 500
    - flink.shard.discovery.intervalmillis: 1000
"""
    )
    assert ingress.client == AwsClientSettings(0.001, 9.999, 7, "https://k:1")
    assert ingress.reading == ShardReading(0.25, 500, 1.0)
    egress = kinesis_egress(
        f"""{KINESIS_EGRESS}  maxOutstandingRecords: 5
  clientConfigProperties:
    RequestTimeout: 6000
    ConnectTimeout: 3000
    MaxConnections: 24
    KinesisEndpoint: kinesis.local
    KinesisPort: 4567
"""
    )
    assert egress.client == AwsClientSettings(3.0, 6.0, 24, "https://kinesis.local:4567")
    assert egress.outstanding_max == 5


def test_the_playground_is_read():
    module = load_with_rest(
        "kind: io.statefun.playground.v1/ingress\nspec: {}\n---\n"
        "kind: io.statefun.playground.v1/egress\nspec: {port: '8091', topics: [b, a, b]}\n"
    ).required()

    assert module.ingresses[0] == PlaygroundIngressSpec(0)
    assert module.egresses == (PlaygroundEgressSpec(8091, ("b", "a")),)


def test_empty_documents_are_skipped():
    served = INGRESS.replace("rest.fns", "shop.fns")
    text = f"---\n# nothing\n---\n{ENDPOINT}---\nnull\n---\n{served}---\n"
    assert load(text).spec is not None


def test_aliases_and_merge_keys_work_and_twins_are_told_apart():
    text = f"{INGRESS}  properties: &common [client.id: me]\n"
    assert kafka_ingress(text).properties == (("client.id", "me"),)
    twins = "kind: io.statefun.kafka.v1/egress\nspec: &e {id: a/b, address: 'k:1'}\nx: *e\n"
    assert len(load_with_rest(twins).problems) == 1


def test_a_target_of_an_unreadable_pattern_is_not_warned_of():
    text = ENDPOINT.replace("shop.fns/*", "rest.fns") + "---\n" + INGRESS
    assert len(load(text).problems) == 1
    other = ENDPOINT.replace("shop.fns/*", "other/*")
    assert len(load(f"{text}---\n{other}").problems) == 1


def test_a_module_without_ingress_and_endpoint_is_refused():
    assert render(load(EGRESS).problems) == (
        "module.yaml:1:1: no ingress is defined [SF1017]\n"
        "    1 | kind: io.statefun.kafka.v1/egress\n"
        "        ^\n"
        "hint: add a component of a kind such as io.statefun.kafka.v1/ingress\n"
        "\n"
        "module.yaml:1:1: no endpoint is defined [SF1017]\n"
        "    1 | kind: io.statefun.kafka.v1/egress\n"
        "        ^\n"
        "hint: add a component of a kind such as io.statefun.endpoints.v2/http"
    )


def test_an_empty_file_is_refused_at_its_first_line():
    first = load("").problems[0]
    assert str(first) == (
        "module.yaml:1:1: no ingress is defined [SF1017]\n"
        "hint: add a component of a kind such as io.statefun.kafka.v1/ingress"
    )


@pytest.mark.parametrize(
    "text",
    [
        'version: "4.0"\nmodule: {meta: {type: remote}, spec: {}}\n',
        "kind: [\n",
        INGRESS.replace("/ingress", "/ingres") + "---\n" + ENDPOINT,
    ],
)
def test_one_mistake_does_not_make_the_module_look_empty_too(text: str):
    assert len(load(text).problems) == 1


def test_strict_makes_every_warning_an_error():
    text = f"{ENDPOINT}  timeout: 5s\n{REST}"
    lenient, strict = load(text), load(text, strict=True)

    assert lenient.spec is not None
    assert strict.spec is None
    assert [p.severity for p in lenient.problems] == [Severity.WARNING]
    assert [p.severity for p in strict.problems] == [Severity.ERROR]
    assert render(strict.problems) == render(lenient.problems).replace("warning: ", "")


def test_problems_come_in_the_order_of_the_file():
    text = f"{EGRESS}  adress: a\n---\n{EGRESS}---\nkind: a/b\nspec: {{}}\nspec: {{}}\n"
    problems = load_with_rest(text).problems
    places = [(problem.line, problem.column) for problem in problems]
    assert places == sorted(places)
    assert len(places) == 4


def test_the_error_of_a_module_shows_all_and_sums_up():
    with pytest.raises(ModuleError) as raised:
        load(f"{ENDPOINT}  timeout: 5s\n---\n{INGRESS}  id: 7\n").required()

    assert raised.value.code == "SF1022"
    assert str(raised.value).split("\n\n") == [
        *map(str, raised.value.problems),
        "3 errors and 1 warning in module.yaml "
        "(statefun-worker explain SF1004 SF1011 SF1020 SF1022)",
    ]


def test_a_module_is_found_by_path_and_by_file_url(tmp_path: Path):
    path = tmp_path / "a module.yaml"
    path.write_text(f"\ufeff{ENDPOINT}{REST}")

    loaded = load_module(str(path))
    assert loaded.spec is not None
    assert loaded.files == (str(path),)
    assert load_module(path.as_uri()) == loaded
    assert load_module(f"file:{path}") == loaded


def test_what_is_no_file_is_refused(tmp_path: Path):
    def refusal(location: str) -> str:
        loaded = load_module(location)
        assert loaded.spec is None
        return render(loaded.problems)

    assert refusal("nowhere.yaml") == (
        "nowhere.yaml:1:1: the module cannot be read: no such file or directory [SF1001]"
    )
    assert refusal(str(tmp_path)) == (
        f"{tmp_path}:1:1: the folder has no module.yaml, and no folder in it has one [SF1070]\n"
        "hint: put it at module.yaml or NAME/module.yaml in that folder, or name the file"
    )
    assert refusal("classpath:module.yaml") == (
        "classpath:module.yaml:1:1: the module cannot be read: "
        "there is no class path here; give a path or a file: URL [SF1001]"
    )
    assert refusal("file://elsewhere/module.yaml") == (
        "file://elsewhere/module.yaml:1:1: the module cannot be read: "
        "the file: URL names the host 'elsewhere'; only local files are read [SF1001]"
    )
    assert refusal("a\0b").startswith("a\0b:1:1: the module cannot be read: ")


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_file_that_is_not_utf_8_is_refused_where_it_begins_not_to_be(mark: bytes):
    loaded = parse_module(mark + b"a: b\nc: caf\xe9 au lait\n", file="module.yaml")

    assert render(loaded.problems) == (
        "module.yaml:2:7: the file is not UTF-8: byte 0xE9 cannot stand here [SF1001]\n"
        "    2 | c: caf\ufffd au lait\n"
        "              ^\n"
        "hint: save the file as UTF-8"
    )


def test_a_byte_order_mark_is_no_column():
    plain = "kind: nonsense\nspec: {}\n"
    assert load(f"\ufeff{plain}").problems == load(plain).problems


def test_a_number_with_thousands_of_digits_is_refused():
    digits = "9" * 5000
    for written in (digits, f"'{digits}'"):
        (problem,) = load_with_rest(f"{ENDPOINT}  maxNumBatchRequests: {written}\n").problems
        assert (problem.code, problem.line, problem.column) == ("SF1010", 5, 24)


def test_a_transport_with_some_fields_has_defaults_for_the_others():
    assert endpoint(f"{ENDPOINT}  transport: {{pool_size: 7}}\n").transport == AsyncTransport(
        pool_size=7
    )


def test_empty_pieces_of_an_address_are_passed_over():
    text = INGRESS.replace("kafka:9092", "k-1:9092, k-2:9092,")
    assert kafka_ingress(text).bootstrap_servers == "k-1:9092, k-2:9092,"
    (problem,) = load_with_rest(INGRESS.replace("kafka:9092", "','")).problems
    assert problem.message == "',' is not of the form 'host:port'"
