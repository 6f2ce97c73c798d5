"""Makes the ingresses and egresses that packages bring."""

from pathlib import Path
from typing import Any

from statefun_runtime.core.module.specs import OwnEgressSpec, OwnIngressSpec
from statefun_runtime.errors import ConfigError, StatefunError


def build_own(spec: OwnIngressSpec | OwnEgressSpec, place: object, port: type) -> Any:
    """Return what the package makes of a spec; raise ConfigError if it fails, or makes something else than the port."""
    noun = "ingress" if isinstance(spec, OwnIngressSpec) else "egress"
    try:
        made = spec.build(spec.content, place)
    except StatefunError:
        raise
    except Exception as error:
        raise _refusal(spec, noun, f"{type(error).__name__}: {error}") from error
    missing = [name for name in _promises(port) if not hasattr(made, name)]
    if missing:
        what = f"what it made is a {type(made).__name__} without {', '.join(missing)}"
        raise _refusal(spec, noun, what)
    return made


def own_folder(state_folder: Path, role: str, spec: OwnIngressSpec | OwnEgressSpec) -> Path:
    """Return the folder that an ingress or egress of a package has for itself."""
    return state_folder / role / f"{spec.id.namespace}.{spec.id.name}"


def _promises(port: type) -> list[str]:
    return sorted(name for name in vars(port) if not name.startswith("_"))


def _refusal(spec: OwnIngressSpec | OwnEgressSpec, noun: str, what: str) -> ConfigError:
    return ConfigError(
        f"{spec.package} could not make the {noun} '{spec.id}': {what}",
        code="SF1077",
        hint="this is a mistake in the package: tell those who made it, or install another version",
    )
