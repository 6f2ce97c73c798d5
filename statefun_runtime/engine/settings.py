"""How an engine runs, in its own terms; whoever builds one says it."""

from dataclasses import dataclass

from statefun_runtime.core.partition.backpressure import Limits
from statefun_runtime.core.partition.spill import SPILL_LIMITS, SpillLimits
from statefun_runtime.core.partition.timers import TIMER_LIMITS, TimerLimits


@dataclass(frozen=True, slots=True)
class Pace:
    """How large the steps are in which much work is done, and how often some of it is.

    `store_rows` and `delta_rows` are how many rows one step of the loop carries to the store, or encodes for a
    delta; a new base is wanted after `deltas_max` deltas, or when they are larger than it and `delta_bytes_min`;
    objects are collected at every `collect_every`-th checkpoint.
    """

    store_rows: int = 2000
    # A turn of a busy loop takes tens of milliseconds: smaller steps would make a checkpoint wait for many of them.
    delta_rows: int = 4000
    deltas_max: int = 256
    delta_bytes_min: int = 64 * 1024 * 1024
    collect_every: int = 20


DEFAULT_PACE = Pace()


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """What does not change while a worker lives."""

    limits: Limits
    key_group_count: int = 128
    partition_count: int = 8
    checkpoint_interval_s: float = 1.0
    checkpoints_kept: int = 3
    abandoned_egresses: tuple[str, ...] = ()
    stop_timeout_s: float = 30.0
    idempotency_keep_ms: int = 86_400_000
    expiry_round_s: float = 600.0
    batch_bytes_max: int = 1024 * 1024
    cache_addresses_max: int = 200_000
    overlay_bytes_max: int = 64 * 1024 * 1024
    spilling: SpillLimits = SPILL_LIMITS
    timers: TimerLimits = TIMER_LIMITS
    pace: Pace = DEFAULT_PACE
