"""What --cluster, --kafka and --kafka-properties say together."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from statefun_runtime.errors import ConfigError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_FIELDS = ("cluster", "kafka", "kafka_properties")


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """Which cluster a process belongs to, and the brokers that it is found at, with properties of Kafka's clients."""

    name: str
    servers: str
    properties: tuple[tuple[str, str], ...] = field(default=(), repr=False)


def read_cluster(fields: dict[str, Any]) -> ClusterSettings | None:
    """Take the flags of a cluster out of all that were given; raise ConfigError if they do not fit together."""
    given = {name: fields.pop(name) for name in _FIELDS if name in fields}
    if not given:
        return None
    missing = [f"--{name}" for name in ("cluster", "kafka") if not given.get(name)]
    if missing or not fields.get("checkpoints"):
        raise _bad(
            f"a cluster needs {' and '.join(missing or ['--checkpoints'])}, too",
            "--cluster NAME --kafka BROKER:9092 --checkpoints s3://BUCKET/PREFIX, the same for all its processes",
        )
    if not _NAME.fullmatch(given["cluster"]):
        raise _bad(
            f"--cluster {given['cluster']!r} cannot be part of a topic's name",
            "letters, digits, dots, - and _ can",
        )
    return ClusterSettings(given["cluster"], given["kafka"], _properties(given))


def _properties(given: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    path = given.get("kafka_properties")
    if path is None:
        return ()
    try:
        text = Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise _bad(f"--kafka-properties {path} cannot be read: {why}") from error
    return tuple(_pairs(text, str(path)))


def _pairs(text: str, path: str) -> list[tuple[str, str]]:
    """Return the lines `name=value` of a file as Kafka's own tools take it with --command-config."""
    pairs = []
    for number, line in enumerate(text.splitlines(), 1):
        content = line.strip()
        if not content or content[0] in "#!":
            continue
        name, equals, value = content.partition("=")
        if not equals:
            raise _bad(f"{path}:{number} is not of the form name=value")
        pairs.append((name.strip(), value.strip()))
    return pairs


def _bad(message: str, hint: str | None = None) -> ConfigError:
    return ConfigError(message, code="SF1142", hint=hint)
