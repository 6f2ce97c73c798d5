"""Kafka's client properties, written for the Java client: what each may be, and what becomes of it here.

One table for the consumer of an ingress and one for the producer of an egress. The reader reports by it, the clients
are told by it, and docs/reference/kafka-properties.md is printed from it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

_INT_MAX = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Number:
    """A whole number."""

    low: int = 0
    high: int = _INT_MAX

    def __str__(self) -> str:
        if self.high == _INT_MAX:
            return f"a whole number, at least {self.low}"
        return f"a whole number from {self.low} to {self.high}"

    def read(self, text: str) -> str | None:
        """Return a value in its usual spelling; None if it is none."""
        try:
            number = int(text)
        except ValueError:
            return None
        return str(number) if self.low <= number <= self.high else None


@dataclass(frozen=True, slots=True)
class Choice:
    """One of some words, whatever their case."""

    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"one of {', '.join(self.words)}"

    def read(self, text: str) -> str | None:
        """Return a value in its usual spelling; None if it is none."""
        return next((word for word in self.words if word.lower() == text.strip().lower()), None)


@dataclass(frozen=True, slots=True)
class Text:
    """Text of any kind; a secret one is never printed."""

    is_secret: bool = False

    def __str__(self) -> str:
        return "text"

    def read(self, text: str) -> str | None:
        """Return the text."""
        return text


Form = Number | Choice | Text


class Outcome(Enum):
    """What becomes of a property."""

    USED = "used"
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True)
class Property:
    """A property of one client.

    `note` says what it does here, or why it is ignored; a value among `expected` is how things are anyway, and
    nothing is said about it.
    """

    name: str
    outcome: Outcome
    form: Form
    note: str
    expected: tuple[str, ...] = ()


def _used(name: str, form: Form, note: str) -> Property:
    return Property(name, Outcome.USED, form, note)


def _ignored(name: str, note: str, *expected: str) -> Property:
    return Property(name, Outcome.IGNORED, Text(), note, expected)


_FLAG = Choice(("true", "false"))
_TEXT, _SECRET = Text(), Text(is_secret=True)
_NO_COUNTERPART = "the client has nothing like it"
_NO_CLASSES = "it names a Java class"
_NO_MEMBER = "positions belong to the state: the worker is no member of the group"
_OF_BUFFERS = "what waits is bounded by the worker, and kept with the state"

SECURITY: tuple[Property, ...] = (
    _used(
        "security.protocol",
        Choice(("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")),
        "how to connect; `PLAINTEXT` if it is not there",
    ),
    _used(
        "sasl.mechanism",
        _TEXT,
        "`PLAIN`, `SCRAM-SHA-256`, `SCRAM-SHA-512` or `OAUTHBEARER`; `GSSAPI` (Kerberos) is refused",
    ),
    _used(
        "sasl.jaas.config",
        _SECRET,
        "login module and its options: `PlainLoginModule`, `ScramLoginModule` or `OAuthBearerLoginModule`",
    ),
    _used(
        "sasl.oauthbearer.token.endpoint.url",
        _TEXT,
        "where tokens are fetched, with client credentials",
    ),
    _used("sasl.oauthbearer.client.credentials.client.id", _TEXT, "instead of `clientId`"),
    _used(
        "sasl.oauthbearer.client.credentials.client.secret", _SECRET, "instead of `clientSecret`"
    ),
    _used("sasl.oauthbearer.scope", _TEXT, "instead of `scope`"),
    _used(
        "ssl.truststore.type",
        _TEXT,
        "`PEM`, `PKCS12` or `JKS`; PKCS12 is also recognised where JKS is written",
    ),
    _used("ssl.truststore.location", _TEXT, "file with the authorities that are trusted"),
    _used("ssl.truststore.password", _SECRET, "its password"),
    _used("ssl.truststore.certificates", _TEXT, "the authorities themselves, as PEM"),
    _used("ssl.keystore.type", _TEXT, "`PEM`, `PKCS12` or `JKS`"),
    _used("ssl.keystore.location", _TEXT, "file with the key and certificate of this client"),
    _used("ssl.keystore.password", _SECRET, "its password"),
    _used("ssl.keystore.certificate.chain", _TEXT, "the certificate of this client, as PEM"),
    _used("ssl.keystore.key", _SECRET, "its key, as PEM (PKCS#8)"),
    _used("ssl.key.password", _SECRET, "the password of the key"),
    _used(
        "ssl.endpoint.identification.algorithm",
        Choice(("https", "")),
        "empty: the host name in the broker's certificate is not checked",
    ),
    _used("ssl.protocol", Choice(("TLS", "TLSv1.2", "TLSv1.3")), "the newest version of TLS"),
    _used("ssl.enabled.protocols", _TEXT, "versions of TLS, divided by commas"),
    _used(
        "ssl.cipher.suites", _TEXT, "for TLS 1.2; the suites of TLS 1.3 are all strong, and stay on"
    ),
    _ignored("ssl.provider", _NO_CLASSES),
    _ignored("ssl.engine.factory.class", _NO_CLASSES),
    _ignored("ssl.keymanager.algorithm", _NO_CLASSES),
    _ignored("ssl.trustmanager.algorithm", _NO_CLASSES),
    _ignored("ssl.secure.random.implementation", _NO_CLASSES),
    _ignored("security.providers", _NO_CLASSES),
    _ignored("sasl.client.callback.handler.class", _NO_CLASSES),
    _ignored(
        "sasl.login.callback.handler.class",
        _NO_CLASSES,
        "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginCallbackHandler",
        "org.apache.kafka.common.security.oauthbearer.secured.OAuthBearerLoginCallbackHandler",
    ),
    _ignored("sasl.login.class", _NO_CLASSES),
    _ignored("sasl.kerberos.service.name", "there is no Kerberos here"),
    _ignored("sasl.login.connect.timeout.ms", "a token is waited for 10 seconds"),
    _ignored("sasl.login.read.timeout.ms", "a token is waited for 10 seconds"),
    _ignored("sasl.login.retry.backoff.ms", "a login is tried again as a connection is"),
    _ignored("sasl.login.retry.backoff.max.ms", "a login is tried again as a connection is"),
    _ignored("sasl.login.refresh.window.factor", "a token is renewed after 80 % of its time"),
    _ignored("sasl.login.refresh.window.jitter", "a token is renewed after 80 % of its time"),
    _ignored("sasl.login.refresh.min.period.seconds", "a token is renewed after 80 % of its time"),
    _ignored("sasl.login.refresh.buffer.seconds", "a token is renewed after 80 % of its time"),
    _ignored("sasl.username", "librdkafka has it; write 'sasl.jaas.config'"),
    _ignored("sasl.password", "librdkafka has it; write 'sasl.jaas.config'"),
    _ignored("ssl.ca.location", "librdkafka has it; write 'ssl.truststore.location'"),
)

COMMON: tuple[Property, ...] = (
    _ignored("bootstrap.servers", "the field 'address' decides it"),
    _used("client.id", _TEXT, "how the broker calls this client in its logs and quotas"),
    _used("request.timeout.ms", Number(1), "how long an answer is waited for; 40 s"),
    _used(
        "metadata.max.age.ms",
        Number(1),
        "how often new topic partitions and new brokers are looked for; 5 min",
    ),
    _used("retry.backoff.ms", Number(0), "pause before a request is sent again; 100 ms"),
    _used("connections.max.idle.ms", Number(0), "when a connection that idles is closed; 9 min"),
    *SECURITY,
    _ignored("retry.backoff.max.ms", "every pause is as long as 'retry.backoff.ms' says"),
    _ignored("reconnect.backoff.ms", "a broker that is away is tried every half second or second"),
    _ignored(
        "reconnect.backoff.max.ms", "a broker that is away is tried every half second or second"
    ),
    _ignored("socket.connection.setup.timeout.ms", "'request.timeout.ms' is the limit"),
    _ignored("socket.connection.setup.timeout.max.ms", "'request.timeout.ms' is the limit"),
    _ignored("send.buffer.bytes", _NO_COUNTERPART),
    _ignored("receive.buffer.bytes", _NO_COUNTERPART),
    _ignored("client.dns.lookup", _NO_COUNTERPART, "use_all_dns_ips"),
    _ignored("metadata.recovery.strategy", _NO_COUNTERPART),
    _ignored("metadata.recovery.rebootstrap.trigger.ms", _NO_COUNTERPART),
    _ignored("interceptor.classes", _NO_CLASSES),
    _ignored("metric.reporters", _NO_CLASSES),
    _ignored("metrics.num.metrics", "the worker has its own metrics"),
    _ignored("metrics.recording.level", "the worker has its own metrics"),
    _ignored("metrics.metric.window.ms", "the worker has its own metrics"),
    _ignored("auto.include.jmx.reporter", "the worker has its own metrics"),
    _ignored("enable.metrics.push", "the worker has its own metrics", "false"),
)

_CONSUMER: tuple[Property, ...] = (
    *COMMON,
    _used("fetch.min.bytes", Number(0), "the broker waits for so many bytes; 1"),
    _used("fetch.max.bytes", Number(0), "at most so many bytes an answer; 50 MiB"),
    _used("fetch.max.wait.ms", Number(0), "but no longer than this; 500 ms"),
    _used("max.partition.fetch.bytes", Number(0), "at most so many bytes a topic partition; 1 MiB"),
    _used("max.poll.records", Number(1), "at most so many records are routed at a time; 1000"),
    _used(
        "isolation.level",
        Choice(("read_uncommitted", "read_committed")),
        "`read_committed`: records of transactions that were aborted are not read; else they are, as with Kafka",
    ),
    _used("check.crcs", _FLAG, "whether checksums are checked; true"),
    _used("client.rack", _TEXT, "reads from replicas in the same rack"),
    _used(
        "flink.partition-discovery.interval-millis",
        Number(1),
        "how often new topic partitions are looked for, instead of `metadata.max.age.ms`",
    ),
    _ignored("group.id", "the field 'consumerGroupId' decides it"),
    _ignored("auto.offset.reset", "the field 'autoOffsetResetPosition' decides it"),
    _ignored(
        "enable.auto.commit",
        "positions are kept with the state, not committed by a timer",
        "false",
    ),
    _ignored("auto.commit.interval.ms", "the group is told after checkpoints"),
    _ignored(
        "key.deserializer",
        "keys are read as UTF-8 text",
    ),
    _ignored("value.deserializer", "values are passed on as bytes"),
    _ignored("allow.auto.create.topics", "an ingress never makes a topic", "false"),
    _ignored("group.instance.id", _NO_MEMBER),
    _ignored("group.protocol", _NO_MEMBER),
    _ignored("group.remote.assignor", _NO_MEMBER),
    _ignored("session.timeout.ms", _NO_MEMBER),
    _ignored("heartbeat.interval.ms", _NO_MEMBER),
    _ignored("max.poll.interval.ms", _NO_MEMBER),
    _ignored("partition.assignment.strategy", _NO_MEMBER),
    _ignored("exclude.internal.topics", "only the topics of the module are read"),
    _ignored("default.api.timeout.ms", "what cannot be had is tried again until it can"),
)

_PRODUCER: tuple[Property, ...] = (
    *COMMON,
    _used(
        "acks",
        Choice(("all", "-1", "0", "1")),
        "only with `none`, whose own choice is 0; the other semantics need `all`",
    ),
    _used("enable.idempotence", _FLAG, "only with `none`; the other semantics need it"),
    _used(
        "compression.type",
        Choice(("none", "gzip", "snappy", "lz4", "zstd")),
        "all but `none` and `gzip` need the extra `kafka-compression`",
    ),
    _used("linger.ms", Number(0), "how long a batch waits for more records; 0"),
    _used("batch.size", Number(1), "at most so many bytes a batch; 512 KiB"),
    _used(
        "max.request.size",
        Number(1024),
        "a larger record is refused, and fails its reply; 1 MiB",
    ),
    _ignored("transactional.id", "the worker names its transactions itself"),
    _ignored("transaction.timeout.ms", "'deliverySemantic' decides it"),
    _ignored("key.serializer", "keys are written as UTF-8 text"),
    _ignored("value.serializer", "values are written as bytes"),
    _ignored("retries", "what is not acknowledged is sent until it is"),
    _ignored("delivery.timeout.ms", "what is not acknowledged is sent until it is"),
    _ignored("max.in.flight.requests.per.connection", "one request a topic partition is under way"),
    _ignored("max.block.ms", _OF_BUFFERS),
    _ignored("buffer.memory", _OF_BUFFERS),
    _ignored(
        "partitioner.class", "records with a key go where the Java client's own would send them"
    ),
    _ignored(
        "partitioner.ignore.keys",
        "records with a key go where the Java client's own would send them",
        "false",
    ),
    _ignored("partitioner.adaptive.partitioning.enable", "records without a key take turns"),
    _ignored("partitioner.availability.timeout.ms", "records without a key take turns"),
    _ignored("compression.gzip.level", _NO_COUNTERPART),
    _ignored("compression.lz4.level", _NO_COUNTERPART),
    _ignored("compression.zstd.level", _NO_COUNTERPART),
    _ignored("metadata.max.idle.ms", _NO_COUNTERPART),
)

Table = Mapping[str, Property]
CONSUMER: Table = {each.name: each for each in _CONSUMER}
PRODUCER: Table = {each.name: each for each in _PRODUCER}
