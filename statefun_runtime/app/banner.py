"""What a worker prints when it starts: what runs, and where."""

import logging
import sys
from collections.abc import Iterator
from contextlib import suppress

from statefun_runtime.adapters.admin.metrics_port import MetricsPort
from statefun_runtime.app.factories import Application
from statefun_runtime.app.shadow import shadow_of
from statefun_runtime.config.settings import Settings
from statefun_runtime.core.module.specs import EndpointSpec
from statefun_runtime.ports.module import ModuleSpec

log = logging.getLogger("statefun.worker")


def announce(application: Application, metrics: MetricsPort | None) -> None:
    """Say ingresses, functions, egresses, ports and the state folder."""
    port = metrics.port if metrics is not None else None
    _say(application.settings, application.module, port)


def announce_team(settings: Settings, module: ModuleSpec, metrics_port: int | None) -> None:
    """Say the same of several workers."""
    _say(settings, module, metrics_port)


def _say(settings: Settings, module: ModuleSpec, metrics_port: int | None) -> None:
    lines = list(_lines(settings, module, metrics_port))
    if settings.log_format == "json":
        for line in lines:
            log.info("%s", line.strip())
        return
    # A worker whose log nobody reads any more goes on.
    with suppress(BrokenPipeError):
        print("\n".join(lines), file=sys.stderr, flush=True)


def _lines(settings: Settings, module: ModuleSpec, metrics_port: int | None) -> Iterator[str]:
    shadow = shadow_of(settings)
    if shadow is not None:
        yield f"SHADOW: another worker or Flink does the work; {shadow}; functions are called here, too"
    yield f"statefun-worker runs {', '.join(settings.modules)}"
    for ingress in module.ingresses:
        yield f"  ingress   {ingress.id}  {ingress.describe(settings.host)}"
    for endpoint in module.endpoints:
        yield f"  functions {endpoint.pattern}  {endpoint.url_template}{_where(endpoint)}"
    for egress in module.egresses:
        yield f"  egress    {egress.id}  {egress.describe(settings.host)}"
    if metrics_port is not None:
        yield f"  metrics   http://{settings.host}:{metrics_port}/metrics"
    owned = f"{settings.partitions} partitions of {settings.key_group_count} key groups"
    if settings.workers > 1:
        owned += f", {settings.workers} workers"
    yield f"  state     {settings.state_dir}  ({owned})"


def _where(endpoint: EndpointSpec) -> str:
    """Return behind the name of embedded functions where they run; `statefun dev` reads it."""
    if endpoint.program is None:
        return ""
    count = endpoint.program.processes
    if not count:
        return " in this process"
    return f" in {count} processes" if count > 1 else " in a process of its own"
