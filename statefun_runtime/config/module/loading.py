"""Reading module.yaml: from names of files to the spec of an application, or to everything that is wrong with it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from statefun_runtime.config.legacy.formats import components_of
from statefun_runtime.config.module.components import read_component
from statefun_runtime.config.module.kinds import Kind
from statefun_runtime.config.problems import (
    Code,
    ModuleError,
    Problem,
    Source,
    as_errors,
    has_errors,
)
from statefun_runtime.config.reading.draft import ModuleDraft
from statefun_runtime.config.reading.locations import ModuleFile, read_files
from statefun_runtime.config.reading.placeholders import Filler
from statefun_runtime.config.yaml.positions import Node, compose, is_null
from statefun_runtime.ports.module import ModuleSpec


@dataclass(frozen=True, slots=True)
class LoadedModule:
    """An application and its problems, in the order of its files; there is no spec if one of them is an error.

    `secrets` are the values that came for placeholders, each with what is shown in its place.
    """

    files: tuple[str, ...]
    spec: ModuleSpec | None
    problems: tuple[Problem, ...]
    variables_used: frozenset[str] = frozenset()
    secrets: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    def required(self) -> ModuleSpec:
        """Return the spec; raise ModuleError with every problem if there is none."""
        if self.spec is None:
            raise ModuleError(self.problems)
        return self.spec


def load_module(
    *locations: str,
    kinds: Mapping[str, Kind],
    strict: bool = False,
    variables: Mapping[str, str] | None = None,
) -> LoadedModule:
    """Read the files of one application: paths, `file:` URLs, or folders of modules.

    Never raises for what is in, or wrong with, a file. `strict` makes every warning an error; `kinds` says which
    components there are, `variables` what placeholders stand for.
    """
    return _load(read_files(locations), strict=strict, kinds=kinds, variables=variables or {})


def parse_module(
    content: bytes,
    *,
    file: str,
    kinds: Mapping[str, Kind],
    strict: bool = False,
    variables: Mapping[str, str] | None = None,
) -> LoadedModule:
    """Read an application from the content of its only file; `file` is how its problems call it."""
    return _load([ModuleFile(file, content)], strict=strict, kinds=kinds, variables=variables or {})


def load_part(location: str, kinds: Mapping[str, Kind]) -> LoadedModule:
    """Read one file of an application; what it lacks is not missed, for it may be in the others."""
    return _load(read_files([location]), strict=False, kinds=kinds, variables=None, is_part=True)


def _load(
    files: Iterable[ModuleFile],
    *,
    strict: bool,
    kinds: Mapping[str, Kind],
    variables: Mapping[str, str] | None,
    is_part: bool = False,
) -> LoadedModule:
    draft = ModuleDraft(filler=Filler(variables or {}))
    names = []
    is_whole = True
    for file in files:
        names.append(file.name)
        is_whole &= _read_file(file, kinds, draft)
    if is_whole and not is_part:
        draft.check_whole()
    problems = draft.in_order()
    if strict:
        problems = as_errors(problems)
    spec = None if has_errors(problems) else draft.spec()
    secrets = tuple(draft.filler.secrets.items())
    return LoadedModule(tuple(names), spec, problems, frozenset(draft.filler.used), secrets)


def _read_file(file: ModuleFile, kinds: Mapping[str, Kind], draft: ModuleDraft) -> bool:
    """Read the components of a file; return whether all of them were seen."""
    try:
        source = Source(file.name, file.content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        draft.begin(Source(file.name, error.object.decode("utf-8", errors="replace")))
        _report_not_utf8(error.object, error.start, draft)
        return False
    draft.begin(source)
    if file.problem is not None:
        draft.problems.append(file.problem)
        return False
    composed = compose(source)
    draft.problems.extend(composed.problems)
    documents = [document for document in composed.documents if not is_null(document)]
    is_told = _read_documents(documents, kinds, draft)
    return composed.is_whole and is_told


def _read_documents(documents: list[Node], kinds: Mapping[str, Kind], draft: ModuleDraft) -> bool:
    """Read the components; return whether it could be told of all documents what is in them."""
    is_told = True
    for document in documents:
        components = components_of(document, draft)
        is_told = is_told and components is not None
        for component in components or ():
            read_component(component, kinds, draft)
    return is_told


def _report_not_utf8(content: bytes, offset: int, draft: ModuleDraft) -> None:
    place = draft.source.place(len(content[:offset].decode("utf-8", errors="replace")))
    message = f"the file is not UTF-8: byte 0x{content[offset]:02X} cannot stand here"
    draft.error(place, Code.UNREADABLE, message, "save the file as UTF-8")
