"""Declared Kafka ingresses and egresses that are at topics in memory, wherever their brokers are."""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from statefun_runtime.connectors.kafka.local.topics import LocalKafka
from statefun_runtime.connectors.kafka.specs import KafkaEgressSpec, KafkaIngressSpec
from statefun_runtime.core.module.checks import Attempt
from statefun_runtime.errors import ConfigError

if TYPE_CHECKING:
    from statefun_runtime.ports.contexts import EgressBuildContext, IngressBuildContext


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalIngressSpec(KafkaIngressSpec):
    """A Kafka ingress without its brokers."""

    kafka: LocalKafka = field(compare=False, repr=False)

    def describe(self, host: str) -> str:
        """Return where its records come from."""
        puts = [f"PUT http://{host}:{self.kafka.port}/{topic}/KEY" for topic in self.topics]
        return f"in memory, {' '.join(puts)}"

    def checks(self) -> Iterator[tuple[str, Attempt]]:
        """Nothing outside is needed."""
        return iter(())

    def build(self, context: "IngressBuildContext") -> Any:
        """Return the ingress."""
        from statefun_runtime.connectors.kafka.local.ends import LocalIngress

        if context.restored:
            raise _of_a_broker(
                f"ingress '{self.id}'", f"where {len(context.restored)} splits go on"
            )
        return LocalIngress(self, context.ingress, self.kafka, context.host)


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalEgressSpec(KafkaEgressSpec):
    """A Kafka egress without its brokers."""

    kafka: LocalKafka = field(compare=False, repr=False)

    def describe(self, host: str) -> str:
        """Return where its records go."""
        return f"in memory, GET http://{host}:{self.kafka.port}/TOPIC"

    def checks(self) -> Iterator[tuple[str, Attempt]]:
        """Nothing outside is needed."""
        return iter(())

    def build(self, context: "EgressBuildContext") -> Any:
        """Return the egress."""
        from statefun_runtime.connectors.kafka.local.ends import LocalEgress

        if context.progress is not None:
            raise _of_a_broker(f"egress '{self.id}'", "how far it has published")
        return LocalEgress(
            self.kafka, context.host, self.topic_suffix, first_epoch=context.first_epoch
        )


def _of_a_broker(subject: str, what: str) -> ConfigError:
    """Return the error of a state folder that has been with a broker: the next checkpoint would know nothing of it any more."""
    return ConfigError(
        f"{subject} is to be in memory, and the state folder knows of a real broker {what}, which would be lost",
        code="SF1163",
        hint="choose a folder for development with --state-dir, or start without --local-kafka",
    )


def locally(spec: Any, kafka: LocalKafka) -> Any:
    """Return a declared ingress or egress as it is without brokers; one that is not Kafka's is as it was."""
    kind: type[LocalIngressSpec | LocalEgressSpec]
    if isinstance(spec, KafkaIngressSpec):
        kind = LocalIngressSpec
    elif isinstance(spec, KafkaEgressSpec):
        kind = LocalEgressSpec
    else:
        return spec
    values = {each.name: getattr(spec, each.name) for each in fields(spec)}
    return kind(**values, kafka=kafka)
