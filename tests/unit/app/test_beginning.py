"""What is told of state that the module has no use for."""

import logging
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from statefun_runtime.app.start.requirements import require_ports, require_topics, tell_left_behind
from statefun_runtime.config.settings import Settings
from statefun_runtime.connectors.kafka.settings.values import TopicRoute
from statefun_runtime.connectors.kafka.specs import KafkaIngressSpec
from statefun_runtime.connectors.playground.specs import PlaygroundEgressSpec, PlaygroundIngressSpec
from statefun_runtime.core.checkpoints.manifest import Manifest
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.model.keys import state_key
from statefun_runtime.errors import ConfigError
from statefun_runtime.ports.module import ModuleSpec
from tests.fakes.state_store import DictStore


class Module:
    """Serves `t/served`, and has ingress `t/in`."""

    ingresses = (SimpleNamespace(id=TypeName("t", "in")),)

    def endpoint_for(self, function_type: TypeName) -> object | None:
        return self if function_type == TypeName("t", "served") else None


@pytest.fixture(autouse=True)
def _listen(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.WARNING):
        yield


def tell(manifest: Manifest | None, store: DictStore) -> None:
    start: Any = SimpleNamespace(manifest=manifest)
    states: Any = store
    module: Any = Module()
    tell_left_behind(start, module, states)


def manifest(**more: Any) -> Manifest:
    given: dict[str, Any] = {"positions": {}, "functions": ()} | more
    return Manifest(
        "app", 1, 1, "line", 0, 8, 8, given["positions"], (), (), functions=given["functions"]
    )


def test_functions_that_nobody_serves_any_more_are_told_with_the_number_of_their_addresses(
    caplog: pytest.LogCaptureFixture,
):
    store = DictStore()
    for name, count in (("served", 3), ("gone", 5), ("gone2", 2)):
        keys = [state_key(TypeName("t", name), str(n), key_group_count=8) for n in range(count)]
        store.write([(key, b"state") for key in keys])

    tell(manifest(functions=("t/gone", "t/served", "t/stateless")), store)
    assert caplog.messages == [
        "no endpoint of the module serves 't/gone' any more; the state of 5 addresses is kept for one that does"
    ]


def test_an_ingress_that_has_another_name_now_is_told_with_the_number_of_its_splits(
    caplog: pytest.LogCaptureFixture,
):
    positions = {"t/in": {"topic/0": 1}, "t/old": {"topic/0": 1, "topic/1": 2}, "t/never": {}}

    tell(manifest(positions=positions), DictStore())
    assert caplog.messages == [
        "ingress 't/old' is not in the module any more; its positions in 2 splits are kept, and no other ingress "
        "goes on at them"
    ]


def test_with_nothing_before_there_is_nothing_to_tell(caplog: pytest.LogCaptureFixture):
    tell(None, DictStore())
    assert caplog.messages == []


@pytest.mark.parametrize("role", ["ingress", "egress"])
def test_a_metrics_port_that_a_component_has_is_refused(role: str):
    spec = (
        PlaygroundIngressSpec(8090) if role == "ingress" else PlaygroundEgressSpec(8090, ("out",))
    )
    module = ModuleSpec((), (spec,), ()) if role == "ingress" else ModuleSpec((), (), (spec,))  # type: ignore[arg-type]

    with pytest.raises(ConfigError) as refused:
        require_ports(Settings(metrics_port=8090), module)

    assert str(refused.value) == (
        f"SF1086: --metrics-port 8090 is the port of {role} 'io.statefun.playground/{role}', too\n"
        "hint: give one of them another port; --metrics-port 0 takes any that is free"
    )
    for port in (8091, 0, None):
        require_ports(Settings(metrics_port=port), module)


def test_any_free_port_is_never_the_same_port():
    module = ModuleSpec((), (PlaygroundIngressSpec(0),), (PlaygroundEgressSpec(0, ("out",)),))

    require_ports(Settings(metrics_port=0), module)


def test_a_topic_to_restart_has_to_be_one_that_is_read():
    route = TopicRoute("orders", "t/order", (TypeName("t", "f"),))
    ingress = KafkaIngressSpec(TypeName("t", "in"), "kafka", "group", (route,))
    module = ModuleSpec((), (ingress, PlaygroundIngressSpec(0)), ())

    require_topics(Settings(restarted_topics=("orders", "orders=latest")), module)
    with pytest.raises(ConfigError) as refused:
        require_topics(Settings(restarted_topics=("order=latest",)), module)

    assert str(refused.value) == (
        "SF1085: --restart-topic names topic 'order', which no ingress of the module reads\n"
        "hint: it reads orders"
    )
