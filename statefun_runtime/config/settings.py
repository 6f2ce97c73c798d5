"""Settings: what the flags of a worker say, checked."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Any

from statefun_runtime.config import options
from statefun_runtime.config.problems import Code, did_you_mean
from statefun_runtime.errors import ConfigError

STATE_DIR = Path(".statefun")
LOG_LEVELS = ("debug", "info", "warning", "error")
_PORT_MAX = 65_535
# A key group is written in two bytes.
_KEY_GROUPS_MAX = 32_768


_FIELDS = {
    "async_max_per_task": options.ASYNC_MAX_PER_TASK,
    "batch_max_bytes": options.BATCH_MAX_BYTES,
    "waiting_max_bytes": options.WAITING_MAX_BYTES,
    "spilled_max_bytes": options.SPILLED_MAX_BYTES,
    "outbox_max_bytes": options.OUTBOX_MAX_BYTES,
    "unsaved_max_bytes": options.UNSAVED_MAX_BYTES,
    "cache_max_addresses": options.CACHE_MAX_ADDRESSES,
    "overlay_max_bytes": options.OVERLAY_MAX_BYTES,
    "idempotency_keep_ms": options.IDEMPOTENCY_KEEP,
    "checkpoints_kept": options.CHECKPOINTS_KEPT,
}


@dataclass(frozen=True, slots=True)
class IgnoredOption:
    """An option that was given and has no effect, and why."""

    key: str
    reason: str


@dataclass(frozen=True, slots=True)
class Settings:
    """How one worker runs; `async_max_per_task` is None where there is no limit."""

    modules: tuple[str, ...]
    state_dir: Path = STATE_DIR
    partitions: int = 8
    key_group_count: int = 128
    host: str = "127.0.0.1"
    metrics_port: int | None = None
    log_level: str = "info"
    stop_timeout_s: float = 30.0
    strict: bool = False
    checkpoint_interval_s: float = 1.0
    checkpoints_kept: int = 3
    idempotency_keep_ms: int = options.IDEMPOTENCY_KEEP.default_value()
    from_savepoint: Path | None = None
    from_checkpoint: int | None = None
    abandoned_egresses: tuple[str, ...] = ()
    savepoint_outbox: str | None = None
    async_max_per_task: int | None = options.ASYNC_MAX_PER_TASK.default_value()
    batch_max_bytes: int = options.BATCH_MAX_BYTES.default_value()
    waiting_max_bytes: int = options.WAITING_MAX_BYTES.default_value()
    spilled_max_bytes: int = options.SPILLED_MAX_BYTES.default_value()
    outbox_max_bytes: int = options.OUTBOX_MAX_BYTES.default_value()
    unsaved_max_bytes: int = options.UNSAVED_MAX_BYTES.default_value()
    cache_max_addresses: int = options.CACHE_MAX_ADDRESSES.default_value()
    overlay_max_bytes: int = options.OVERLAY_MAX_BYTES.default_value()
    ignored: tuple[IgnoredOption, ...] = ()


class SettingsError(ConfigError):
    """Flags that cannot be used; `str()` shows all of them."""

    def __init__(self, errors: Sequence[ConfigError]) -> None:
        assert errors, "settings without errors are no error"
        super().__init__("; ".join(error.message for error in errors), code=errors[0].code)
        self.errors = tuple(errors)

    def __str__(self) -> str:
        return "\n\n".join(map(str, self.errors))


def read_settings(flags: Settings, assignments: Iterable[str] = ()) -> Settings:
    """Return the flags with every `--set` applied, of two for one key the last.

    Raises SettingsError with all that is wrong with flags and options at once.
    """
    errors = list(_wrong_flags(flags))
    values: dict[str, int | str] = {}
    ignored: dict[str, IgnoredOption] = {}
    for assignment in assignments:
        try:
            key, text = options.split_assignment(assignment)
            option = options.find_option(key)
            values[option.key] = option.parse(text)
        except ConfigError as error:
            errors.append(error)
            continue
        if option.ignored is not None:
            ignored[key] = IgnoredOption(key, option.ignored)
    if errors:
        raise SettingsError(errors)
    return replace(flags, **_fields_of(values), ignored=tuple(ignored.values()))


def _fields_of(values: dict[str, int | str]) -> dict[str, Any]:
    fields: dict[str, Any] = {
        name: values[option.key] for name, option in _FIELDS.items() if option.key in values
    }
    interval_ms = values.get(options.CHECKPOINT_INTERVAL.key)
    if isinstance(interval_ms, int):
        fields["checkpoint_interval_s"] = interval_ms / 1000
    if fields.get("async_max_per_task", 1) <= 0:
        fields["async_max_per_task"] = None
    return fields


def _wrong_flags(flags: Settings) -> Iterator[ConfigError]:
    if not 1 <= flags.key_group_count <= _KEY_GROUPS_MAX:
        yield _bad(
            f"the key group count {flags.key_group_count} is not from 1 to {_KEY_GROUPS_MAX}"
        )
    elif not 1 <= flags.partitions <= flags.key_group_count:
        yield _bad(
            f"--partitions {flags.partitions} is not from 1 to {flags.key_group_count}",
            "each partition needs a key group of its own",
        )
    if flags.metrics_port is not None and not 0 <= flags.metrics_port <= _PORT_MAX:
        yield _bad(f"--metrics-port {flags.metrics_port} is not from 0 to {_PORT_MAX}")
    if flags.log_level not in LOG_LEVELS:
        hint = did_you_mean(flags.log_level, LOG_LEVELS)
        yield _bad(f"--log-level {flags.log_level!r} is not one of {', '.join(LOG_LEVELS)}", hint)
    if not (isfinite(flags.stop_timeout_s) and flags.stop_timeout_s >= 0):
        yield _bad(f"--stop-timeout {flags.stop_timeout_s:g} is not a number of seconds from 0")
    if not (isfinite(flags.checkpoint_interval_s) and flags.checkpoint_interval_s > 0):
        yield _bad("--checkpoint-interval must be more than 0")
    if flags.checkpoints_kept < 1:
        yield _bad(f"--checkpoints-kept {flags.checkpoints_kept} is not at least 1")
    if not flags.host:
        yield _bad("--host is empty", "127.0.0.1 is this machine alone, 0.0.0.0 every network")


def _bad(message: str, hint: str | None = None) -> ConfigError:
    return ConfigError(message, code=Code.BAD_SETTING, hint=hint)
