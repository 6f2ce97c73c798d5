"""What was measured, kept as JSON in docs/benchmarks with the machine, the load and the command."""

import json
import os
import shlex
import sys
import time
from pathlib import Path
from typing import Any

from tests.bench.rig import machine
from tests.support.provisions import ROOT

RESULTS = ROOT / "docs" / "benchmarks"


class Measured:
    """One measurement, from its beginning to the file that keeps it."""

    def __init__(self, program: str, **told: object) -> None:
        self._load = [round(os.getloadavg()[0], 1)]
        words = " ".join(map(shlex.quote, sys.argv[1:]))
        self._told = {
            "command": f"python -m tests.bench.beside.{program} {words}".strip(),
            "date": time.strftime("%Y-%m-%d", time.gmtime()),
            "machine": machine(),
            **told,
        }
        print(json.dumps(self._told), flush=True)

    def load(self) -> float:
        """Return the load now; the most that was seen is kept."""
        self._load.append(round(os.getloadavg()[0], 1))
        return self._load[-1]

    def save(self, path: Path, **results: Any) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        loads = {"load_before": self._load[0], "load_most": max(self._load)}
        content = json.dumps({**self._told, **loads, **results}, indent=1, ensure_ascii=False)
        path.write_text(content + "\n", encoding="utf-8")


def kept(name: str) -> dict[str, Any] | None:
    """Return what was measured; None where it was not yet."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
