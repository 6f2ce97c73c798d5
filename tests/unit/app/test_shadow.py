"""What a shadow is made of, and what it refuses."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from statefun_runtime.app.shadow import (
    Shadow,
    apply_shadow,
    named,
    require_own_folder,
    shadow_of,
)
from statefun_runtime.config.settings import Settings
from statefun_runtime.connectors.counting import CountedEgressSpec
from statefun_runtime.connectors.kafka.egress.records import prepare_record, read_record
from statefun_runtime.connectors.kafka.settings.values import TopicRoute
from statefun_runtime.connectors.kafka.specs import KafkaIngressSpec
from statefun_runtime.connectors.kinesis import records as kinesis_records
from statefun_runtime.connectors.modules import parse_module
from statefun_runtime.core.checkpoints.commits import History, Started
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.model.dead_letter import KAFKA_RECORD, KINESIS_RECORD
from statefun_runtime.core.model.messages import field as message_field
from statefun_runtime.errors import ConfigError
from statefun_runtime.ports.module import ModuleSpec

MODULE = b"""\
kind: io.statefun.endpoints.v2/http
spec:
  functions: t/*
  urlPathTemplate: http://127.0.0.1:1/statefun
---
kind: io.statefun.kafka.v1/ingress
spec:
  id: t/lines
  address: kafka:9092
  consumerGroupId: shop
  topics:
    - topic: lines
      valueType: t/line
      targets: [t/echo]
---
kind: io.statefun.kafka.v1/egress
spec:
  id: t/records
  address: kafka:9092
---
kind: io.statefun.kinesis.v1/egress
spec:
  id: t/streams
---
kind: io.statefun.playground.v1/egress
spec:
  port: 8091
  topics: [out]
"""


def module() -> ModuleSpec:
    return parse_module(MODULE, file="module.yaml").required()


def encoded(topic: str) -> bytes:
    """A record for Kafka or Kinesis: the fields are the same."""
    parts = ((b"\x0a", b"key"), (b"\x12", b"value"), (b"\x1a", topic.encode()))
    return b"".join(message_field(tag, content) for tag, content in parts)


def refusal(act: Callable[[], Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        act()
    return str(caught.value)


def test_a_shadow_reads_with_a_consumer_group_of_its_own():
    (ingress,) = apply_shadow(module(), Shadow(None)).ingresses
    assert isinstance(ingress, KafkaIngressSpec)
    assert ingress.group_id == "shop-shadow"
    assert ingress.topics == ("lines",)


def test_without_a_suffix_every_egress_is_counted_only():
    egresses = apply_shadow(module(), Shadow(None)).egresses
    assert [type(one) for one in egresses] == [CountedEgressSpec] * 3
    assert egresses[0].describe("host") == (
        "counted only, nothing is sent to Kafka kafka:9092, at-least-once"
    )


def test_with_a_suffix_each_topic_and_stream_gets_it():
    egresses = apply_shadow(module(), Shadow(".shadow")).egresses
    assert egresses[0].describe("host") == "Kafka kafka:9092, at-least-once, topics *.shadow"
    assert egresses[2].describe("host") == "GET http://host:8091/out"
    assert egresses[1].describe("host").endswith(", streams *.shadow")


def test_a_record_is_renamed_also_when_a_checkpoint_gives_it_back():
    record = prepare_record(
        KAFKA_RECORD,
        encoded("orders"),
        record_bytes_max=1000,
        partitions=lambda topic: None,
        topic_suffix=".shadow",
    )
    assert record == read_record(record.encoded)
    assert (record.topic, record.key, record.value) == ("orders.shadow", b"key", b"value")


def test_a_record_for_kinesis_is_renamed_also_when_a_checkpoint_gives_it_back():
    record = kinesis_records.prepare_record(
        KINESIS_RECORD, encoded("orders"), stream_suffix=".shadow"
    )
    assert record == kinesis_records.read_record(record.encoded)
    assert (record.stream, record.partition_key, record.value) == (
        "orders.shadow",
        "key",
        b"value",
    )


def test_functions_are_told_that_a_shadow_calls():
    (endpoint,) = apply_shadow(module(), Shadow(None)).endpoints
    assert [(each.name, each.value) for each in endpoint.headers] == [("statefun-shadow", "true")]


def test_a_suffix_that_makes_a_topic_which_is_read_is_refused():
    route = TopicRoute("orders.shadow", "t/line", (TypeName("t", "echo"),))
    ingress = KafkaIngressSpec(TypeName("t", "lines"), "kafka:9092", "shop", (route,))
    looped = ModuleSpec((), (ingress,), ())
    assert refusal(lambda: apply_shadow(looped, Shadow(".shadow"))) == (
        "SF1134: ingress 't/lines' reads 'orders.shadow', and --egress-suffix .shadow makes such names: what a shadow "
        "says would come back, to its original as well\nhint: choose another suffix"
    )
    assert apply_shadow(looped, Shadow(None))


@dataclass(frozen=True)
class Queue:
    id: TypeName = TypeName("t", "queue")  # noqa: RUF009


def test_an_ingress_of_which_nobody_knows_what_reading_does_is_refused():
    unknown: Any = Queue()
    assert refusal(lambda: apply_shadow(ModuleSpec((), (unknown,), ()), Shadow(None))) == (
        "SF1134: ingress 't/queue' is of a kind that may take away what it reads, from the original, too\n"
        "hint: its package has to say how it is read beside another: docs/contributing/components.md, `shadow`"
    )


def test_an_egress_that_knows_no_suffix_is_counted():
    unknown: Any = Queue()
    (egress,) = apply_shadow(ModuleSpec((), (), (unknown,)), Shadow(".shadow")).egresses
    assert isinstance(egress, CountedEgressSpec)


def test_flags_that_contradict_each_other_are_refused():
    assert shadow_of(Settings()) is None
    assert refusal(lambda: shadow_of(Settings(egress_suffix=".shadow"))) == (
        "SF1134: --egress-suffix renames the topics of a shadow, and this is none\nhint: add --shadow"
    )
    assert refusal(lambda: shadow_of(Settings(shadow=True, egress_suffix=""))) == (
        "SF1134: --egress-suffix '' cannot end the name of a topic\n"
        "hint: it has letters, digits, '.', '_' and '-', for example .shadow"
    )
    assert refusal(lambda: shadow_of(Settings(shadow=True, savepoint_outbox="publish"))) == (
        "SF1134: --savepoint-outbox publish would have a shadow send records to the topics of its original\n"
        "hint: leave it out: a shadow drops them"
    )


def life(number: int, name: str) -> Started:
    return Started("a", number, "n", "l", 0, None, None, 128, name)


@pytest.mark.parametrize("lives", [(1,), (1, 2), (0, 1)])
def test_a_shadow_does_not_go_on_where_its_original_has_run(lives: tuple[int, ...]):
    lived = History(tuple(life(number, "") for number in lives))
    shadow = Settings(shadow=True, state_dir=Path("shop"))
    assert refusal(lambda: require_own_folder(shadow, lived)) == (
        "SF1135: the state in shop is of an application that is no shadow: one would go on in its place, and read past "
        "what it has yet to do\nhint: give the shadow a folder of its own with --state-dir, and begin it with "
        "--from-savepoint or an import"
    )


def test_nobody_goes_on_where_a_shadow_has_run():
    shadow = Settings(shadow=True, state_dir=Path("shop"), application="shop")
    lived = History((life(1, ""), life(2, named(shadow))))
    assert refusal(lambda: require_own_folder(Settings(state_dir=Path("shop")), lived)) == (
        "SF1135: the state in shop is a shadow's: it is ahead of what has been said to the outside\nhint: import the "
        "last savepoint of the original into another folder; to go on as a shadow say --shadow"
    )
    require_own_folder(shadow, lived)


def test_what_was_imported_may_become_either():
    founded = History((life(0, ""),))
    require_own_folder(Settings(shadow=True), founded)
    require_own_folder(Settings(), founded)
    require_own_folder(Settings(shadow=True), History(()))
