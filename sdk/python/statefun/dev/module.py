"""The module of an application that has none yet."""

import json
import subprocess
import sys
from collections.abc import Sequence

_ENDPOINT = """\
kind: io.statefun.endpoints.v2/http
spec:
  functions: {namespace}/*
  urlPathTemplate: http://127.0.0.1:{port}/statefun
"""
_ENDS = """\
kind: io.statefun.playground.v1/ingress
spec:
  port: {ingress}
---
kind: io.statefun.playground.v1/egress
spec:
  port: {egress}
  topics: {topics}
"""
_LIST = """\
import json, sys
from statefun.serving.program import ProgramError, load
try:
    print(json.dumps(load(sys.argv[1]).functions.typenames))
except ProgramError as error:
    sys.exit(str(error))
"""


class FunctionsError(Exception):
    """The functions cannot be had; the text says why."""


def typenames(target: str) -> list[str]:
    """Return the function types of a program, asked in a process of its own: this one imports nothing of it."""
    done = subprocess.run(
        [sys.executable, "-c", _LIST, target], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise FunctionsError(done.stderr.strip() or f"{target} cannot be loaded")
    found: list[str] = json.loads(done.stdout.splitlines()[-1])
    if not found:
        raise FunctionsError(f"{target} binds no function")
    return found


def make_module(
    functions: Sequence[str], topics: Sequence[str], *, port: int, ingress: int, egress: int
) -> str:
    """Return a module with HTTP in and out, and every namespace behind one endpoint."""
    namespaces = dict.fromkeys(name.rpartition("/")[0] for name in functions)
    parts = [_ENDPOINT.format(namespace=namespace, port=port) for namespace in namespaces]
    parts.append(_ENDS.format(ingress=ingress, egress=egress, topics=json.dumps([*topics])))
    return "---\n".join(parts)
