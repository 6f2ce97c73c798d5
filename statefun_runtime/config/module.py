"""Reading module.yaml: from a file's name to the spec of a module, or to everything that is wrong with it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from statefun_runtime.config.components import KINDS, Kind, read_component
from statefun_runtime.config.draft import ModuleDraft
from statefun_runtime.config.legacy import find_legacy
from statefun_runtime.config.positions import Node, compose, is_null
from statefun_runtime.config.problems import (
    Code,
    ModuleError,
    Place,
    Problem,
    Source,
    as_errors,
    has_errors,
    in_file_order,
)
from statefun_runtime.core.specs import ModuleSpec


@dataclass(frozen=True, slots=True)
class LoadedModule:
    """A module and its problems, in the order of the file; there is no spec if one of them is an error."""

    file: str
    spec: ModuleSpec | None
    problems: tuple[Problem, ...]

    def required(self) -> ModuleSpec:
        """Return the spec; raise ModuleError with every problem if there is none."""
        if self.spec is None:
            raise ModuleError(self.problems)
        return self.spec


def load_module(
    location: str, *, strict: bool = False, kinds: Mapping[str, Kind] = KINDS
) -> LoadedModule:
    """Read a module from a path or a `file:` URL. Never raises for what is in, or wrong with, the file.

    `strict` makes every warning an error; `kinds` says which components there are.
    """
    try:
        file = _path(location)
        content = Path(file).read_bytes()
    except (OSError, ValueError) as error:
        return _unreadable(location, error)
    return parse_module(content, file=file, strict=strict, kinds=kinds)


def parse_module(
    content: bytes, *, file: str, strict: bool = False, kinds: Mapping[str, Kind] = KINDS
) -> LoadedModule:
    """Read a module from the content of a file; `file` is how its problems call it."""
    try:
        source = Source(file, content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        return _not_utf8(file, error.object, error.start)
    draft = ModuleDraft(source)
    composed = compose(source)
    draft.problems.extend(composed.problems)
    documents = [document for document in composed.documents if not is_null(document)]
    is_current = _read_documents(documents, kinds, draft)
    if composed.is_whole and is_current:
        draft.check_whole()
    return _loaded(draft, strict=strict)


def _read_documents(documents: list[Node], kinds: Mapping[str, Kind], draft: ModuleDraft) -> bool:
    """Read the components; return whether all documents were in the current format."""
    is_current = True
    for document in documents:
        legacy = find_legacy(document, draft.source)
        if legacy is None:
            read_component(document, kinds, draft)
        else:
            is_current = False
            draft.problems.append(legacy)
    return is_current


def _loaded(draft: ModuleDraft, *, strict: bool) -> LoadedModule:
    problems = in_file_order(draft.problems)
    if strict:
        problems = as_errors(problems)
    spec = None if has_errors(problems) else draft.spec()
    return LoadedModule(draft.source.file, spec, problems)


def _path(location: str) -> str:
    if location.startswith("classpath:"):
        raise ValueError("there is no class path here; give a path or a file: URL")
    if not location.startswith("file:"):
        return location
    parts = urlsplit(location)
    if parts.netloc not in ("", "localhost"):
        raise ValueError(
            f"the file: URL names the host {parts.netloc!r}; only local files are read"
        )
    return unquote(parts.path)


def _unreadable(location: str, error: OSError | ValueError) -> LoadedModule:
    reason = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
    message = f"the module cannot be read: {reason[:1].lower()}{reason[1:]}"
    problem = Source(location, "").problem(Place(1, 1), Code.UNREADABLE, message)
    return LoadedModule(location, None, (problem,))


def _not_utf8(file: str, content: bytes, offset: int) -> LoadedModule:
    source = Source(file, content.decode("utf-8", errors="replace"))
    place = source.place(len(content[:offset].decode("utf-8", errors="replace")))
    message = f"the file is not UTF-8: byte 0x{content[offset]:02X} cannot stand here"
    problem = source.problem(place, Code.UNREADABLE, message, hint="save the file as UTF-8")
    return LoadedModule(file, None, (problem,))
