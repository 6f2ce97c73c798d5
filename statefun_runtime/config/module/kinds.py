"""What a `kind:` means, and the table in which kinds are looked up."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from statefun_runtime.config.reading.draft import ComponentSpec, Role
from statefun_runtime.config.reading.fields import Fields, Shape


@dataclass(frozen=True, slots=True)
class Kind:
    """What a `kind:` means: the shape of its spec, the field that names it, if one does, and its reader."""

    name: str
    role: Role
    shape: Shape
    named_by: str | None
    read: Callable[[Fields], ComponentSpec | None]


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
