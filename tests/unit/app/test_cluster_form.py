"""Processes of a cluster know whether they run the same."""

import subprocess
import sys
from pathlib import Path

from statefun_runtime.app.cluster.form import form_of
from statefun_runtime.connectors.modules import load_module

MODULE = """\
kind: io.statefun.endpoints.v2/http
spec:
  functions: shop/*
  urlPathTemplate: http://127.0.0.1:{port}/statefun
---
kind: io.statefun.playground.v1/ingress
spec: {{port: 0}}
---
kind: io.statefun.playground.v1/egress
spec: {{port: 1, topics: [], cursorTopics: [a, b, c, d, e, f]}}
"""
_PROGRAM = """\
import sys
from tests.unit.app.test_cluster_form import form
print(form(sys.argv[1]))
"""


def form(path: str) -> str:
    return form_of(load_module(path).required(), 128)


def test_two_processes_on_one_module_have_the_same_form(tmp_path: Path):
    file = tmp_path / "module.yaml"
    file.write_text(MODULE.format(port=9))
    told = {
        subprocess.run(
            [sys.executable, "-c", _PROGRAM, file],
            env={"PYTHONHASHSEED": str(seed)},
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        for seed in range(3)
    }

    assert told == {form(str(file))}


def test_another_module_is_another_form(tmp_path: Path):
    one, other = tmp_path / "one.yaml", tmp_path / "other.yaml"
    one.write_text(MODULE.format(port=9))
    other.write_text(MODULE.format(port=10))

    assert form(str(one)) != form(str(other))
    assert form_of((), 128) != form_of((), 64)
