"""What the runtime can have made of a declared Kafka ingress or egress.

The Kafka client takes long to import, and many applications need none: it is imported where it is needed.
"""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from statefun_runtime.connectors.kafka.settings.names import why_no_topic
from statefun_runtime.connectors.kafka.settings.values import (
    DeliverySemantic,
    KafkaEgressSettings,
    KafkaIngressSettings,
    OffsetReset,
)
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.model.dead_letter import KAFKA_RECORD, DeadLetter, keyed_record_for
from statefun_runtime.core.module.checks import Attempt, Check
from statefun_runtime.core.module.specs import DeadLetterRoute

if TYPE_CHECKING:
    from statefun_runtime.connectors.kafka.egress.records import Record
    from statefun_runtime.ports.contexts import EgressBuildContext, IngressBuildContext
    from statefun_runtime.ports.egress import EgressSink
    from statefun_runtime.ports.ingress import IngressSource


@dataclass(frozen=True, slots=True)
class KafkaIngressSpec(KafkaIngressSettings):
    """A declared Kafka ingress."""

    @property
    def sources(self) -> tuple[str, ...]:
        """Return the same: what it reads."""
        return self.topics

    @property
    def is_shared(self) -> bool:
        """Each worker reads topic partitions of its own."""
        return True

    def shadow(self) -> "KafkaIngressSpec":
        """Return it with a consumer group of its own, in which nobody's offsets are."""
        return replace(self, group_id=f"{self.group_id}-shadow")

    @property
    def dead_letters(self) -> DeadLetterRoute | None:
        """Return where records go that cannot be routed."""
        return self.invalid_records.dead_letters

    @property
    def targets(self) -> tuple[TypeName, ...]:
        """Return the function types that records go to."""
        return tuple(target for route in self.routes for target in route.targets)

    def describe(self, host: str) -> str:
        """Return where its records come from."""
        return f"Kafka {self.bootstrap_servers}, topics {', '.join(self.topics)}"

    def checks(self) -> Iterator[tuple[str, Attempt]]:
        """Yield what can be tried of what it needs outside."""
        subject = f"ingress {self.id} at {self.bootstrap_servers}"
        yield subject, partial(_check, subject, self, self.topics)

    def build(self, context: "IngressBuildContext") -> "IngressSource":
        """Return the ingress."""
        from statefun_runtime.connectors.kafka.ingress.reader import KafkaIngress

        restarts = {topic: OffsetReset(where) for topic, where in context.restarts.items()}
        return KafkaIngress(
            self, context.ingress, context.restored, restarts=restarts, reads=context.reads
        )


@dataclass(frozen=True, slots=True)
class KafkaEgressSpec(KafkaEgressSettings):
    """A declared Kafka egress."""

    def describe(self, host: str) -> str:
        """Return where its records go."""
        renamed = f", topics *{self.topic_suffix}" if self.topic_suffix else ""
        return f"Kafka {self.bootstrap_servers}, {self.delivery.value}{renamed}"

    def shadow(self, suffix: str) -> "KafkaEgressSpec":
        """Return it as it writes to topics of its own."""
        return replace(self, topic_suffix=suffix)

    def checks(self) -> Iterator[tuple[str, Attempt]]:
        """Yield what can be tried of what it needs outside."""
        subject = f"egress {self.id} at {self.bootstrap_servers}"
        yield subject, partial(_check, subject, self, ())

    def letter(self, topic: str, letter: DeadLetter) -> tuple[str, bytes]:
        """Return the record that carries a dead letter to a topic: its type and its bytes."""
        return KAFKA_RECORD, keyed_record_for(topic, letter)

    def why_no_topic(self, topic: str) -> str | None:
        """Return why no topic can be called so."""
        return why_no_topic(topic)

    def letters(self, topic: str) -> AsyncIterator[bytes] | None:
        """Return the letters that lie in a topic now."""
        from statefun_runtime.connectors.kafka.dead_letters import read_topic

        return read_topic(self, topic)

    def build(self, context: "EgressBuildContext") -> "EgressSink[Record]":
        """Return the egress of the semantic that it has."""
        if self.delivery is DeliverySemantic.EXACTLY_ONCE:
            from statefun_runtime.connectors.kafka.egress.publisher import KafkaPublisher

            return KafkaPublisher(
                self,
                context.started,
                context.history,
                owner=context.owner,
                read=context.read_outbox,
                tell_refused=context.tell_refused,
                known=context.progress,
                may_republish=context.may_republish,
            )
        from statefun_runtime.connectors.kafka.egress.writer import KafkaEgress

        return KafkaEgress(self, tell_refused=context.tell_refused)


async def _check(
    subject: str, spec: KafkaIngressSettings | KafkaEgressSettings, topics: tuple[str, ...]
) -> Check:
    from statefun_runtime.connectors.kafka.probe import check_cluster

    return await check_cluster(subject, spec, topics)
