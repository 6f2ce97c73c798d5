"""What a module declares, as values: endpoints, and what ingresses and egresses of several kinds have in common.

`config` and the connectors make these from module.yaml, whatever format the file was written in; what is declared of
one kind only is in the room of its connector. Durations are seconds unless the name says otherwise.
"""

from dataclasses import dataclass, field
from enum import Enum

from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.module.templates import TargetTemplate


@dataclass(frozen=True, slots=True)
class FunctionPattern:
    """The function types an endpoint serves: one type, or with `name` None a whole namespace."""

    namespace: str
    name: str | None

    def __str__(self) -> str:
        return f"{self.namespace}/{'*' if self.name is None else self.name}"


@dataclass(frozen=True, slots=True)
class TlsSpec:
    """PEM files for https endpoints; every field is a path."""

    trust_cacerts: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    client_key_password: str | None = None


@dataclass(frozen=True, slots=True)
class AsyncTransport:
    """`io.statefun.transports.v1/async`: every failure is retried until `call_s` has passed.

    `pool_size` is for all function types of the endpoint together.
    """

    call_s: float = 120.0
    connect_s: float = 20.0
    pool_ttl_s: float = 15.0
    pool_size: int = 256
    payload_max_bytes: int = 32 * 1024 * 1024
    tls: TlsSpec = field(default_factory=TlsSpec)


@dataclass(frozen=True, slots=True)
class OkHttpTransport:
    """`io.statefun.transports.v1/okhttp`: I/O errors and some statuses are retried until `call_s` has passed."""

    call_s: float = 60.0
    connect_s: float = 10.0
    read_s: float = 10.0
    write_s: float = 10.0
    pool_ttl_s: float = 60.0
    pool_size: int = 256
    proxy: str | None = field(default=None, repr=False)
    tls: TlsSpec = field(default_factory=TlsSpec)


Transport = AsyncTransport | OkHttpTransport


@dataclass(frozen=True, slots=True)
class HeaderSpec:
    """A header that requests carry: its value, or the path of the file that holds it. Values are secrets."""

    name: str
    value: str | None = field(default=None, repr=False)
    file: str | None = None


@dataclass(frozen=True, slots=True)
class SigV4Spec:
    """Requests are signed as AWS wants it, for a service in a region."""

    region: str
    service: str


class OnFailure(Enum):
    """What becomes of an invocation that its address cannot get past."""

    PARK = "park"
    DEAD_LETTER = "dead-letter"
    SKIP = "skip"
    FAIL = "fail"


class OnInvalidRecord(Enum):
    """What becomes of an ingress record that cannot be routed."""

    SKIP = "skip"
    FAIL = "fail"
    FORWARD = "forward"


@dataclass(frozen=True, slots=True)
class DeadLetterRoute:
    """Where dead letters go: an egress of the module, and a topic (a stream) of it."""

    egress: TypeName
    topic: str


@dataclass(frozen=True, slots=True)
class ProgramSpec:
    """Functions of Python that the worker runs itself: `module:name`, and in how many processes; 0 is in its own.

    Plain functions of a process run in so many `threads` beside each other; with 0 one after another.
    """

    name: str
    processes: int = 1
    threads: int = 0


@dataclass(frozen=True, slots=True)
class EndpointSpec:
    """Where the functions of a pattern are served, and how they are called.

    `batch_threshold` is maxNumBatchRequests: from so many waiting messages on an address counts as blocked;
    0 or less means never. `dead_letters` is there with OnFailure.DEAD_LETTER; with the others it may be, for
    what an operator skips. With a `program` nobody else serves them, and the URL is a name for people.
    """

    pattern: FunctionPattern
    url_template: str
    batch_threshold: int = 1000
    transport: Transport = field(default_factory=AsyncTransport)
    on_failure: OnFailure = OnFailure.PARK
    dead_letters: DeadLetterRoute | None = None
    headers: tuple[HeaderSpec, ...] = ()
    auth: SigV4Spec | None = None
    program: ProgramSpec | None = None


@dataclass(frozen=True, slots=True)
class Earliest:
    """Start at the beginning of every topic partition."""


@dataclass(frozen=True, slots=True)
class Latest:
    """Start behind what is there already."""


@dataclass(frozen=True, slots=True)
class Date:
    """Start at the first record whose timestamp is not before `timestamp_ms`; at the end if there is none."""

    timestamp_ms: int


@dataclass(frozen=True, slots=True)
class ProtobufRouter:
    """Sends each record to the one address that fields of its protobuf message make out.

    `descriptor_set` is the path of a file that protoc wrote, in which `message_type` is described.
    """

    target: TargetTemplate
    message_type: str
    descriptor_set: str


@dataclass(frozen=True, slots=True)
class InvalidRecords:
    """What an ingress does with a record that it cannot route; `dead_letters` is there with FORWARD."""

    outcome: OnInvalidRecord = OnInvalidRecord.SKIP
    dead_letters: DeadLetterRoute | None = None
