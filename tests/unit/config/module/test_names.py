"""Names that cannot be: what would wait for ever is told before anything starts."""

import pytest

from tests.unit.config.module_texts import printed

INGRESS = """\
kind: io.statefun.kafka.v1/ingress
spec:
  id: shop.io/orders
  address: kafka:9092
  consumerGroupId: shop
  topics:
    - topic: %s
      valueType: shop/Order
      targets: [rest.fns/thing]
"""
LETTERS = """\
  invalidRecordHandling: forward
  deadLetters: {egress: shop.io/out, topic: %s}
---
"""
KAFKA_OUT = "kind: io.statefun.kafka.v1/egress\nspec: {id: shop.io/out, address: 'kafka:9092'}\n"
STREAMS_OUT = "kind: io.statefun.kinesis.v1/egress\nspec: {id: shop.io/out}\n"
WEB = """\
kind: io.statefun.playground.v1/ingress
spec: {port: 8090}
---
kind: io.statefun.playground.v1/egress
spec: {port: %s, topics: [out]}
"""


@pytest.mark.parametrize("name", ["orders.*", "bad topic", "a/b", ".."])
def test_a_topic_that_cannot_be_is_an_error_where_it_stands(name: str):
    assert printed(INGRESS % f"'{name}'") == (
        f"module.yaml:7:14: '{name}' is not the name of a topic [SF1010]\n"
        f"    7 |     - topic: '{name}'\n"
        "                     ^\n"
        "hint: a name has up to 249 letters, digits, '.', '_' and '-'; each topic is named, there are no patterns"
    )


def test_nor_can_one_be_that_is_too_long():
    assert "is not the name of a topic" in printed(INGRESS % ("x" * 250))


@pytest.mark.parametrize("name", ["orders", "a.b_c-D9", "...", "x" * 249])
def test_a_topic_that_can_be_is_none(name: str):
    assert printed(INGRESS % name) == ""


@pytest.mark.parametrize(
    ("egress", "said"),
    [
        (KAFKA_OUT, "'a b' is not the name of a topic"),
        (STREAMS_OUT, "'a b' is not the name of a stream"),
    ],
)
def test_nor_can_dead_letters_go_where_nothing_can_be(egress: str, said: str):
    assert printed(INGRESS % "orders" + LETTERS % "a b" + egress) == (
        f"module.yaml:11:45: {said} [SF1010]\n"
        "   11 |   deadLetters: {egress: shop.io/out, topic: a b}\n"
        "                                                    ^"
    )


def test_a_topic_of_the_playground_has_to_be_declared():
    text = INGRESS % "orders" + LETTERS % "gone" + WEB % 8091
    assert "topic 'gone' is not declared (declared: out)" in printed(
        text.replace("shop.io/out", "io.statefun.playground/egress")
    )


def test_what_stands_in_front_of_a_server_has_no_effect_and_is_told_where_it_says_something_else():
    for address in ("PLAINTEXT://kafka:9092", "OUTSIDE://kafka:9092,kafka-2:9092"):
        assert printed((INGRESS % "orders").replace("kafka:9092", address)) == ""
    assert printed((INGRESS % "orders").replace("kafka:9092", "SASL_SSL://kafka:9092")) == (
        "module.yaml:4:12: warning: what stands in front of 'SASL_SSL://kafka:9092' has no effect [SF1027]\n"
        "    4 |   address: SASL_SSL://kafka:9092\n"
        "                   ^\n"
        "hint: the property 'security.protocol' says how to connect; it is PLAINTEXT if it is not there"
    )
    assert "'kafka:99999' is not of the form 'host:port'" in printed(
        (INGRESS % "orders").replace("kafka:9092", "kafka:99999")
    )


def test_two_components_cannot_listen_on_one_port():
    assert printed(WEB % 8090) == (
        "module.yaml:5:14: port '8090' is defined twice; first at module.yaml:2:14 [SF1016]\n"
        "    5 | spec: {port: 8090, topics: [out]}\n"
        "                     ^"
    )
    assert printed(WEB.replace("8090", "0") % 0) == ""
