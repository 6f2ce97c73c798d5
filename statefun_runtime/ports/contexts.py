"""What an ingress or egress of a package is given when it is made."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from statefun_runtime.ports.ingress import IngressContext


@dataclass(frozen=True, slots=True)
class IngressBuildContext:
    """Where an ingress works.

    `restored` are the positions of the checkpoint that the worker begins at, empty at a first start; `folder` is the
    ingress's own, below the state folder, and need not exist; `host` is what the worker's ports listen on.
    """

    ingress: IngressContext
    restored: Mapping[str, int]
    folder: Path
    host: str


@dataclass(frozen=True, slots=True)
class EgressBuildContext:
    """Where an egress works.

    `application` and `incarnation` tell this life from all others, for what an egress writes to tell old from new;
    `folder` is the egress's own, below the state folder, and need not exist.
    """

    application: str
    incarnation: int
    folder: Path
    host: str
