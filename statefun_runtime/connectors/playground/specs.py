"""What the runtime can have made of a declared playground ingress or egress."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from statefun_runtime.config.reading.fields import Fields, Shape
from statefun_runtime.connectors.playground.settings import (
    PLAYGROUND_EGRESS,
    PLAYGROUND_INGRESS,
    PlaygroundEgressSettings,
    PlaygroundIngressSettings,
)
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.model.dead_letter import PLAYGROUND_RECORD, DeadLetter, text_record_for
from statefun_runtime.core.module.checks import Attempt
from statefun_runtime.core.module.specs import DeadLetterRoute

if TYPE_CHECKING:
    from statefun_runtime.adapters.http.server import ServerFactory
    from statefun_runtime.connectors.playground.writer import PlaygroundEgress
    from statefun_runtime.ports.contexts import EgressBuildContext, IngressBuildContext
    from statefun_runtime.ports.ingress import IngressSource

_INGRESS_BODY_BYTES_MAX = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class PlaygroundIngressSpec(PlaygroundIngressSettings):
    """A declared ingress over HTTP."""

    @property
    def own_port(self) -> int:
        """The port that others come to."""
        return self.port

    @property
    def sources(self) -> tuple[str, ...]:
        """It reads what others put."""
        return ()

    def shadow(self) -> "PlaygroundIngressSpec":
        """Return it as it is: its log is in the state folder, and its port this worker's."""
        return self

    @property
    def dead_letters(self) -> DeadLetterRoute | None:
        """What cannot be routed is refused at once."""
        return None

    @property
    def targets(self) -> tuple[TypeName, ...]:
        """Whoever sends decides."""
        return ()

    def describe(self, host: str) -> str:
        """Return where records are put."""
        return f"PUT http://{host}:{self.port}/namespace/name/id"

    def checks(self) -> Iterator[tuple[str, Attempt]]:
        """Nothing outside is needed."""
        return iter(())

    def build(self, context: "IngressBuildContext") -> "IngressSource":
        """Return the ingress."""
        from statefun_runtime.adapters.http.server import HttpServer
        from statefun_runtime.connectors.playground.ingress_log import IngressLog
        from statefun_runtime.connectors.playground.reader import PlaygroundIngress

        return PlaygroundIngress(
            self,
            context.ingress,
            IngressLog(context.folder),
            context.off_loop,
            # The log of another application is in another folder.
            context.restored if context.is_ours else {},
            host=context.host,
            body_bytes_max=_INGRESS_BODY_BYTES_MAX,
            make_server=partial(HttpServer, connections_max=context.connections_max),
        )


@dataclass(frozen=True, slots=True)
class PlaygroundEgressSpec(PlaygroundEgressSettings):
    """A declared egress over HTTP."""

    def shadow(self, suffix: str) -> "PlaygroundEgressSpec":
        """Return it as it is: its topics are in the state folder, and its port is this worker's."""
        return self

    @property
    def own_port(self) -> int:
        """The port that others come to."""
        return self.port

    @property
    def dead_letters(self) -> DeadLetterRoute | None:
        """Nobody refuses its records."""
        return None

    def describe(self, host: str) -> str:
        """Return where records are read."""
        return " ".join(f"GET http://{host}:{self.port}/{topic}" for topic in self.topics)

    def checks(self) -> Iterator[tuple[str, Attempt]]:
        """Nothing outside is needed."""
        return iter(())

    def letter(self, topic: str, letter: DeadLetter) -> tuple[str, bytes]:
        """Return the record that carries a dead letter to a topic: its type and its bytes."""
        return PLAYGROUND_RECORD, text_record_for(topic, letter)

    def why_no_topic(self, topic: str) -> str | None:
        """Return why letters cannot go there: a topic is declared."""
        if topic in self.topics:
            return None
        return f"topic '{topic}' is not declared (declared: {', '.join(self.topics)})"

    def letters(self, topic: str) -> AsyncIterator[bytes] | None:
        """They are read with other tools."""
        return None

    def build(self, context: "EgressBuildContext") -> "PlaygroundEgress":
        """Return the egress."""
        from statefun_runtime.adapters.http.server import HttpServer

        return self.build_at(context, partial(HttpServer, connections_max=context.connections_max))

    def build_at(
        self, context: "EgressBuildContext", make_server: "ServerFactory", **limits: int
    ) -> "PlaygroundEgress":
        """Return the egress at a port that `make_server` makes."""
        from statefun_runtime.connectors.playground.writer import PlaygroundEgress

        started = context.started
        return PlaygroundEgress(
            self,
            context.rows,
            host=context.host,
            origin=f"{started.application[:8]}-{started.lineage[:8]}",
            complete_epoch=started.from_epoch,
            saved=context.saved,
            make_server=make_server,
            **limits,
        )


INGRESS_SHAPE = Shape(
    "playground ingress", ("port",), advice={"id": f"it is always {PLAYGROUND_INGRESS}"}
)
EGRESS_SHAPE = Shape(
    "playground egress",
    ("port", "topics", "cursorTopics"),
    advice={"id": f"it is always {PLAYGROUND_EGRESS}"},
)
_PORT_MAX = 65_535


def read_playground_ingress(fields: Fields) -> PlaygroundIngressSpec:
    fields.draft.define("ingress id", str(PLAYGROUND_INGRESS), fields.place)
    return PlaygroundIngressSpec(_read_port(fields) or 0)


def read_playground_egress(fields: Fields) -> PlaygroundEgressSpec | None:
    fields.draft.define("egress id", str(PLAYGROUND_EGRESS), fields.place)
    is_there = fields.find("port", required=True) is not None
    port = _read_port(fields) if is_there else None
    topics = fields.texts("topics")
    by_cursor = tuple(scalar.text for scalar in fields.texts("cursorTopics", required=False) or ())
    if port is None or topics is None:
        return None
    names = dict.fromkeys((*(scalar.text for scalar in topics), *by_cursor))
    return PlaygroundEgressSpec(port, tuple(names), frozenset(by_cursor))


def _read_port(fields: Fields) -> int | None:
    """Read a port; two components cannot listen on one, but for 0, which is any free one."""
    port = fields.integer("port", low=0, high=_PORT_MAX)
    if port:
        fields.draft.define("port", str(port), fields.value_place("port"))
    return port
