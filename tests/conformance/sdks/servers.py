"""The SDKs that the matrix is about, each as the command that serves `programs/` with it."""

import hashlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.support import stock_sdk
from tests.support.provisions import made_once
from tests.support.sdks import go_sdk, javascript_sdk

PROGRAMS = Path(__file__).parent / "programs"
STOCK_GO = "github.com/apache/flink-statefun/statefun-sdk-go/v3"
STOCK_VERSION = stock_sdk.STOCK_VERSION


@dataclass(frozen=True)
class Sdk:
    """A column of the matrix. `command` raises `Unavailable` where something is missing."""

    title: str
    command: Callable[[int], list[str]]


def _ours_python(port: int) -> list[str]:
    return [sys.executable, str(PROGRAMS / "matrix.py"), str(port)]


def _stock_python(port: int) -> list[str]:
    return stock_sdk.python_command(PROGRAMS / "matrix.py", port)


def _ours_js(port: int) -> list[str]:
    return javascript_sdk.command(PROGRAMS / "matrix.js", port, "statefun-sdk")


def _stock_js(port: int) -> list[str]:
    return stock_sdk.js_command(PROGRAMS / "matrix.js", port, "apache-flink-statefun")


def _ours_go(port: int) -> list[str]:
    needed = ["-require", f"{go_sdk.MODULE}@v0.0.0", "-replace", f"{go_sdk.MODULE}={go_sdk.SDK}"]
    sources = [path for path in sorted(go_sdk.SDK.rglob("*.go")) if "_test" not in path.name]
    return [str(_go_program(go_sdk.MODULE, needed, sources)), str(port)]


def _stock_go(port: int) -> list[str]:
    needed = ["-require", f"{STOCK_GO}@v{STOCK_VERSION}"]
    return [str(_go_program(STOCK_GO, needed, [])), str(port)]


def _go_program(module: str, needed: list[str], sources: list[Path]) -> Path:
    """Return the program built on a module; it is built again when its sources are others."""
    program = (PROGRAMS / "matrix.go").read_text().replace("SDK/pkg", f"{module}/pkg")

    def make(home: Path) -> None:
        (home / "main.go").write_text(program)
        go_sdk.go("mod", "init", "matrix", cwd=home)
        go_sdk.go("mod", "edit", *needed, cwd=home)
        go_sdk.go("build", "-o", "program", ".", cwd=home)

    digest = hashlib.sha256(b"".join([program.encode(), *(path.read_bytes() for path in sources)]))
    return made_once(f"go-matrix-{digest.hexdigest()[:8]}", make) / "program"


SDKS = {
    "python": Sdk("Python", _ours_python),
    "stock-python": Sdk("stock Python", _stock_python),
    "javascript": Sdk("JavaScript", _ours_js),
    "stock-javascript": Sdk("stock JavaScript", _stock_js),
    "go": Sdk("Go", _ours_go),
    "stock-go": Sdk("stock Go", _stock_go),
}
