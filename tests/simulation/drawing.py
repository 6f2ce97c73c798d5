"""What a history is drawn from: the application that is run, and limits so small that they are met."""

from copy import copy
from random import Random
from typing import Any

from statefun_runtime.connectors.kafka.settings.values import DeliverySemantic, TopicRoute
from statefun_runtime.connectors.kafka.specs import KafkaEgressSpec, KafkaIngressSpec
from statefun_runtime.connectors.playground.specs import PlaygroundEgressSpec, PlaygroundIngressSpec
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.module.specs import (
    AsyncTransport,
    DeadLetterRoute,
    Earliest,
    EndpointSpec,
    FunctionPattern,
    Latest,
    OnFailure,
)
from statefun_runtime.core.partition.backpressure import Limits
from statefun_runtime.core.partition.spill import SpillLimits
from statefun_runtime.core.partition.timers import TIMER_LIMITS, TimerLimits
from statefun_runtime.engine.settings import EngineSettings, Pace
from statefun_runtime.ports.module import ModuleSpec
from tests.simulation.outages import Calls
from tests.simulation.traffic import INGRESS_PORT, WEB_PORT

# The budget of a call where what fails is given up: faults that are none of a message's must not use it up.
BURIED_CALL_S = 20.0

_OUTBOX = TypeName("sim", "out")


def make_module(*, has_http: bool, is_latest: bool, is_buried: bool, calls: Calls) -> ModuleSpec:
    """Return an application that reads Kafka, and with `has_http` HTTP, and tells three egresses."""
    route = TopicRoute("in", "sim/text", (TypeName("sim", "a"), TypeName("sim", "b")))
    ingresses: list[Any] = [
        KafkaIngressSpec(
            TypeName("sim", "in"),
            "kafka",
            "group",
            (route,),
            startup=Latest() if is_latest else Earliest(),
        )
    ]
    egresses: list[Any] = [
        KafkaEgressSpec(_OUTBOX, "kafka", DeliverySemantic.EXACTLY_ONCE, 1_500),
        KafkaEgressSpec(TypeName("sim", "alo"), "kafka", DeliverySemantic.AT_LEAST_ONCE),
        PlaygroundEgressSpec(WEB_PORT, ("web",), frozenset({"web"}), TypeName("sim", "web")),
    ]
    if has_http:
        ingresses.append(PlaygroundIngressSpec(INGRESS_PORT))
    on_failure = calls.on_failure or (OnFailure.DEAD_LETTER if is_buried else OnFailure.PARK)
    dead = DeadLetterRoute(_OUTBOX, "dead")
    endpoint = EndpointSpec(
        FunctionPattern("sim", None),
        "http://sim/{function.name}",
        transport=AsyncTransport(call_s=calls.call_s or (BURIED_CALL_S if is_buried else 2.0)),
        on_failure=on_failure,
        dead_letters=dead if on_failure is OnFailure.DEAD_LETTER else None,
    )
    return ModuleSpec((endpoint,), tuple(ingresses), tuple(egresses))


def draw_settings(rng: Random, *, checkpoints_kept: int) -> EngineSettings:
    """Return limits so small that what they guard happens within a few records."""
    slice_rows = rng.choice((2, 500))
    return EngineSettings(
        limits=Limits(
            waiting_bytes_max=rng.choice((1_500, 1_000_000)),
            spilled_bytes_max=1 << 40,
            unsaved_bytes_max=rng.choice((20_000, 1_000_000)),
            egress_bytes_max=1 << 26,
            busy_max=1024,
        ),
        key_group_count=4,
        checkpoint_interval_s=rng.choice((0.1, 0.3, 0.3, 1.0)),
        checkpoints_kept=checkpoints_kept,
        stop_timeout_s=2.0,
        batch_bytes_max=rng.choice((100, 400, 1_000_000)),
        overlay_bytes_max=rng.choice((3_000, 1_000_000)),
        spilling=SpillLimits(rng.choice((60, 150, 1_000_000)), rng.choice((60, 200))),
        # By a copy: what is drawn from here on is no other for it.
        timers=copy(rng).choice((TimerLimits(1, 1, 50), TimerLimits(2, 2, 1_000), TIMER_LIMITS)),
        pace=Pace(
            store_rows=slice_rows,
            delta_rows=slice_rows,
            deltas_max=rng.choice((3, 8)),
            collect_every=rng.choice((1, 3)),
        ),
    )
