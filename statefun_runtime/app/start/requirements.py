"""What is asked of the state that a life begins at, and told about it."""

import logging

from statefun_runtime.config.settings import Settings
from statefun_runtime.core.checkpoints.commits import Started
from statefun_runtime.core.model.address import KeyGroup, TypeName
from statefun_runtime.core.model.keys import STATE, group_prefix, type_prefix
from statefun_runtime.engine.checkpoints.recovery import StartingPoint
from statefun_runtime.engine.state.states import States
from statefun_runtime.errors import ConfigError
from statefun_runtime.ports.module import HasPort, ModuleSpec, ReadsTopics

log = logging.getLogger("statefun.worker")


def require_folder(settings: Settings) -> None:
    """Refuse a folder without state before anything is made in it, where the operator says that there is some."""
    is_there = (settings.state_dir / "log").is_dir() or settings.from_savepoint is not None
    if settings.require_state and not is_there:
        raise _no_state(settings)


def require_topics(settings: Settings, module: ModuleSpec) -> None:
    """Refuse a --restart-topic that no ingress reads: it would do nothing, and its topic would wait on."""
    readers = [spec for spec in module.ingresses if isinstance(spec, ReadsTopics)]
    known = {topic for spec in readers for topic in spec.topics}
    for topic in settings.restarts:
        if topic not in known:
            raise ConfigError(
                f"--restart-topic names topic '{topic}', which no ingress of the module reads",
                code="SF1085",
                hint=f"it reads {', '.join(sorted(known)) or 'none'}",
            )


def require_ports(settings: Settings, module: ModuleSpec) -> None:
    """Refuse a --metrics-port that a component of the module has; that two of those differ is the module's affair."""
    for role, specs in (("ingress", module.ingresses), ("egress", module.egresses)):
        for spec in specs:
            if (
                isinstance(spec, HasPort)
                and spec.own_port
                and spec.own_port == settings.metrics_port
            ):
                raise ConfigError(
                    f"--metrics-port {settings.metrics_port} is the port of {role} '{spec.id}', too",
                    code="SF1086",
                    hint="give one of them another port; --metrics-port 0 takes any that is free",
                )


def require_state(settings: Settings, start: StartingPoint) -> None:
    """Refuse to begin with nothing where the operator says that there is something."""
    if settings.require_state and start.manifest is None:
        raise _no_state(settings)


def _no_state(settings: Settings) -> ConfigError:
    return ConfigError(
        f"{settings.state_dir} holds no complete checkpoint, and --require-state asks for one",
        code="SF1059",
        hint="mount or name the right folder with --state-dir; for a first start leave --require-state out",
    )


def name_of(started: Started) -> str:
    """Return what an application is called in a line: its name, or how its own begins."""
    return f"'{started.name}'" if started.name else started.application[:8]


def tell_left_behind(start: StartingPoint, module: ModuleSpec, states: States) -> None:
    """Tell of ingresses whose positions are kept, and of functions that have state, where the module has them no more."""
    manifest = start.manifest
    if manifest is None:
        return
    known = {str(spec.id) for spec in module.ingresses}
    for ingress, positions in manifest.positions.items():
        if ingress not in known and positions:
            log.warning(
                "ingress '%s' is not in the module any more; its positions in %d splits are kept, and no other "
                "ingress goes on at them",
                ingress,
                len(positions),
            )
    for name in manifest.functions:
        function_type = TypeName.parse(name)
        if module.endpoint_for(function_type) is not None:
            continue
        count = _count_addresses(states, function_type, manifest.key_group_count)
        if count:
            log.warning(
                "no endpoint of the module serves '%s' any more; the state of %d addresses is kept for one that does",
                name,
                count,
            )


def _count_addresses(states: States, function_type: TypeName, key_group_count: int) -> int:
    return sum(
        1
        for group in range(key_group_count)
        for _ in states.scan_sizes(
            group_prefix(KeyGroup(group)) + STATE + type_prefix(function_type)
        )
    )
