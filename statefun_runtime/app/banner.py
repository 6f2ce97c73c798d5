"""What a worker prints when it starts: what runs, and where."""

import logging
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import assert_never

from statefun_runtime.adapters.admin.metrics_port import MetricsPort
from statefun_runtime.app.factories import Application
from statefun_runtime.config.settings import Settings
from statefun_runtime.core.aws import AwsRegion, CustomEndpoint, DefaultRegion, SpecificRegion
from statefun_runtime.core.module.specs import (
    EgressSpec,
    IngressSpec,
    KafkaEgressSpec,
    KafkaIngressSpec,
    KinesisEgressSpec,
    KinesisIngressSpec,
    OwnEgressSpec,
    OwnIngressSpec,
    PlaygroundEgressSpec,
    PlaygroundIngressSpec,
)

log = logging.getLogger("statefun.worker")


def announce(application: Application, metrics: MetricsPort | None) -> None:
    """Say ingresses, functions, egresses, ports and the state folder."""
    lines = list(_lines(application, metrics))
    if application.settings.log_format == "json":
        for line in lines:
            log.info("%s", line.strip())
        return
    # A worker whose log nobody reads any more goes on.
    with suppress(BrokenPipeError):
        print("\n".join(lines), file=sys.stderr, flush=True)


def _lines(application: Application, metrics: MetricsPort | None) -> Iterator[str]:
    settings, module = application.settings, application.module
    yield f"statefun-worker runs {', '.join(settings.modules)}"
    for ingress in module.ingresses:
        yield f"  ingress   {ingress.id}  {_ingress_place(ingress, settings)}"
    for endpoint in module.endpoints:
        yield f"  functions {endpoint.pattern}  {endpoint.url_template}"
    for egress in module.egresses:
        yield f"  egress    {egress.id}  {_egress_place(egress, settings)}"
    if metrics is not None:
        yield f"  metrics   http://{settings.host}:{metrics.port}/metrics"
    owned = f"{settings.partitions} partitions of {settings.key_group_count} key groups"
    yield f"  state     {settings.state_dir}  ({owned})"


def _ingress_place(spec: IngressSpec, settings: Settings) -> str:
    match spec:
        case OwnIngressSpec():
            return f"{spec.kind} of {spec.package}"
        case PlaygroundIngressSpec():
            return f"PUT http://{settings.host}:{spec.port}/namespace/name/id"
        case KafkaIngressSpec():
            topics = ", ".join(route.topic for route in spec.routes)
            return f"Kafka {spec.bootstrap_servers}, topics {topics}"
        case KinesisIngressSpec():
            streams = ", ".join(route.stream for route in spec.routes)
            return f"Kinesis {_aws_place(spec.region)}, streams {streams}"
        case _:
            assert_never(spec)


def _egress_place(spec: EgressSpec, settings: Settings) -> str:
    match spec:
        case OwnEgressSpec():
            return f"{spec.kind} of {spec.package}"
        case PlaygroundEgressSpec():
            urls = (f"http://{settings.host}:{spec.port}/{topic}" for topic in spec.topics)
            return " ".join(f"GET {url}" for url in urls)
        case KafkaEgressSpec():
            return f"Kafka {spec.bootstrap_servers}, {spec.delivery.value}"
        case KinesisEgressSpec():
            return f"Kinesis {_aws_place(spec.region)}, at-least-once"
        case _:
            assert_never(spec)


def _aws_place(region: AwsRegion) -> str:
    match region:
        case DefaultRegion():
            return "in the default region"
        case SpecificRegion():
            return region.id
        case CustomEndpoint():
            return f"{region.url}, {region.region_id}"
        case _:
            assert_never(region)
