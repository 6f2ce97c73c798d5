"""Where the files of an application are: paths, `file:` URLs, and folders of modules."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from statefun_runtime.config.problems import Code, Place, Problem, Source

MODULE_FILE = "module.yaml"


@dataclass(frozen=True, slots=True)
class ModuleFile:
    """One file of an application: its name as a person gave it, and its bytes or why there are none."""

    name: str
    content: bytes = b""
    problem: Problem | None = None


def read_files(locations: Iterable[str]) -> Iterator[ModuleFile]:
    """Read every file that the locations name, each once even if several of them name it."""
    seen: set[Path] = set()
    for location in locations:
        try:
            for name in _files(local_path(location)):
                real = Path(name).resolve()
                if real not in seen:
                    seen.add(real)
                    yield _read(name)
        except _NoModule as error:
            yield _lost(location, Code.NO_MODULE, str(error), error.hint)
        except (OSError, ValueError, RuntimeError) as error:
            yield _unreadable(location, error)


class _NoModule(Exception):
    hint = f"put it at {MODULE_FILE} or NAME/{MODULE_FILE} in that folder, or name the file"


def _files(path: str) -> list[str]:
    """Return the file itself, or for a folder its module.yaml and those of the folders in it, by name."""
    folder = Path(path)
    if not folder.is_dir():
        return [path]
    candidates = [folder, *sorted(each for each in folder.iterdir() if each.is_dir())]
    found = [str(each / MODULE_FILE) for each in candidates if (each / MODULE_FILE).is_file()]
    if not found:
        raise _NoModule(f"the folder has no {MODULE_FILE}, and no folder in it has one")
    return found


def _read(name: str) -> ModuleFile:
    try:
        return ModuleFile(name, Path(name).read_bytes())
    except (OSError, ValueError) as error:
        return _unreadable(name, error)


def local_path(location: str) -> str:
    """Return the path of a location; raise ValueError if it is not on this machine."""
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


def _unreadable(name: str, error: Exception) -> ModuleFile:
    reason = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
    message = f"the module cannot be read: {reason[:1].lower()}{reason[1:]}"
    return _lost(name, Code.UNREADABLE, message, None)


def _lost(name: str, code: Code, message: str, hint: str | None) -> ModuleFile:
    problem = Source(name, "").problem(Place(1, 1), code, message, hint=hint)
    return ModuleFile(name, problem=problem)
