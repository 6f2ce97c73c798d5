"""How large a worker has to be for what a job on Flink has done; the formulas are in docs/migrate/sizing.md.

Every constant was measured (docs/benchmarks.md), on cores that are shared with others; what is planned for is less than
half of what such a core does.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, log10

# CPU of the worker per message by how many addresses have work in a second: (log10 of the addresses, microseconds).
_COSTS = ((1.0, 8.0), (3.0, 9.0), (5.0, 45.0))
_PEAK = 2.0
_BUSY_MAX = 0.7
_FRESH_BYTES = 60_000_000
_ADDRESS_BYTES = 150
_DELAYED_BYTES = 25
_CACHED_ADDRESSES, _CACHED_BYTES = 100_000, 700
_SPARE = 1.5
_COPIES = 3.0
_DISK_BYTES = 1_000_000_000
_KEY_GROUPS_PER_CORE = 32


@dataclass(frozen=True, slots=True)
class Load:
    """What a job has done; None where nobody knows.

    `active` is how many addresses have work in a second, `addresses` how many there are.
    """

    messages_per_s: float | None = None
    active: float | None = None
    addresses: float | None = None
    state_bytes: float | None = None
    delayed: float | None = None


def cost_us(active: float) -> float:
    """Return the worker's CPU for a message, in microseconds."""
    at = log10(max(1.0, active))
    if at <= _COSTS[0][0]:
        return _COSTS[0][1]
    for (low, cheap), (high, dear) in pairwise(_COSTS):
        if at <= high:
            return cheap + (dear - cheap) * (at - low) / (high - low)
    return _COSTS[-1][1]


def cores(load: Load) -> float:
    """Return how many cores have enough to do at twice the load."""
    assert load.messages_per_s is not None
    active = load.messages_per_s if load.active is None else load.active
    return load.messages_per_s * _PEAK * cost_us(active) / 1e6 / _BUSY_MAX


def memory_bytes(load: Load) -> float:
    """Return what a worker takes, with half of it to spare."""
    addresses, delayed = load.addresses or 0.0, load.delayed or 0.0
    value_bytes = (load.state_bytes or 0.0) / addresses if addresses else 0.0
    cached = min(addresses, _CACHED_ADDRESSES) * (_CACHED_BYTES + value_bytes)
    return (_FRESH_BYTES + addresses * _ADDRESS_BYTES + delayed * _DELAYED_BYTES + cached) * _SPARE


def disk_bytes(load: Load) -> float:
    """Return what the state folder takes: the live store, bases, and one in the making."""
    return (load.state_bytes or 0.0) * _COPIES + _DISK_BYTES


def recommendations(load: Load) -> Iterator[tuple[str, str]]:
    """Yield what is recommended, and why, as far as the load is known."""
    if load.messages_per_s is not None:
        needed = cores(load)
        yield "cores", f"{needed:.2f} at twice {load.messages_per_s:,.0f} messages/s{_more(needed)}"
        groups = max(128, _KEY_GROUPS_PER_CORE * ceil(needed))
        yield (
            "partitions",
            "8, the default: they cost nothing in one process; --set pipeline.max-parallelism="
            f"{groups} leaves room to grow, and is fixed with the import",
        )
    if load.addresses is not None or load.delayed is not None:
        counted = f"{load.addresses or 0:,.0f} addresses, {load.delayed or 0:,.0f} delayed messages"
        yield (
            "memory",
            f"{_size(memory_bytes(load))} for {counted}, and up to 768 MB while endpoints or the disk are away",
        )
    if load.state_bytes is not None:
        yield (
            "disk",
            f"{_size(disk_bytes(load))} for {_size(load.state_bytes)} of state, and up to 14 GB while endpoints or "
            "brokers are away",
        )


def _more(needed: float) -> str:
    if needed <= 1:
        return ": one worker is enough"
    return (
        f": a worker has one, so divide the module by function types, or give it {ceil(needed)} workers where there "
        "are several"
    )


def _size(size_bytes: float) -> str:
    if size_bytes >= 1e9:
        return f"{size_bytes / 1e9:,.1f} GB"
    return f"{size_bytes / 1e6:,.0f} MB"
