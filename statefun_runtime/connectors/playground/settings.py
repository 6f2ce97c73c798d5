"""What `io.statefun.playground.v1/ingress` and `io.statefun.playground.v1/egress` declare: HTTP in and out."""

from dataclasses import dataclass

from statefun_runtime.core.model.address import TypeName

PLAYGROUND_INGRESS = TypeName("io.statefun.playground", "ingress")
PLAYGROUND_EGRESS = TypeName("io.statefun.playground", "egress")


@dataclass(frozen=True, slots=True)
class PlaygroundIngressSettings:
    """`PUT /namespace/name/id` on `port` (0: any free one)."""

    port: int = 0
    id: TypeName = PLAYGROUND_INGRESS


@dataclass(frozen=True, slots=True)
class PlaygroundEgressSettings:
    """Topics that are read over HTTP on `port`: destructively, but by cursor if they are in `cursor_topics`."""

    port: int
    topics: tuple[str, ...]
    cursor_topics: frozenset[str] = frozenset()
    id: TypeName = PLAYGROUND_EGRESS
