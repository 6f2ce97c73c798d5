"""A shadow: an application that reads what its original reads, beside it, and never writes where that one writes.

ingress   its own consumer group             state     its own folder, marked as a shadow's by the name of the application
egress    counted only, or renamed topics    requests  carry a header by which a function can tell
"""

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from statefun_runtime.config.settings import Settings
from statefun_runtime.connectors.counting import CountedEgressSpec
from statefun_runtime.core.checkpoints.commits import History, Started
from statefun_runtime.core.model.metrics import Metric, MetricKind
from statefun_runtime.core.module.specs import EndpointSpec, HeaderSpec
from statefun_runtime.engine.checkpoints.founding import FOUNDING
from statefun_runtime.errors import ConfigError
from statefun_runtime.ports.module import (
    EgressSpec,
    IngressSpec,
    ModuleSpec,
    ReadsBeside,
    WritesBeside,
)

log = logging.getLogger("statefun.worker")

HEADER = "statefun-shadow"
# No name that a person gives ends so: the flag does not take it.
_MARK = " (shadow)"
_SUFFIX = re.compile(r"[A-Za-z0-9._-]{1,100}")


@dataclass(frozen=True, slots=True)
class Shadow:
    """How a shadow writes: to topics with `suffix` behind their names, or not at all."""

    suffix: str | None

    def __str__(self) -> str:
        return f"records go to topics *{self.suffix}" if self.suffix else "records are counted only"


def shadow_of(settings: Settings) -> Shadow | None:
    """Return how this worker is a shadow, if it is one; raise ConfigError where the flags contradict each other."""
    suffix = settings.egress_suffix
    if not settings.shadow:
        if suffix is not None:
            raise _refused(
                "--egress-suffix renames the topics of a shadow, and this is none", "add --shadow"
            )
        return None
    if suffix is not None and not _SUFFIX.fullmatch(suffix):
        hint = "it has letters, digits, '.', '_' and '-', for example .shadow"
        raise _refused(f"--egress-suffix {suffix!r} cannot end the name of a topic", hint)
    if settings.savepoint_outbox == "publish":
        raise _refused(
            "--savepoint-outbox publish would have a shadow send records to the topics of its original",
            "leave it out: a shadow drops them",
        )
    return Shadow(suffix)


def apply_shadow(module: ModuleSpec, shadow: Shadow) -> ModuleSpec:
    """Return the module as a shadow runs it; raise ConfigError for what cannot be run beside its original."""
    return ModuleSpec(
        tuple(map(_marked, module.endpoints)),
        tuple(_ingress(spec, shadow) for spec in module.ingresses),
        tuple(_egress(spec, shadow) for spec in module.egresses),
    )


def _marked(endpoint: EndpointSpec) -> EndpointSpec:
    return replace(endpoint, headers=(*endpoint.headers, HeaderSpec(HEADER, "true")))


def _ingress(spec: IngressSpec, shadow: Shadow) -> IngressSpec:
    if not isinstance(spec, ReadsBeside):
        raise _refused(
            f"ingress '{spec.id}' is of a kind that may take away what it reads, from the original, too",
            "its package has to say how it is read beside another: docs/contributing/components.md, `shadow`",
        )
    for source in spec.sources if shadow.suffix else ():
        assert shadow.suffix is not None
        if source.endswith(shadow.suffix):
            raise _refused(
                f"ingress '{spec.id}' reads '{source}', and --egress-suffix {shadow.suffix} makes such names: "
                "what a shadow says would come back, to its original as well",
                "choose another suffix",
            )
    return spec.shadow()


def _egress(spec: EgressSpec, shadow: Shadow) -> EgressSpec:
    if shadow.suffix is None:
        return CountedEgressSpec(spec)
    if isinstance(spec, WritesBeside):
        return spec.shadow(shadow.suffix)
    log.warning("egress %s knows no suffix: its records are counted only", spec.id)
    return CountedEgressSpec(spec)


def named(settings: Settings) -> str:
    """Return what the application is called in the state folder."""
    return settings.application + (_MARK if settings.shadow else "")


def require_own_folder(settings: Settings, history: History) -> None:
    """Refuse a shadow where an application has run that is none, and an application where a shadow has."""
    lives = [entry for entry in history.entries if isinstance(entry, Started)]
    if not lives:
        return
    was_shadow = lives[-1].name.endswith(_MARK)
    # What was imported, and has not run yet, may become either.
    has_run = lives[-1].incarnation > FOUNDING
    if settings.shadow and not was_shadow and has_run:
        raise ConfigError(
            f"the state in {settings.state_dir} is of an application that is no shadow: "
            "one would go on in its place, and read past what it has yet to do",
            code="SF1135",
            hint="give the shadow a folder of its own with --state-dir, and begin it with --from-savepoint or an import",
        )
    if was_shadow and not settings.shadow:
        raise ConfigError(
            f"the state in {settings.state_dir} is a shadow's: it is ahead of what has been said to the outside",
            code="SF1135",
            hint="import the last savepoint of the original into another folder; to go on as a shadow say --shadow",
        )


def shadow_metrics(shadow: Shadow | None) -> Iterator[Metric]:
    """Return what tells a shadow from its original on the metrics port."""
    doc = "1 if this worker is a shadow, which sends nothing to the topics of its original"
    yield Metric("statefun_shadow", MetricKind.GAUGE, doc, float(shadow is not None))


def _refused(message: str, hint: str) -> ConfigError:
    return ConfigError(message, code="SF1134", hint=hint)
