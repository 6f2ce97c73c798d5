"""What a move from Flink carries, what it does not, and what will be different: said before anything is stopped.

Flink's configuration and the module are looked at, and nothing else: neither the job nor a broker is asked.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from statefun_runtime.config.flink import ConfigEntry, ConfigFile
from statefun_runtime.config.options import find_option
from statefun_runtime.connectors.kafka.settings.values import DeliverySemantic
from statefun_runtime.connectors.kafka.specs import KafkaEgressSpec
from statefun_runtime.connectors.kinesis.specs import KinesisIngressSpec
from statefun_runtime.core.module.specs import EndpointSpec
from statefun_runtime.core.moving.sizing import Load, recommendations
from statefun_runtime.errors import ConfigError
from statefun_runtime.ports.module import EgressSpec, IngressSpec, ModuleSpec


class Verdict(Enum):
    """What a finding means for the move."""

    STOPS = "stands against it"
    DIFFERS = "differs"
    CARRIED = "carried"
    NOTHING = "means nothing here"
    SIZE = "how large, from the old load"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that was found, where, and what it means."""

    verdict: Verdict
    where: str
    what: str


_ON = ("true", "yes", "on")
_STOPS = {
    "state.backend.changelog.enabled": (
        _ON,
        "the changelog backend's files are not read: switch it off, and let the job take a checkpoint, before the savepoint",
    ),
    "execution.checkpointing.unaligned": (
        _ON,
        "network buffers are not read; StateFun refuses it, too",
    ),
    "execution.checkpointing.unaligned.enabled": (
        _ON,
        "network buffers are not read; StateFun refuses it, too",
    ),
    "statefun.message.serializer": (
        (
            "with_kryo_payloads",
            "with_custom_payloads",
            "with_raw_payloads",
            "with_protobuf_payloads_multilang",
        ),
        "messages that wait are written in a form that only Java reads: let the queues run empty before the savepoint, "
        "or leave them out",
    ),
    "statefun.embedded": (_ON, "functions in Java cannot run here: move them to an endpoint first"),
}
_DIFFERS = {
    "execution.checkpointing.mode": "checkpoints are exactly-once, whatever is written here",
    "execution.checkpointing.interval": "is how often a checkpoint is taken; 1s is the default here, and cheap",
    "restart-strategy": "a function that fails does not end the worker: `onFailure` of the endpoint says what becomes of a message",
    "high-availability": "one worker owns a state folder; what starts it again is systemd, Docker or Kubernetes",
    "parallelism.default": "is how many ranges of key groups one process owns; one process uses one core",
    "execution.checkpointing.snapshot-compression": "is read; with cramjam installed a hundred times faster",
    "metrics.reporters": "--metrics-port serves them for Prometheus, with StateFun's names",
}


def check_migration(config: ConfigFile, module: ModuleSpec) -> Iterator[Finding]:
    """Yield what there is to say about an application on Flink."""
    for error in config.errors:
        yield Finding(Verdict.STOPS, config.name, error.message)
    for entry in config.entries:
        yield _option(entry)
    for endpoint in module.endpoints:
        yield _endpoint(endpoint)
    for ingress in module.ingresses:
        yield _ingress(ingress)
    for egress in module.egresses:
        yield _egress(egress)


def size_findings(load: Load) -> Iterator[Finding]:
    """Yield how large a worker has to be for a load."""
    for what, recommended in recommendations(load):
        yield Finding(Verdict.SIZE, what, recommended)


def _option(entry: ConfigEntry) -> Finding:
    values, why = _STOPS.get(entry.key, ((), ""))
    if entry.text.strip().lower() in values:
        return Finding(Verdict.STOPS, entry.where, f"{entry.key}: {why}")
    known = next(
        (key for key in _DIFFERS if entry.key == key or entry.key.startswith(f"{key}.")), None
    )
    if known is not None:
        return Finding(Verdict.DIFFERS, entry.where, f"{entry.key}: {_DIFFERS[known]}")
    option = find_option(entry.key)
    if option is None:
        return Finding(Verdict.NOTHING, entry.where, f"{entry.key}: an option of Flink's own")
    if option.ignored is not None:
        return Finding(Verdict.NOTHING, entry.where, f"{entry.key}: {option.ignored}")
    try:
        option.parse(entry.text)
    except ConfigError as error:
        return Finding(Verdict.STOPS, entry.where, error.message)
    flag = f", as {option.flag}" if option.flag else ""
    return Finding(Verdict.CARRIED, entry.where, f"{entry.key}: {option.doc}{flag}")


def _endpoint(endpoint: EndpointSpec) -> Finding:
    what = "its functions are called as before; failures have outcomes of their own, see onFailure"
    return Finding(Verdict.CARRIED, f"endpoint {endpoint.pattern}", what)


def _ingress(ingress: IngressSpec) -> Finding:
    where = f"ingress {ingress.id}"
    if isinstance(ingress, KinesisIngressSpec):
        what = "how far its shards were read is not carried: it begins at its startupPosition, and --without is to say so"
        return Finding(Verdict.STOPS, where, what)
    return Finding(
        Verdict.CARRIED, where, "goes on behind the last record that the savepoint has read"
    )


def _egress(egress: EgressSpec) -> Finding:
    where = f"egress {egress.id}"
    if (
        not isinstance(egress, KafkaEgressSpec)
        or egress.delivery is not DeliverySemantic.EXACTLY_ONCE
    ):
        return Finding(Verdict.CARRIED, where, "nothing of it waits in Kafka")
    minutes = (egress.transaction_timeout_ms or 0) / 60_000
    what = (
        f"Flink leaves transactions open that hold output of the savepoint: they have to be committed within its "
        f"transactionTimeout, {minutes:g} min: `savepoint import --egress commit` does it"
    )
    return Finding(Verdict.DIFFERS, where, what)


def finding_lines(findings: list[Finding]) -> Iterator[str]:
    """Yield the findings, what stands against the move first."""
    for verdict in Verdict:
        some = [one for one in findings if one.verdict is verdict]
        if some:
            yield f"{verdict.value}:"
        for one in some:
            yield f"  {one.where}  {one.what}"
