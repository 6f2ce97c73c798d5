"""What a worker prints when it starts: what runs, and where."""

import logging
import sys
from collections.abc import Iterator
from contextlib import suppress

from statefun_runtime.adapters.admin.metrics_port import MetricsPort
from statefun_runtime.app.factories import Application
from statefun_runtime.app.shadow import shadow_of
from statefun_runtime.core.module.specs import EndpointSpec

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
    if metrics is not None:
        yield f"  metrics   http://{settings.host}:{metrics.port}/metrics"
    owned = f"{settings.partitions} partitions of {settings.key_group_count} key groups"
    yield f"  state     {settings.state_dir}  ({owned})"


def _where(endpoint: EndpointSpec) -> str:
    """Return behind the name of embedded functions where they run; `statefun dev` reads it."""
    if endpoint.program is None:
        return ""
    count = endpoint.program.processes
    if not count:
        return " in this process"
    return f" in {count} processes" if count > 1 else " in a process of its own"
