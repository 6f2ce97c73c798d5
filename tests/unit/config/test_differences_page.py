"""docs/reference/differences.md lists what StateFun accepts and is refused here; each row is tried."""

import re
from pathlib import Path

import pytest

from statefun_runtime.config import SettingsError, Severity, read_settings
from tests.unit.config.module_texts import load_with_rest

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "differences.md"
ENDPOINT = """\
kind: io.statefun.endpoints.v2/http
spec: {functions: shop.fns/*, urlPathTemplate: URL, transport: {TRANSPORT}}
"""
INGRESS = """\
kind: io.statefun.kafka.v1/ingress
spec:
  id: shop.io/orders
  address: ADDRESS
  consumerGroupId: shop
  topics:
    - {topic: orders, valueType: shop.types/Order, targets: [rest.fns/order]}
"""
EGRESS = """\
kind: io.statefun.kafka.v1/egress
spec:
  id: shop.io/receipts
  address: kafka:9092
  deliverySemantic: {type: exactly-once, transactionTimeout: 1min}
"""
GRPC = """\
version: "2.0"
module:
  meta: {type: remote}
  spec:
    functions:
      - function: {meta: {kind: grpc, type: shop/order}, spec: {host: fns, port: 9000}}
"""
URL = "http://shop:8000/"


def ingress(more: str = "", *, address: str = "kafka:9092") -> str:
    return INGRESS.replace("ADDRESS", address) + more


def endpoint(url: str = URL, transport: str = "") -> str:
    return ENDPOINT.replace("URL", url).replace("TRANSPORT", transport)


MODULES = [
    ("SF1022", ingress().replace("rest.fns/order", "rst.fns/order")),
    ("SF1016", ingress("    - {topic: orders, valueType: a/b, targets: [rest.fns/audit]}\n")),
    ("SF1015", ingress("  startupPosition: {type: specific-offsets, offsets: [ordesr/0: 7]}\n")),
    ("SF1010", ingress("  startupPosition: {type: specific-offsets, offsets: [orders/0: x]}\n")),
    ("SF1010", ingress("  startupPosition: {type: specific-offsets, offsets: [orders/0: -7]}\n")),
    ("SF1004", ingress("  address: kafka:9093\n")),
    ("SF1003", ingress("  autoOffsetResetPosition: !shop latest\n")),
    ("SF1013", endpoint("'http://shop:8000/a b'")),
    ("SF1010", endpoint(transport="pool_size: many")),
    ("SF1012", endpoint(transport="call: 5 parsecs")),
    ("SF1015", endpoint(transport="type: io.statefun.transports.v1/okhttp, timeouts: {call: 5s}")),
    ("SF1010", ingress(address="kafka")),
    ("SF1026", ingress("  properties: [max.poll.records: many]\n")),
    ("SF1025", EGRESS + "  properties: [acks: 1]\n"),
    ("SF1028", ingress("  properties: [security.protocol: SASL_SSL]\n")),
    ("SF1071", endpoint("'http://${NO_SUCH_HOST_IS_SET}/'")),
    ("SF1064", GRPC),
]
SETTINGS = [
    ("SF1031", "taskmanagers.numberOfTaskSlots=4"),
    ("SF1032", "state.checkpoints.dir=hdfs://namenode/checkpoints"),
]


@pytest.mark.parametrize(("code", "text"), MODULES)
def test_a_module_that_statefun_takes_is_refused(code: str, text: str):
    loaded = load_with_rest(text)
    errors = {p.code.value for p in loaded.problems if p.severity is Severity.ERROR}
    assert loaded.spec is None
    assert errors == {code}


@pytest.mark.parametrize(("code", "assignment"), SETTINGS)
def test_a_setting_that_flink_takes_is_refused(code: str, assignment: str):
    with pytest.raises(SettingsError) as raised:
        read_settings({"modules": ("module.yaml",)}, [assignment])
    assert raised.value.code == code


def test_the_page_lists_what_was_tried_and_nothing_else():
    listed = set(re.findall(r"\[(SF\d{4})\]", PAGE.read_text()))
    assert listed == {code for code, _ in MODULES + SETTINGS}
