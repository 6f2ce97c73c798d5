"""Tries everything outside that a module needs: endpoints, their certificates, clusters and topics."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from statefun_runtime.adapters.http.certificates import pem_validities
from statefun_runtime.adapters.http.probe import Destination, Reached, reach, why_not
from statefun_runtime.adapters.http.tls import client_context
from statefun_runtime.config.module.reports import Check
from statefun_runtime.core.module.endpoint_url import EndpointUrl
from statefun_runtime.core.module.specs import (
    EndpointSpec,
    KafkaEgressSpec,
    KafkaIngressSpec,
    KinesisEgressSpec,
    KinesisIngressSpec,
    ModuleSpec,
    TlsSpec,
)
from statefun_runtime.errors import ConfigError

_NAME = "{function.name}"
_ENDS_SOON = timedelta(days=14)

Attempt = Callable[[], Awaitable[Check]]


async def check_connections(module: ModuleSpec, *, timeout_s: float) -> list[Check]:
    """Return a check for each component that needs something outside, none of which takes longer than the timeout."""
    subjects = list(_attempts(module))
    checks: list[Check | None] = [None] * len(subjects)

    async def run(index: int, subject: str, attempt: Attempt) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                checks[index] = await attempt()
        except TimeoutError:
            checks[index] = Check(subject, False, f"no answer within {timeout_s:g}s")

    async with asyncio.TaskGroup() as tasks:
        for index, (subject, attempt) in enumerate(subjects):
            tasks.create_task(run(index, subject, attempt))
    return [check for check in checks if check is not None]


def _attempts(module: ModuleSpec) -> Iterator[tuple[str, Attempt]]:
    for endpoint in module.endpoints:
        yield from _endpoint_attempts(endpoint, module)
    for ingress in module.ingresses:
        if isinstance(ingress, KafkaIngressSpec):
            subject = f"ingress {ingress.id} at {ingress.bootstrap_servers}"
            yield subject, _kafka_attempt(subject, ingress)
        if isinstance(ingress, KinesisIngressSpec):
            subject = f"ingress {ingress.id} at Kinesis"
            yield subject, _kinesis_attempt(subject, ingress)
    for egress in module.egresses:
        if isinstance(egress, KafkaEgressSpec):
            subject = f"egress {egress.id} at {egress.bootstrap_servers}"
            yield subject, _kafka_attempt(subject, egress)
        if isinstance(egress, KinesisEgressSpec):
            subject = f"egress {egress.id} at Kinesis"
            yield subject, _kinesis_attempt(subject, egress)


def _endpoint_attempts(endpoint: EndpointSpec, module: ModuleSpec) -> Iterator[tuple[str, Attempt]]:
    tls = endpoint.transport.tls
    for field, location in (
        ("trust_cacerts", tls.trust_cacerts),
        ("client_cert", tls.client_cert),
    ):
        if location is not None:
            subject = f"{field} {location} of endpoint {endpoint.pattern}"
            yield subject, _certificate_attempt(subject, location)
    if tls.client_key is not None and tls.client_cert is not None:
        subject = f"client_key {tls.client_key} of endpoint {endpoint.pattern}"
        yield subject, _key_attempt(subject, tls)
    urls = _urls(endpoint, module)
    if not urls:
        subject = f"endpoint {endpoint.pattern} at {endpoint.url_template}"
        yield subject, _untried(subject, "its host is that of a function, and no ingress names one")
    for url in urls:
        subject = f"endpoint {endpoint.pattern} at {url}"
        yield subject, _endpoint_attempt(subject, url, tls)


def _urls(endpoint: EndpointSpec, module: ModuleSpec) -> list[str]:
    """Return the URL of an endpoint, or one for each known function if the host depends on the function."""
    template = endpoint.url_template
    if _NAME not in urlsplit(template).netloc:
        return [template]
    if endpoint.pattern.name is not None:
        return [template.replace(_NAME, endpoint.pattern.name)]
    names = {
        target.name
        for ingress in module.ingresses
        if isinstance(ingress, KafkaIngressSpec | KinesisIngressSpec)
        for route in ingress.routes
        for target in route.targets
        if module.endpoint_for(target) is endpoint
    }
    return [template.replace(_NAME, name) for name in sorted(names)]


def _destination(url: str) -> Destination:
    parsed = EndpointUrl.parse(url)
    return Destination(parsed.host, parsed.port, parsed.socket)


def _endpoint_attempt(subject: str, url: str, tls: TlsSpec) -> Attempt:
    async def attempt() -> Check:
        try:
            context = client_context(tls) if url.startswith("https:") else None
            reached = await reach(_destination(url), context)
        except ConfigError as error:
            return Check(subject, False, error.message, error.hint)
        except TimeoutError:
            raise
        except OSError as error:
            return Check(
                subject, False, why_not(error), "start it, or mend its URL or certificates"
            )
        return Check(subject, True, _told(reached))

    return attempt


def _untried(subject: str, why: str) -> Attempt:
    async def attempt() -> Check:
        return Check(subject, True, f"not tried: {why}")

    return attempt


def _key_attempt(subject: str, tls: TlsSpec) -> Attempt:
    async def attempt() -> Check:
        try:
            client_context(tls)
        except ConfigError as error:
            return Check(subject, False, error.message, error.hint)
        return Check(subject, True, "fits the certificate")

    return attempt


def _told(reached: Reached) -> str:
    text = f"connected in {reached.seconds * 1000:.0f} ms"
    if reached.certificate_end is None:
        return text
    return f"{text}, its certificate ends on {reached.certificate_end:%Y-%m-%d}"


def _certificate_attempt(subject: str, location: str) -> Attempt:
    async def attempt() -> Check:
        now = datetime.now(UTC)
        try:
            validities = pem_validities(await asyncio.to_thread(Path(location).read_text))
        except OSError as error:
            reason = (error.strerror or "").lower()
            return Check(subject, False, f"cannot be read: {reason}", "mount it, or mend the path")
        except ValueError:
            return Check(subject, False, "holds no readable certificate", "it must be PEM")
        if not validities:
            return Check(subject, False, "holds no certificate", "it must be PEM")
        end = min(each.end for each in validities)
        if end <= now:
            return Check(subject, False, f"has ended on {end:%Y-%m-%d}", "renew it")
        begin = max(each.begin for each in validities)
        if begin > now:
            return Check(subject, False, f"only begins on {begin:%Y-%m-%d}", "look at the clocks")
        soon = ", which is soon" if end - now < _ENDS_SOON else ""
        count = len(validities)
        many = "" if count == 1 else f"{count} certificates, the first "
        return Check(subject, True, f"{many}ends on {end:%Y-%m-%d}{soon}")

    return attempt


def _kafka_attempt(subject: str, spec: KafkaIngressSpec | KafkaEgressSpec) -> Attempt:
    async def attempt() -> Check:
        # The Kafka client takes long to import, and many applications need none.
        from statefun_runtime.connectors.kafka.probe import ClusterAway, ask_cluster

        wanted = tuple(r.topic for r in spec.routes) if isinstance(spec, KafkaIngressSpec) else ()
        try:
            cluster = await ask_cluster(spec, wanted)
        except ConfigError as error:
            return Check(subject, False, error.message, error.hint)
        except ClusterAway as error:
            return Check(subject, False, str(error), "start it, or mend 'address' and 'properties'")
        parts = [_counted(cluster.brokers, "broker")]
        parts += [f"{t} has {_counted(n, 'partition')}" for t, n in cluster.partitions.items()]
        if cluster.missing:
            found = "; ".join(
                [*parts, *(f"topic {topic} does not exist" for topic in cluster.missing)]
            )
            return Check(subject, False, found, "create it; the worker would wait for it")
        return Check(subject, True, "; ".join(parts))

    return attempt


def _kinesis_attempt(subject: str, spec: KinesisIngressSpec | KinesisEgressSpec) -> Attempt:
    async def attempt() -> Check:
        wanted = (
            tuple(r.stream for r in spec.routes) if isinstance(spec, KinesisIngressSpec) else ()
        )
        try:
            # AWS's client is an extra that many applications do not have installed.
            from statefun_runtime.connectors.kinesis.clients import AwsClients
            from statefun_runtime.connectors.kinesis.probe import KinesisAway, ask_streams
        except ConfigError as error:
            return Check(subject, False, error.message, error.hint)
        try:
            clients = AwsClients(spec.region, spec.credentials, spec.client, owner=subject)
            streams = await ask_streams(clients, wanted)
        except ConfigError as error:
            return Check(subject, False, error.message, error.hint)
        except KinesisAway as error:
            hint = "mend 'awsRegion' and 'awsCredentials', or what they may do"
            return Check(subject, False, str(error), hint)
        parts = [f"{s} has {_counted(n, 'open shard')}" for s, n in streams.shards.items()]
        if streams.missing:
            missing = [f"stream {stream} does not exist" for stream in streams.missing]
            found = "; ".join([*parts, *missing])
            return Check(subject, False, found, "create it; the worker would wait for it")
        return Check(subject, True, "; ".join(parts) or "answers")

    return attempt


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
