"""Where an application's dead letters go: each egress takes them in its own form of record."""

from collections.abc import Iterator
from functools import partial

from statefun_runtime.core.model.dead_letter import (
    KAFKA_RECORD,
    KINESIS_RECORD,
    PLAYGROUND_RECORD,
    DeadLetter,
    record_for,
)
from statefun_runtime.core.module.specs import (
    DeadLetterRoute,
    EgressSpec,
    KafkaEgressSpec,
    KinesisEgressSpec,
    ModuleSpec,
    OwnEgressSpec,
    OwnIngressSpec,
    PlaygroundEgressSpec,
    PlaygroundIngressSpec,
)
from statefun_runtime.engine.dispatch.outcomes import Outcomes, Wrap
from statefun_runtime.errors import ConfigError


def wrap_letters(spec: EgressSpec) -> Wrap:
    """Return the form in which an egress takes letters."""
    return partial(_wrap, _record_type(spec))


def check_routes(module: ModuleSpec, outcomes: Outcomes) -> None:
    """Raise ConfigError for a route whose egress takes no letter."""
    for owner, route in dead_letter_routes(module):
        reason = outcomes.why_refused(route)
        if reason is not None:
            raise ConfigError(
                f"dead letters of {owner} cannot go to topic '{route.topic}' of egress '{route.egress}': {reason}",
                code="SF1054",
                hint="name a topic that the egress takes in 'deadLetters'",
            )


def dead_letter_routes(module: ModuleSpec) -> Iterator[tuple[str, DeadLetterRoute]]:
    """Yield who has declared where dead letters go, and where."""
    for endpoint in module.endpoints:
        if endpoint.dead_letters is not None:
            yield f"the functions {endpoint.pattern}", endpoint.dead_letters
    for ingress in module.ingresses:
        if isinstance(ingress, PlaygroundIngressSpec | OwnIngressSpec):
            continue
        if ingress.invalid_records.dead_letters:
            yield f"ingress '{ingress.id}'", ingress.invalid_records.dead_letters
    for egress in module.egresses:
        if isinstance(egress, PlaygroundEgressSpec | OwnEgressSpec):
            continue
        if egress.dead_letters is not None:
            yield f"egress '{egress.id}'", egress.dead_letters


def _record_type(spec: EgressSpec) -> str:
    match spec:
        case KafkaEgressSpec():
            return KAFKA_RECORD
        case KinesisEgressSpec():
            return KINESIS_RECORD
        case PlaygroundEgressSpec():
            return PLAYGROUND_RECORD
        case OwnEgressSpec():
            # The form that egresses of StateFun share; one that does not take it refuses the route at the start.
            return KAFKA_RECORD


def _wrap(record_type: str, topic: str, letter: DeadLetter) -> tuple[str, bytes]:
    return record_type, record_for(record_type, topic, letter)
