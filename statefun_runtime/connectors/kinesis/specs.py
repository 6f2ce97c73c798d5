"""What the runtime can have made of a declared Kinesis ingress or egress.

AWS's client is an extra that many applications do not have installed: it is imported where it is needed.
"""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from statefun_runtime.connectors.kinesis.settings.aws import describe_region
from statefun_runtime.connectors.kinesis.settings.names import why_no_stream
from statefun_runtime.connectors.kinesis.settings.values import (
    KinesisEgressSettings,
    KinesisIngressSettings,
)
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.model.dead_letter import KINESIS_RECORD, DeadLetter, keyed_record_for
from statefun_runtime.core.module.checks import Attempt, Check
from statefun_runtime.core.module.specs import DeadLetterRoute, Earliest, Latest
from statefun_runtime.errors import ConfigError

if TYPE_CHECKING:
    from statefun_runtime.connectors.kinesis.records import Record
    from statefun_runtime.ports.contexts import EgressBuildContext, IngressBuildContext
    from statefun_runtime.ports.egress import EgressSink
    from statefun_runtime.ports.ingress import IngressSource

_RESTARTS: dict[str, Earliest | Latest] = {"earliest": Earliest(), "latest": Latest()}


@dataclass(frozen=True, slots=True)
class KinesisIngressSpec(KinesisIngressSettings):
    """A declared Kinesis ingress."""

    @property
    def sources(self) -> tuple[str, ...]:
        """Return the streams that it reads."""
        return self.topics

    @property
    def topics(self) -> tuple[str, ...]:
        """Return the streams that it reads, which a person can name where Kafka's ingress has topics."""
        return tuple(route.stream for route in self.routes)

    def shadow(self) -> "KinesisIngressSpec":
        """Return it as it is: nothing in AWS knows who reads a shard, or how far."""
        return self

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
        return f"Kinesis {describe_region(self.region)}, streams {', '.join(self.topics)}"

    def checks(self) -> Iterator[tuple[str, Attempt]]:
        """Yield what can be tried of what it needs outside."""
        subject = f"ingress {self.id} at Kinesis"
        yield subject, partial(_check, subject, self, self.topics)

    def build(self, context: "IngressBuildContext") -> "IngressSource":
        """Return the ingress."""
        from statefun_runtime.connectors.kinesis.clients import AwsClients
        from statefun_runtime.connectors.kinesis.reader import KinesisIngress

        owner = f"ingress '{self.id}'"
        clients = AwsClients(self.region, self.credentials, self.client, owner=owner)
        restarts = {stream: _RESTARTS[where] for stream, where in context.restarts.items()}
        return KinesisIngress(
            self, context.ingress, context.restored, clients=clients, restarts=restarts
        )


@dataclass(frozen=True, slots=True)
class KinesisEgressSpec(KinesisEgressSettings):
    """A declared Kinesis egress."""

    def describe(self, host: str) -> str:
        """Return where its records go."""
        renamed = f", streams *{self.stream_suffix}" if self.stream_suffix else ""
        return f"Kinesis {describe_region(self.region)}, at-least-once{renamed}"

    def shadow(self, suffix: str) -> "KinesisEgressSpec":
        """Return it as it writes to streams of its own."""
        return replace(self, stream_suffix=suffix)

    def checks(self) -> Iterator[tuple[str, Attempt]]:
        """Yield what can be tried of what it needs outside."""
        subject = f"egress {self.id} at Kinesis"
        yield subject, partial(_check, subject, self, ())

    def letter(self, topic: str, letter: DeadLetter) -> tuple[str, bytes]:
        """Return the record that carries a dead letter to a stream: its type and its bytes; each has a key there."""
        return KINESIS_RECORD, keyed_record_for(topic, letter, key_if_none=b"-")

    def why_no_topic(self, topic: str) -> str | None:
        """Return why no stream can be called so."""
        return why_no_stream(topic)

    def letters(self, topic: str) -> AsyncIterator[bytes] | None:
        """They are read with other tools."""
        return None

    def build(self, context: "EgressBuildContext") -> "EgressSink[Record]":
        """Return the egress."""
        from statefun_runtime.connectors.kinesis.clients import AwsClients
        from statefun_runtime.connectors.kinesis.writer import KinesisEgress

        owner = f"egress '{self.id}'"
        return KinesisEgress(
            self,
            clients=AwsClients(self.region, self.credentials, self.client, owner=owner),
            past_epoch=context.first_epoch - 1,
            read=context.read_outbox,
            tell_refused=context.tell_refused,
        )


async def _check(
    subject: str, spec: KinesisIngressSettings | KinesisEgressSettings, streams: tuple[str, ...]
) -> Check:
    try:
        from statefun_runtime.connectors.kinesis.probe import check_streams
    except ConfigError as error:
        return Check(subject, False, error.message, error.hint)
    return await check_streams(subject, spec, streams)
