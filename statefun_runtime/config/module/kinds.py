"""What a `kind:` means, and the table in which kinds are looked up."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from statefun_runtime.config.reading.draft import ComponentSpec, Role
from statefun_runtime.config.reading.fields import Fields, Shape

S = TypeVar("S", covariant=True)


# With slots, a frozen class cannot be made under a type argument.
@dataclass(frozen=True)
class ComponentKind(Generic[S]):
    """What a `kind:` means: its role, the shape of its spec, its reader, and the field that names it, if one does.

    `read` makes a frozen dataclass of the fields below `spec`, or reports what is wrong with them and returns None. That
    of an ingress or egress has an `id` and can `build` it.
    """

    name: str
    role: Role
    shape: Shape
    read: Callable[[Fields], S | None]
    named_by: str | None = "id"


Kind = ComponentKind[ComponentSpec]


@dataclass(frozen=True, slots=True)
class Installed:
    """The kinds that installed packages bring, and a sentence for each package that cannot be used."""

    kinds: Mapping[str, Kind]
    failures: tuple[str, ...] = ()


class KindTable(Mapping[str, Kind]):
    """Kinds by name: those that are built in, and when another one is asked for those of installed packages."""

    def __init__(
        self, built_in: Mapping[str, Kind], find_installed: Callable[[], Installed]
    ) -> None:
        self._built_in = built_in
        self._find_installed = find_installed
        self._installed: Installed | None = None

    @property
    def installed(self) -> Installed:
        """What packages bring; they are looked for once, and only if they are needed."""
        if self._installed is None:
            self._installed = self._find_installed()
        return self._installed

    def __getitem__(self, name: str) -> Kind:
        kind = self._built_in.get(name)
        return self.installed.kinds[name] if kind is None else kind

    def __iter__(self) -> Iterator[str]:
        return iter({**self._built_in, **self.installed.kinds})

    def __len__(self) -> int:
        return len({**self._built_in, **self.installed.kinds})
