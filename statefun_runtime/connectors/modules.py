"""Reading modules with all kinds that there are: endpoints, what each connector brings, and what is installed."""

from collections.abc import Mapping

from statefun_runtime.config.module import loading
from statefun_runtime.config.module.components import ENDPOINT_KINDS
from statefun_runtime.config.module.kinds import Installed, Kind, KindTable
from statefun_runtime.config.module.loading import LoadedModule
from statefun_runtime.connectors.kafka.kinds import KINDS as KAFKA_KINDS
from statefun_runtime.connectors.kinesis.kinds import KINDS as KINESIS_KINDS
from statefun_runtime.connectors.playground.kinds import KINDS as PLAYGROUND_KINDS

BUILT_IN: Mapping[str, Kind] = {
    kind.name: kind for kind in (*ENDPOINT_KINDS, *KAFKA_KINDS, *KINESIS_KINDS, *PLAYGROUND_KINDS)
}


def all_kinds() -> Mapping[str, Kind]:
    """Return the table of kinds; those of packages are looked for when one is asked for that is not built in."""
    return KindTable(BUILT_IN, _installed_kinds)


def _installed_kinds() -> Installed:
    # Needed only for a kind that is not built in.
    from statefun_runtime.config.module.installed import installed_kinds

    return installed_kinds()


def load_module(
    *locations: str, strict: bool = False, variables: Mapping[str, str] | None = None
) -> LoadedModule:
    """Read the files of one application: paths, `file:` URLs, or folders of modules; see config.module.loading."""
    return loading.load_module(*locations, kinds=all_kinds(), strict=strict, variables=variables)


def parse_module(
    content: bytes,
    *,
    file: str,
    strict: bool = False,
    variables: Mapping[str, str] | None = None,
) -> LoadedModule:
    """Read an application from the content of its only file; `file` is how its problems call it."""
    return loading.parse_module(
        content, file=file, kinds=all_kinds(), strict=strict, variables=variables
    )
