"""What the metrics of a StateFun job on Flink say of its load: a page as Flink's Prometheus reporter serves it.

Names end with what StateFun and Flink call a metric; in front of that they have scopes, which differ with the
configuration.
"""

import re
from collections.abc import Iterable
from dataclasses import replace
from math import isfinite
from pathlib import Path

from statefun_runtime.core.moving.sizing import Load
from statefun_runtime.errors import ConfigError

_SAMPLE = re.compile(r"([A-Za-z_:][A-Za-z0-9_:]*)(?:\{.*\})?\s+(\S+)")
# Field of the load, how a name ends, and whether what several subtasks say adds up.
_KNOWN = (
    ("messages_per_s", re.compile(r"functions_.*_inRate$"), True),
    ("active", re.compile(r"functions_.*_inflightAsyncOps$"), True),
    ("state_bytes", re.compile(r"_(?:lastCheckpointFullSize|lastCheckpointSize)$"), False),
)


def read_load(paths: Iterable[Path]) -> Load:
    """Return what pages of metrics say; raise ConfigError if one cannot be read, or none says anything."""
    found: dict[str, float] = {}
    names = []
    for path in paths:
        names.append(str(path))
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise _useless(f"{path} cannot be read: {error}") from error
        for line in text.splitlines():
            _take(line, found)
    if not found:
        raise _useless(f"no metric of StateFun or Flink is in {', '.join(names)}")
    return replace(Load(), **found)


def _take(line: str, found: dict[str, float]) -> None:
    sample = _SAMPLE.match(line)
    if sample is None:
        return
    try:
        value = float(sample[2])
    except ValueError:
        return
    if not isfinite(value) or value < 0:
        return
    for field, pattern, adds_up in _KNOWN:
        if pattern.search(sample[1]):
            before = found.get(field, 0.0)
            found[field] = before + value if adds_up else max(before, value)


def _useless(message: str) -> ConfigError:
    return ConfigError(
        message,
        code="SF1141",
        hint="save what Flink's Prometheus reporter serves (curl http://TASKMANAGER:9249/metrics), or give numbers: "
        "--messages-per-second, --addresses, --state-bytes",
    )
