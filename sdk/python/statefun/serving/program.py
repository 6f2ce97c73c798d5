"""What a program serves: `module:attribute`, as it is named on the command line."""

import importlib
import sys
import traceback
from pathlib import Path

from statefun.functions import StatefulFunctions
from statefun.handler import RequestReplyHandler

_FOR_EXAMPLE = "name it like 'shop.functions:functions': a module, and the StatefulFunctions in it"


class ProgramError(Exception):
    """There is nothing to serve; the text says why, and what to do."""


def load(name: str, *, sync_threads: int = 0, show_tracebacks: bool = False) -> RequestReplyHandler:
    """Import what is named, and return a handler for it; modules are looked for in the working directory, too."""
    module_name, _, attribute = name.partition(":")
    if module_name.endswith(".py") or "/" in module_name:
        path = Path(module_name).with_suffix("")
        raise ProgramError(f"{module_name!r} is a file; name its module: '{'.'.join(path.parts)}'")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    found = _attribute_of(_import(module_name), attribute or "functions", module_name)
    if isinstance(found, RequestReplyHandler):
        return found
    if isinstance(found, StatefulFunctions):
        return RequestReplyHandler(
            found, sync_threads=sync_threads, show_tracebacks=show_tracebacks
        )
    raise ProgramError(
        f"{module_name}:{attribute or 'functions'} must be StatefulFunctions or a RequestReplyHandler, "
        f"not {type(found).__name__}"
    )


def _import(module_name: str) -> object:
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if module_name == missing or module_name.startswith(f"{missing}."):
            raise ProgramError(
                f"there is no module {missing!r} in {Path.cwd()} or among the installed packages; {_FOR_EXAMPLE}"
            ) from None
        raise ProgramError(_raised(module_name)) from error
    except (ValueError, TypeError) as error:
        if not module_name or module_name.startswith("."):
            raise ProgramError(f"{module_name!r} is no module; {_FOR_EXAMPLE}") from None
        raise ProgramError(_raised(module_name)) from error
    except Exception as error:
        raise ProgramError(_raised(module_name)) from error


def _raised(module_name: str) -> str:
    return f"importing {module_name!r} failed:\n{traceback.format_exc().rstrip()}"


def _attribute_of(module: object, attribute: str, module_name: str) -> object:
    try:
        return getattr(module, attribute)
    except AttributeError:
        there = [name for name, value in vars(module).items() if _can_be_served(value)]
        hint = f"it has {', '.join(there)}" if there else _FOR_EXAMPLE
        raise ProgramError(f"module {module_name!r} has no {attribute!r}; {hint}") from None


def _can_be_served(value: object) -> bool:
    return isinstance(value, (StatefulFunctions, RequestReplyHandler))
