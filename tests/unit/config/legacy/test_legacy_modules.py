"""Modules in the single-document formats from before StateFun 3.1, and what becomes of them."""

from pathlib import Path

import pytest

from statefun_runtime.config import LoadedModule, Severity, render
from statefun_runtime.connectors.kafka.settings.values import DeliverySemantic, TopicRoute
from statefun_runtime.connectors.kafka.specs import KafkaEgressSpec, KafkaIngressSpec
from statefun_runtime.connectors.modules import load_module, parse_module
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.module.specs import (
    Earliest,
    EndpointSpec,
    FunctionPattern,
    OkHttpTransport,
    ProtobufRouter,
)
from statefun_runtime.core.module.templates import parse_target
from statefun_runtime.ports.module import ModuleSpec
from tests.unit.config.module_texts import load

VERSION_3 = """version: "3.0"
module:
  meta:
    type: remote
  spec:
    endpoints:
      - endpoint:
          meta:
            kind: http
          spec:
            functions: bank.fns/*
            urlPathTemplate: http://bank:8000/statefun
            maxNumBatchRequests: 100
            timeouts:
              call: 2min
    ingresses:
      - ingress:
          meta:
            type: io.statefun.kafka/ingress
            id: bank.io/transfers
          spec:
            address: kafka:9092
            consumerGroupId: bank
            startupPosition:
              type: earliest
            topics:
              - topic: transfers
                valueType: bank.types/Transfer
                targets: [bank.fns/account]
    egresses:
      - egress:
          meta:
            type: io.statefun.kafka/egress
            id: bank.io/receipts
          spec:
            address: kafka:9092
            deliverySemantic:
              type: exactly-once
              transactionTimeoutMillis: 100000
"""

VERSION_2 = """version: "2.0"
module:
  meta:
    type: remote
  spec:
    functions:
      - function:
          meta:
            kind: http
            type: bank.fns/account
          spec:
            endpoint: http://bank:8000/statefun
            states:
              - name: balance
                expireAfter: 1day
              - name: owner
            timeout: 2min
            connectTimeout: 3s
            maxNumBatchRequests: 100
      - function:
          meta:
            kind: http
            type: bank.fns/audit
          spec:
            endpoint: http://audit:8000/statefun
    ingresses:
      - ingress:
          meta:
            type: statefun.kafka.io/routable-protobuf-ingress
            id: bank.io/transfers
          spec:
            address: kafka:9092
            consumerGroupId: bank
            topics:
              - topic: transfers
                typeUrl: types.example/bank.Transfer
                targets: [bank.fns/account, bank.fns/audit]
    egresses:
      - egress:
          meta:
            type: statefun.kafka.io/generic-egress
            id: bank.io/receipts
          spec:
            address: kafka:9092
"""

ROUTED = """version: "1.0"
module:
  meta: {type: remote}
  spec:
    functions:
      - function:
          meta: {kind: http, type: bank.fns/account}
          spec: {endpoint: 'http://bank:8000/statefun'}
    routers:
      - router:
          meta:
            type: org.apache.flink.statefun.sdk/protobuf-router
          spec:
            ingress: bank.io/transfers
            target: "bank.fns/account/{{$.account.id}}"
            messageType: bank.Transfer
            descriptorSet: /types/bank.desc
    ingresses:
      - ingress:
          meta:
            type: statefun.kafka.io/protobuf-ingress
            id: bank.io/transfers
          spec:
            address: kafka:9092
            consumerGroupId: bank
            topics: [transfers, refunds]
            messageType: bank.Transfer
            descriptorSet: /types/bank.desc
"""

SNIPPET = """functions:
  - function:
    meta:
      kind: http
      type: bank.fns/account
    spec:
      endpoint: http://bank:8000/statefun
"""

ACCOUNT, AUDIT = TypeName("bank.fns", "account"), TypeName("bank.fns", "audit")
TRANSFERS, RECEIPTS = TypeName("bank.io", "transfers"), TypeName("bank.io", "receipts")


def good(text: str) -> ModuleSpec:
    loaded = load(text)
    assert loaded.spec is not None, render(loaded.problems)
    return loaded.spec


def warnings(loaded: LoadedModule) -> list[tuple[str, int, int]]:
    assert all(p.severity is Severity.WARNING for p in loaded.problems), render(loaded.problems)
    return [(problem.code.value, problem.line, problem.column) for problem in loaded.problems]


def test_a_module_of_version_3_is_read():
    assert load(VERSION_3).problems == ()
    assert good(VERSION_3) == ModuleSpec(
        endpoints=(
            EndpointSpec(
                FunctionPattern("bank.fns", None),
                "http://bank:8000/statefun",
                100,
                OkHttpTransport(call_s=120.0),
            ),
        ),
        ingresses=(
            KafkaIngressSpec(
                TRANSFERS,
                "kafka:9092",
                "bank",
                (TopicRoute("transfers", "bank.types/Transfer", (ACCOUNT,)),),
                startup=Earliest(),
            ),
        ),
        egresses=(KafkaEgressSpec(RECEIPTS, "kafka:9092", DeliverySemantic.EXACTLY_ONCE, 100_000),),
    )


def test_a_module_of_version_2_is_read_and_its_functions_are_endpoints():
    module = good(VERSION_2)
    account, audit = module.endpoints

    assert account == EndpointSpec(
        FunctionPattern("bank.fns", "account"),
        "http://bank:8000/statefun",
        100,
        OkHttpTransport(call_s=120.0, connect_s=3.0),
    )
    assert audit == EndpointSpec(
        FunctionPattern("bank.fns", "audit"),
        "http://audit:8000/statefun",
        transport=OkHttpTransport(),
    )
    route = TopicRoute("transfers", "types.example/bank.Transfer", (ACCOUNT, AUDIT))
    assert module.ingresses == (KafkaIngressSpec(TRANSFERS, "kafka:9092", "bank", (route,)),)
    assert module.egresses == (KafkaEgressSpec(RECEIPTS, "kafka:9092"),)


def test_one_warning_says_that_functions_of_2_are_called_as_those_of_3():
    loaded = load(VERSION_2)
    assert warnings(loaded) == [("SF1061", 8, 11), ("SF1062", 13, 13)]
    assert "(balance, owner)" in loaded.problems[1].message


def test_states_are_names_in_version_1():
    text = SNIPPET.replace("statefun\n", "statefun\n      states: [balance, 7]\n")
    (problem,) = (p for p in load(text).problems if p.code == "SF1062")
    assert problem.message == (
        "the list of states is not used: functions declare theirs themselves (balance, 7)"
    )


def test_a_protobuf_router_becomes_part_of_every_topic_of_its_ingress():
    loaded = load(ROUTED)
    router = ProtobufRouter(
        parse_target("bank.fns/account/{{$.account.id}}"), "bank.Transfer", "/types/bank.desc"
    )
    (ingress,) = loaded.required().ingresses

    assert warnings(loaded) == [("SF1061", 7, 11)]
    assert ingress == KafkaIngressSpec(
        TRANSFERS,
        "kafka:9092",
        "bank",
        (
            TopicRoute("transfers", "type.googleapis.com/bank.Transfer", (), (router,)),
            TopicRoute("refunds", "type.googleapis.com/bank.Transfer", (), (router,)),
        ),
    )


def test_a_descriptor_set_of_the_class_path_is_beside_the_module():
    (ingress,) = good(ROUTED.replace("/types/bank.desc", "classpath:bank.desc")).ingresses
    assert isinstance(ingress, KafkaIngressSpec)
    assert ingress.routes[0].routers[0].descriptor_set == "bank.desc"


def test_a_protobuf_ingress_without_a_router_reads_and_drops():
    start = ROUTED.index("    routers:")
    without = ROUTED[:start] + ROUTED[ROUTED.index("    ingresses:") :]
    assert warnings(load(without)) == [
        ("SF1061", 7, 11),
        ("SF1023", 17, 22),
        ("SF1023", 17, 33),
    ]


@pytest.mark.parametrize("version", ["3.0", "'3.0'", "2.0", "1.0"])
def test_a_version_may_stand_without_quotes_and_a_divider_may_follow(version: str):
    legacy = VERSION_3 if "3" in version else VERSION_2
    _, rest = legacy.split("\n", 1)
    assert good(f"version: {version}\n{rest}---\n") == good(legacy)


def test_kinds_and_module_types_are_read_in_any_case():
    text = VERSION_3.replace("remote", "Remote").replace("kind: http", "kind: HTTP")
    assert good(text.replace("io.statefun.kafka/ingress", "io.statefun.Kafka/Ingress")) == good(
        VERSION_3
    )


def test_a_type_that_is_no_legacy_type_is_taken_as_a_kind():
    text = VERSION_3.replace("io.statefun.kafka/ingress", "io.statefun.kafka.v1/ingress")
    assert good(text) == good(VERSION_3)
    (problem,) = load(VERSION_3.replace("io.statefun.kafka/ingress", "acme/pipe")).problems
    assert (problem.code, problem.line, problem.column) == ("SF1006", 19, 19)
    assert problem.message == "unknown kind 'acme/pipe'"


def test_the_id_of_meta_wins_over_one_in_the_spec():
    text = VERSION_3.replace("address: kafka:9092\n            cons", "id: x/y\n            cons")
    assert load(text).problems[0].message.endswith("lacks the required field 'address'")
    text = text.replace("id: x/y", "id: x/y\n            address: kafka:9092")
    assert good(text).ingresses[0].id == TRANSFERS


def test_sections_that_a_version_does_not_have_are_named():
    text = VERSION_3 + "    routers: []\n    functions: []\n"
    assert warnings(load(text)) == [("SF1063", 40, 5), ("SF1063", 41, 5)]
    assert good(text) == good(VERSION_3)
    assert warnings(load(VERSION_2 + "    endpoints: []\n"))[-1] == ("SF1063", 45, 5)


def test_the_snippet_of_the_readmes_lacks_an_ingress_only():
    (problem,) = load(SNIPPET).problems
    assert (problem.code, problem.message) == ("SF1017", "no ingress is defined")


@pytest.mark.parametrize(
    "kind", ["io.statefun.kafka/ingress", "statefun.kafka.io/routable-protobuf-ingress"]
)
def test_the_snippet_of_the_readmes_may_have_sections_beside_it(kind: str):
    text = f"""{SNIPPET}
ingresses:
  - ingress:
    meta:
      type: {kind}
      id: bank.io/transfers
    spec:
      address: kafka:9092
      consumerGroupId: bank
      topics:
        - topic: transfers
          valueType: bank.types/Transfer
          targets:
            - bank.fns/account
egresses:
  - egress:
    meta:
      type: io.statefun.kafka/egress
      id: bank.io/receipts
    spec:
      address: kafka:9092
"""
    assert load(text).problems == ()
    module = good(text)
    assert module.endpoints == (
        EndpointSpec(
            FunctionPattern("bank.fns", "account"),
            "http://bank:8000/statefun",
            transport=OkHttpTransport(),
        ),
    )
    assert [ingress.id for ingress in module.ingresses] == [TRANSFERS]
    assert [egress.id for egress in module.egresses] == [RECEIPTS]


def test_legacy_modules_and_components_stand_side_by_side():
    component = "kind: io.statefun.playground.v1/ingress\nspec: {port: 8090}\n"
    module = good(f"{SNIPPET}---\n{component}---\n{VERSION_3.replace('bank.fns/*', 'x.fns/*')}")
    assert (len(module.endpoints), len(module.ingresses)) == (2, 2)


def test_placeholders_are_filled_in_wherever_a_legacy_module_has_them():
    text = ROUTED.replace("/types/bank.desc", "classpath:${TYPES}.desc")
    text = text.replace("bank.io/transfers", "${IO}/transfers")
    text = text.replace("type: bank.fns/account", "type: '${FNS}/account'")
    variables = {"TYPES": "bank", "IO": "bank.io", "FNS": "bank.fns"}
    filled = parse_module(text.encode(), file="apps/module.yaml", variables=variables)

    assert filled.spec == good(ROUTED.replace("/types/bank.desc", "apps/bank.desc"))


def test_the_snippet_of_the_readmes_is_a_file_of_an_application(tmp_path: Path):
    (tmp_path / "functions.yaml").write_text(SNIPPET)
    (tmp_path / "io.yaml").write_text("kind: io.statefun.playground.v1/ingress\nspec: {}\n")
    loaded = load_module(str(tmp_path / "functions.yaml"), str(tmp_path / "io.yaml"))

    assert loaded.problems == ()
    assert [str(endpoint.pattern) for endpoint in loaded.required().endpoints] == [
        "bank.fns/account"
    ]
