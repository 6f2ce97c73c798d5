"""What a process of a cluster runs, in few characters: only those that run the same work together."""

import hashlib
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from enum import Enum
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from statefun_runtime.core.checkpoints.manifest import FORMAT


def form_of(module: object, key_group_count: int) -> str:
    """Return what is the same for two processes that have the same version, module and number of key groups."""
    content = _content((_version(), FORMAT, key_group_count, module))
    return hashlib.sha256(content.encode()).hexdigest()[:12]


def _version() -> str:
    try:
        return version("statefun-runtime")
    except PackageNotFoundError:
        return ""


def _content(value: Any) -> str:
    """Return a value as text that is the same in every process; sets have no order, and objects live elsewhere."""
    if is_dataclass(value) and not isinstance(value, type):
        told = (f"{one.name}={_content(getattr(value, one.name))}" for one in fields(value))
        return f"{type(value).__name__}({','.join(told)})"
    if value is None or isinstance(value, str | bytes | int | float | Enum):
        return repr(value)
    if isinstance(value, Mapping):
        pairs = sorted(f"{_content(key)}:{_content(one)}" for key, one in value.items())
        return f"{{{','.join(pairs)}}}"
    if isinstance(value, AbstractSet):
        return f"{{{','.join(sorted(map(_content, value)))}}}"
    if isinstance(value, Sequence):
        return f"[{','.join(map(_content, value))}]"
    return type(value).__name__
