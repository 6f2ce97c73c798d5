"""Routers that look into a record: what they find, what they pass over, and what they refuse to be made of."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiokafka import TopicPartition
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from statefun_runtime.adapters.protobuf_router import NotRoutable, RecordRouter
from statefun_runtime.connectors.kafka.ingress.reader import KafkaIngress
from statefun_runtime.connectors.kafka.settings.values import TopicRoute
from statefun_runtime.connectors.kafka.specs import KafkaIngressSpec
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.model.messages import IngressEncoder
from statefun_runtime.core.module.specs import (
    Earliest,
    EndpointSpec,
    FunctionPattern,
    ProtobufRouter,
)
from statefun_runtime.core.module.templates import parse_target
from statefun_runtime.errors import ConfigError
from statefun_runtime.ports.module import ModuleSpec
from tests.fakes.ingress import RecordingIngressContext
from tests.support.kafka.one_topic import OneTopic

KINDS = descriptor_pb2.FieldDescriptorProto
ORDER = "shop.Order"
FIELDS = (
    ("id", KINDS.TYPE_STRING, KINDS.LABEL_OPTIONAL, ""),
    ("number", KINDS.TYPE_INT64, KINDS.LABEL_OPTIONAL, ""),
    ("is_paid", KINDS.TYPE_BOOL, KINDS.LABEL_OPTIONAL, ""),
    ("state", KINDS.TYPE_ENUM, KINDS.LABEL_OPTIONAL, ".shop.State"),
    ("customer", KINDS.TYPE_MESSAGE, KINDS.LABEL_OPTIONAL, ".shop.Order.Customer"),
    ("lines", KINDS.TYPE_MESSAGE, KINDS.LABEL_REPEATED, ".shop.Order.Customer"),
    ("tags", KINDS.TYPE_STRING, KINDS.LABEL_REPEATED, ""),
    ("seal", KINDS.TYPE_BYTES, KINDS.LABEL_OPTIONAL, ""),
    ("prices", KINDS.TYPE_MESSAGE, KINDS.LABEL_REPEATED, ".shop.Order.PricesEntry"),
)


def descriptor_set() -> descriptor_pb2.FileDescriptorSet:
    file = descriptor_pb2.FileDescriptorProto(name="shop.proto", package="shop", syntax="proto3")
    state = file.enum_type.add(name="State")
    state.value.add(name="OPEN", number=0)
    state.value.add(name="SHIPPED", number=1)
    order = file.message_type.add(name="Order")
    customer = order.nested_type.add(name="Customer")
    customer.field.add(name="name", number=1, type=KINDS.TYPE_STRING, label=KINDS.LABEL_OPTIONAL)
    prices = order.nested_type.add(name="PricesEntry")
    prices.options.map_entry = True
    for number, name in enumerate(("key", "value"), 1):
        prices.field.add(
            name=name, number=number, type=KINDS.TYPE_STRING, label=KINDS.LABEL_OPTIONAL
        )
    for number, (name, kind, label, type_name) in enumerate(FIELDS, 1):
        order.field.add(
            name=name, number=number, type=kind, label=label, type_name=type_name or None
        )
    return descriptor_pb2.FileDescriptorSet(file=[file])


@pytest.fixture
def path(tmp_path: Path) -> str:
    file = tmp_path / "shop.desc"
    file.write_bytes(descriptor_set().SerializeToString())
    return str(file)


@pytest.fixture
def make(path: str) -> Callable[[str], RecordRouter]:
    return lambda target: RecordRouter(ProtobufRouter(parse_target(target), ORDER, path))


def order(**fields: Any) -> bytes:
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_set().file:
        pool.Add(file)
    message: Any = message_factory.GetMessageClass(pool.FindMessageTypeByName(ORDER))(**fields)
    return bytes(message.SerializeToString())


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("shop/order/{{$.id}}", "shop/order/o-1"),
        ("shop/order/{{ $.number }}", "shop/order/-7"),
        ("shop/{{$.state}}/{{$.is_paid}}", "shop/SHIPPED/true"),
        (
            "a/{{$.customer.name}}.fns/order-{{$.id}}/of {{$.lines[1].name}}!",
            "a/ada.fns/order-o-1/of bob!",
        ),
        ("{{$.tags[0]}}/f/{{$.tags[1]}}{{$.tags[0]}}", "x/f/yx"),
        ("/f/constant", "/f/constant"),
    ],
)
def test_fields_of_a_record_make_out_its_target(
    make: Callable[[str], RecordRouter], target: str, expected: str
):
    value = order(
        id="o-1",
        number=-7,
        is_paid=True,
        state=1,
        customer={"name": "ada"},
        lines=[{"name": "ada"}, {"name": "bob"}],
        tags=["x", "y"],
    )
    function_type, function_id = make(target).target(value)
    assert f"{function_type}/{function_id}" == expected


def test_fields_that_are_not_set_have_their_defaults(make: Callable[[str], RecordRouter]):
    router = make("shop/{{$.state}}/{{$.number}}{{$.is_paid}}{{$.customer.name}}")
    assert router.target(order()) == (TypeName("shop", "OPEN"), "0false")


@pytest.mark.parametrize(
    ("target", "value", "reason"),
    [
        ("shop/order/{{$.id}}", b"\xff\xff", "it is no shop.Order"),
        ("shop/order/{{$.id}}", order(), "its target shop/order/ lacks a part"),
        ("shop/{{$.id}}/1", order(), "its target shop//1 lacks a part"),
        ("shop/order/{{$.tags[1]}}", order(tags=["x"]), "its list at $.tags[1] has 1 entries"),
    ],
)
def test_a_record_that_names_no_address_is_not_routable(
    make: Callable[[str], RecordRouter], target: str, value: bytes, reason: str
):
    with pytest.raises(NotRoutable) as raised:
        make(target).target(value)
    assert str(raised.value) == reason


@pytest.mark.parametrize(
    ("field", "defect"),
    [
        ("$.nope", "$.nope names the field 'nope', which shop.Order lacks"),
        ("$.customer.id", "$.customer.id names the field 'id', which shop.Order.Customer lacks"),
        ("$.customer", "$.customer ends at a message"),
        ("$.lines", "$.lines ends at a list"),
        ("$.lines[0]", "$.lines[0] ends at a message"),
        ("$.lines.name", "$.lines.name goes on behind a list without an index"),
        ("$.id.x", "$.id.x goes on behind id, which is no message"),
        ("$.id[0]", "$.id[0] has the index 0 where there is no list"),
        ("$.tags[0][0]", "$.tags[0][0] has the index 0 where there is no list"),
        ("$.seal", "$.seal ends at bytes"),
        ("$.prices[0].key", "$.prices[0].key leads into the map 'prices'"),
    ],
)
def test_a_path_that_does_not_lead_to_a_single_value_is_refused(
    make: Callable[[str], RecordRouter], path: str, field: str, defect: str
):
    with pytest.raises(ConfigError) as raised:
        make(f"shop/order/{{{{{field}}}}}")
    assert raised.value.code == "SF1067"
    assert raised.value.message == (
        f"the descriptor set {path} of a router of shop.Order does not fit: {defect}"
    )


def test_a_descriptor_set_that_cannot_be_used_is_refused(tmp_path: Path, path: str):
    def refusal(message_type: str, file: str) -> str:
        with pytest.raises(ConfigError) as raised:
            RecordRouter(ProtobufRouter(parse_target("a/b/c"), message_type, file))
        return str(raised.value)

    assert refusal(ORDER, str(tmp_path / "none.desc")) == (
        f"SF1067: the descriptor set {tmp_path}/none.desc of a router of shop.Order cannot be read: "
        "No such file or directory\n"
        "hint: write it with protoc --include_imports --descriptor_set_out, from the files of today"
    )
    assert "has no message shop.Nothing" in refusal("shop.Nothing", path)
    (tmp_path / "text.desc").write_text("syntax")
    assert "is none, or lacks imports" in refusal(ORDER, str(tmp_path / "text.desc"))
    content = descriptor_set()
    content.file[0].dependency.append("other.proto")
    (tmp_path / "half.desc").write_bytes(content.SerializeToString())
    assert "lacks imports" in refusal(ORDER, str(tmp_path / "half.desc"))


@dataclass
class Outcome:
    """What an ingress made of records: who got what, why it skipped, where it stands, what it held back."""

    delivered: list[tuple[str, str, bytes]]
    skipped: dict[str, float]
    positions: dict[str, int]
    paused: list[TopicPartition]


def read(
    route: TopicRoute, *records: tuple[bytes | None, bytes | None], tight_for: str = ""
) -> Outcome:
    """Let a Kafka ingress read records of one topic."""
    endpoint = EndpointSpec(FunctionPattern("shop", None), "http://shop/")
    router = RecordingIngressContext(ModuleSpec((endpoint,), (), ()))
    router.tight_for = {tight_for} if tight_for else set()
    spec = KafkaIngressSpec(
        TypeName("shop", "in"), "kafka:9092", "shop", (route,), startup=Earliest()
    )
    topic: Any = OneTopic(list(records))
    ingress = KafkaIngress(spec, router, {}, clients=topic)

    async def main() -> Outcome:
        await ingress.start()
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(ingress.run())
            while ingress.positions() != {"orders/0": len(records)}:
                await asyncio.sleep(0)
            task.cancel()
        metrics = [s for s in ingress.metrics() if s.name == "statefun_ingress_skipped"]
        skipped = {metric.labels["reason"]: metric.value for metric in metrics}
        await ingress.close()
        return Outcome(router.delivered, skipped, ingress.positions(), topic.paused)

    return asyncio.run(main())


def routed(path: str, *targets: str, by_key: tuple[TypeName, ...] = ()) -> TopicRoute:
    routers = tuple(ProtobufRouter(parse_target(target), ORDER, path) for target in targets)
    return TopicRoute("orders", "types/Order", by_key, routers)


def test_every_router_of_a_topic_sends_each_record_on_unchanged_and_needs_no_key(path: str):
    value = order(id="o-1", customer={"name": "ada"})
    invocation = IngressEncoder("types/Order").encode(value)
    route = routed(path, "shop/order/{{$.id}}", "shop/customer/{{$.customer.name}}")

    assert read(route, (None, value)).delivered == [
        ("shop/order", "o-1", invocation),
        ("shop/customer", "ada", invocation),
    ]


def test_a_topic_may_have_targets_and_routers(path: str):
    route = routed(path, "shop/order/{{$.id}}", by_key=(TypeName("shop", "audit"),))
    outcome = read(route, (b"k", order(id="o-1")), (None, order(id="o-2")))

    assert [(target, id_) for target, id_, _ in outcome.delivered] == [
        ("shop/audit", "k"),
        ("shop/order", "o-1"),
        ("shop/order", "o-2"),
    ]
    assert outcome.skipped == {"no-key": 1}


def test_records_that_a_router_cannot_send_anywhere_are_counted_and_passed(path: str):
    route = routed(path, "{{$.tags[0]}}/order/{{$.id}}")
    outcome = read(
        route,
        (b"k", b"\xff\xff"),
        (b"k", order(tags=["shop"])),
        (b"k", order(id="o-1", tags=["nowhere"])),
        (None, None),
        (b"k", order(id="o-2", tags=["shop"])),
    )

    assert [(target, id_) for target, id_, _ in outcome.delivered] == [("shop/order", "o-2")]
    assert outcome.skipped == {"not-routable": 2, "unknown-function": 1, "no-value": 1}
    assert outcome.positions == {"orders/0": 5}


def test_a_topic_partition_is_held_back_for_an_address_that_a_router_found(path: str):
    route = routed(path, "shop/order/{{$.id}}")
    records = ((b"k", order(id="o-1")),)

    assert read(route, *records, tight_for="k").paused == []
    assert read(route, *records, tight_for="o-1").paused == [TopicPartition("orders", 0)]
