"""Helm, which writes the manifests of a chart: on the PATH, or built with Go where it is required."""

import os
import shutil
from functools import partial
from pathlib import Path

from tests.support.provisions import CACHE, Unavailable, made_once, run_or_unavailable
from tests.support.sdks.go_sdk import go

VERSION = "v3.18.4"


def helm(*words: str | Path) -> str:
    """Run Helm and return what it prints, or raise `Unavailable`."""
    return run_or_unavailable([_program(), *words], cwd=CACHE.parent, timeout_s=60)


def _program() -> Path:
    found = shutil.which("helm")
    if found is not None:
        return Path(found)
    built = CACHE / f"helm-{VERSION}" / "helm"
    if not built.exists() and os.environ.get("STATEFUN_REQUIRE_HELM") != "1":
        raise Unavailable(
            "the command 'helm' is not on the PATH (STATEFUN_REQUIRE_HELM=1 builds it)"
        )
    return made_once(f"helm-{VERSION}", _build) / "helm"


def _build(home: Path) -> None:
    run = partial(go, cwd=home, timeout_s=1800.0)
    run("mod", "init", "example")
    run("get", f"helm.sh/helm/v3/cmd/helm@{VERSION}")
    run("build", "-o", "helm", "helm.sh/helm/v3/cmd/helm")
