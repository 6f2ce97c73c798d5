"""Programs on this project's SDK for Go, built once for their sources."""

import hashlib
from pathlib import Path

from tests.support.provisions import ROOT, command_path, made_once, run_or_unavailable

SDK = ROOT / "sdk" / "go"
MODULE = "statefun.internal/sdk-go"
PROGRAMS = ROOT / "tests" / "support" / "functions" / "go"


# go.mod may be completed; and one compiler at a time is enough beside other tests.
_SETTINGS = ("GOFLAGS=-mod=mod -p=1", "GOWORK=off", "GOTOOLCHAIN=local")


def go_command(*words: str | Path) -> list[str]:
    """Return the command that runs Go, or raise `Unavailable`."""
    go = ["nice", command_path("go"), *(str(word) for word in words)]
    return [command_path("env"), *_SETTINGS, *go]


def go(*words: str | Path, cwd: Path, timeout_s: float = 900.0) -> str:
    """Run Go; return what it prints, or raise `Unavailable`."""
    return run_or_unavailable(go_command(*words), cwd=cwd, timeout_s=timeout_s)


def program(name: str) -> Path:
    """Return a program of `functions/go/NAME`, or raise `Unavailable`."""

    def make(home: Path) -> None:
        for source in sources:
            (home / source.name).write_bytes(source.read_bytes())
        build(home, "program")

    sources = sorted((PROGRAMS / name).glob("*.go"))
    parts = [path for path in sorted(SDK.rglob("*.go")) if not path.name.endswith("_test.go")]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in [*sources, *parts]))
    return made_once(f"go-{name}-{digest.hexdigest()[:8]}", make) / "program"


def build(folder: Path, name: str) -> None:
    """Make a module of a folder, and a program of that name of the module."""
    go("mod", "init", "example", cwd=folder)
    go("mod", "edit", "-require", f"{MODULE}@v0.0.0", "-replace", f"{MODULE}={SDK}", cwd=folder)
    go("build", "-o", name, ".", cwd=folder)
