"""The SDKs that the matrix is about, each as the command that serves `programs/` with it."""

import hashlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.support import stock_sdk
from tests.support.provisions import command_path, made_once, run_or_unavailable
from tests.support.sdks import go_sdk, javascript_sdk

PROGRAMS = Path(__file__).parent / "programs"
STOCK_GO = "github.com/apache/flink-statefun/statefun-sdk-go/v3"
STOCK_VERSION = stock_sdk.STOCK_VERSION
# The last one that was published: 3.3.0 names an artifact that is not there.
STOCK_JAVA_VERSION = "3.2.0"


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


_POM = f"""\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>tests</groupId><artifactId>matrix</artifactId><version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.flink</groupId>
      <artifactId>statefun-sdk-java</artifactId>
      <version>{STOCK_JAVA_VERSION}</version>
    </dependency>
  </dependencies>
</project>
"""


def _stock_java(port: int) -> list[str]:
    program = PROGRAMS / "Matrix.java"
    goal = "org.apache.maven.plugins:maven-dependency-plugin:copy-dependencies"

    def make(home: Path) -> None:
        (home / "pom.xml").write_text(_POM)
        maven = [command_path("mvn"), "-q", "-B", goal, f"-DoutputDirectory={home / 'libs'}"]
        run_or_unavailable(maven, cwd=home, timeout_s=300)
        compiler = [command_path("javac"), "-d", home, "-cp", f"{home / 'libs'}/*", program]
        run_or_unavailable(compiler, cwd=home, timeout_s=300)

    java = command_path("java")
    digest = hashlib.sha256(program.read_bytes() + _POM.encode()).hexdigest()[:8]
    home = made_once(f"java-matrix-{digest}", make)
    return [java, "-cp", f"{home}:{home / 'libs'}/*", "Matrix", str(port)]


SDKS = {
    "python": Sdk("Python", _ours_python),
    "stock-python": Sdk("stock Python", _stock_python),
    "javascript": Sdk("JavaScript", _ours_js),
    "stock-javascript": Sdk("stock JavaScript", _stock_js),
    "go": Sdk("Go", _ours_go),
    "stock-go": Sdk("stock Go", _stock_go),
    "stock-java": Sdk("stock Java", _stock_java),
}
