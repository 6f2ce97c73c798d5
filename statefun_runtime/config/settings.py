"""Settings: what flags, `--set`, --config and the defaults say together, checked.

A flag wins over `--set`, `--set` over --config, and each of them over the defaults.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

from statefun_runtime.config import options
from statefun_runtime.config.cluster import ClusterSettings, read_cluster
from statefun_runtime.config.flink import ConfigFile
from statefun_runtime.config.options import Option
from statefun_runtime.config.problems import Code, did_you_mean
from statefun_runtime.config.reading.locations import local_path
from statefun_runtime.core.checkpoints.store_url import StoreUrl, is_store_url, parse_store_url
from statefun_runtime.errors import ConfigError

STATE_DIR = Path(".statefun")
# Where a shadow keeps its state if nobody says where: not where its original may keep its own.
SHADOW_STATE_DIR = Path(".statefun-shadow")
LOG_LEVELS = ("debug", "info", "warning", "error")
LOG_FORMATS = ("text", "json")
RESTARTS = ("earliest", "latest")
_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_PORT_MAX = 65_535
# A key group is written in two bytes.
_KEY_GROUPS_MAX = 32_768
_WORKERS_MAX = 64


@dataclass(frozen=True, slots=True)
class IgnoredOption:
    """An option that was given and has no effect, and why; `file` is the configuration file it stands in."""

    key: str
    reason: str
    file: str | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """How one worker runs; `async_max_per_task` is None where there is no limit.

    `checkpoints` is where their objects are, a bucket or a folder that others reach, too; None: in the state folder.
    `variables` are what placeholders in the modules stand for; those in `variables_given` were named with --set.
    """

    modules: tuple[str, ...] = ()
    state_dir: Path = STATE_DIR
    checkpoints: StoreUrl | Path | None = None
    workers: int = 1
    cluster: ClusterSettings | None = None
    partitions: int = 8
    key_group_count: int = 128
    host: str = "127.0.0.1"
    metrics_port: int | None = None
    log_level: str = "info"
    log_format: str = "text"
    stop_timeout_s: float = 30.0
    strict: bool = False
    checkpoint_interval_s: float = 1.0
    checkpoints_kept: int = 3
    idempotency_keep_ms: int = options.IDEMPOTENCY_KEEP.default_value()
    from_savepoint: str | None = None
    from_checkpoint: int | None = None
    abandoned_egresses: tuple[str, ...] = ()
    republished_egresses: tuple[str, ...] = ()
    restarted_topics: tuple[str, ...] = ()
    savepoint_outbox: str | None = None
    application: str = ""
    shadow: bool = False
    egress_suffix: str | None = None
    local_kafka: int | None = None
    require_state: bool = False
    savepoints_dir: str | None = None
    async_max_per_task: int | None = options.ASYNC_MAX_PER_TASK.default_value()
    batch_max_bytes: int = options.BATCH_MAX_BYTES.default_value()
    waiting_max_bytes: int = options.WAITING_MAX_BYTES.default_value()
    spilled_max_bytes: int = options.SPILLED_MAX_BYTES.default_value()
    outbox_max_bytes: int = options.OUTBOX_MAX_BYTES.default_value()
    unsaved_max_bytes: int = options.UNSAVED_MAX_BYTES.default_value()
    cache_max_addresses: int = options.CACHE_MAX_ADDRESSES.default_value()
    overlay_max_bytes: int = options.OVERLAY_MAX_BYTES.default_value()
    ignored: tuple[IgnoredOption, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    variables_given: frozenset[str] = frozenset()

    @property
    def savepoints(self) -> str:
        """Where savepoints are written that are asked for without a place."""
        if self.savepoints_dir is not None:
            return self.savepoints_dir
        if isinstance(self.checkpoints, StoreUrl):
            return str(self.checkpoints.under("savepoints"))
        return str(self.state_dir / "savepoints")

    @property
    def restarts(self) -> dict[str, str]:
        """By topic, where it is gone on with if its position is lost: at its `earliest` record or behind its `latest`."""
        return dict(map(_split_restart, self.restarted_topics))


class SettingsError(ConfigError):
    """Flags that cannot be used; `str()` shows all of them."""

    def __init__(self, errors: Sequence[ConfigError]) -> None:
        assert errors, "settings without errors are no error"
        super().__init__("; ".join(error.message for error in errors), code=errors[0].code)
        self.errors = tuple(errors)

    def __str__(self) -> str:
        return "\n\n".join(map(str, self.errors))


def read_settings(
    flags: Mapping[str, Any],
    assignments: Iterable[str] = (),
    config: ConfigFile | None = None,
    environment: Mapping[str, str] | None = None,
) -> Settings:
    """Return what flags, `--set` and a configuration file say; `flags` holds only those that were given.

    Raises SettingsError with all that is wrong at once.
    """
    reading = _Reading()
    if config is not None:
        reading.take_file(config, decided=set(flags))
    for assignment in assignments:
        reading.take_assignment(assignment)
    fields = {**reading.fields, **flags}
    if fields.get("shadow"):
        fields.setdefault("state_dir", SHADOW_STATE_DIR)
        if "checkpoints" not in flags:
            # Those that a file or an option names are its original's.
            fields.pop("checkpoints", None)
    try:
        fields["cluster"] = read_cluster(fields)
    except ConfigError as error:
        reading.errors.append(error)
    if "checkpoints" in fields:
        fields["checkpoints"] = reading.place(fields["checkpoints"])
    settings = Settings(
        **fields,
        ignored=tuple(reading.ignored.values()),
        variables={**(environment or {}), **reading.variables},
        variables_given=frozenset(reading.given),
    )
    errors = [*_wrong_flags(settings), *reading.errors]
    if errors:
        raise SettingsError(errors)
    return settings


@dataclass(slots=True)
class _Reading:
    """What options have said so far; a later one for the same key wins."""

    fields: dict[str, Any] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    given: set[str] = field(default_factory=set)
    ignored: dict[str, IgnoredOption] = field(default_factory=dict)
    errors: list[ConfigError] = field(default_factory=list)

    def take_file(self, config: ConfigFile, decided: AbstractSet[str]) -> None:
        """Take every option of a file but those whose fields a flag has decided."""
        self.errors.extend(config.errors)
        for entry in config.entries:
            option = options.find_option(entry.key)
            if option is None:
                near = options.near_option(entry.key) if entry.key.startswith("statefun.") else None
                self.ignored[entry.key] = IgnoredOption(entry.key, near or "", config.name)
            elif option.ignored is not None or _is_on_class_path(option, entry.text):
                self.ignored[entry.key] = IgnoredOption(entry.key, "", config.name)
            elif decided.isdisjoint((option.field, _field_of(option, entry.text))):
                self._take(option, entry.key, entry.text, f"{entry.where}: ")

    def take_assignment(self, assignment: str) -> None:
        """Take a `--set`: an option by its key, or a variable for placeholders by its name."""
        try:
            key, text = options.split_assignment(assignment)
        except ConfigError as error:
            self.errors.append(error)
            return
        option = options.find_option(key)
        if option is not None:
            self._take(option, key, text, "")
        elif _VARIABLE_NAME.fullmatch(key):
            self.variables[key] = text
            self.given.add(key)
        else:
            self.errors.append(_unknown(key))

    def _take(self, option: Option, key: str, text: str, where: str) -> None:
        try:
            value = option.parse(text)
        except ConfigError as error:
            message = f"{where}{error.message}"
            self.errors.append(ConfigError(message, code=error.code, hint=error.hint))
            return
        if option.ignored is not None:
            self.ignored[key] = IgnoredOption(key, option.ignored)
        elif option is options.VARIABLE:
            self.variables[key.removeprefix(option.key)] = text
        else:
            self.fields[_field_of(option, text)] = _as_field(option, value)

    def place(self, text: str) -> StoreUrl | Path | None:
        """Return where --checkpoints says that they are."""
        try:
            if text.startswith("file:"):
                return Path(local_path(text)).absolute()
            return parse_store_url(text)
        except ValueError as error:
            # What a URL has that it may not have can be a password.
            shown = f"{text.partition('://')[0]}://…" if "@" in text or "?" in text else repr(text)
            self.errors.append(_bad(f"--checkpoints {shown} {error}"))
            return None


def _field_of(option: Option, text: str) -> str:
    """Return which field an option sets: a bucket is no folder for the rest of a worker's state."""
    return "checkpoints" if option is options.STATE_DIR and is_store_url(text) else option.field


def _as_field(option: Option, value: int | str) -> Any:
    if option is options.CHECKPOINT_INTERVAL:
        assert isinstance(value, int)
        return value / 1000
    if option is options.ASYNC_MAX_PER_TASK:
        assert isinstance(value, int)
        return value if value > 0 else None
    if option is options.MODULE_NAME:
        return (value,)
    if option is options.STATE_DIR and isinstance(value, str) and not is_store_url(value):
        return Path(value)
    return value


def _is_on_class_path(option: Option, text: str) -> bool:
    """Whether this is StateFun's way to find modules, for which a worker has --module."""
    return option is options.MODULE_NAME and text.startswith("classpath:")


def _unknown(key: str) -> ConfigError:
    hint = options.near_option(key) or (
        "`statefun-worker --help` lists the options; "
        f"a placeholder ${{{key}}} is set with {options.VARIABLE.key}{key}"
    )
    return ConfigError(f"unknown option {key!r}", code=Code.UNKNOWN_OPTION, hint=hint)


def _wrong_flags(flags: Settings) -> Iterator[ConfigError]:
    if not flags.modules:
        yield _bad(
            "no module is named",
            "a worker is run with --module FILE, a module is checked with validate FILE",
        )
    if not 1 <= flags.key_group_count <= _KEY_GROUPS_MAX:
        yield _bad(
            f"the key group count {flags.key_group_count} is not from 1 to {_KEY_GROUPS_MAX}"
        )
    elif not 1 <= flags.workers <= min(_WORKERS_MAX, flags.key_group_count):
        yield ConfigError(
            f"--workers {flags.workers} is not from 1 to {min(_WORKERS_MAX, flags.key_group_count)}",
            code="SF1088",
            hint="each is a process that wants a core, and owns at least one key group",
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
        yield _bad(f"--stop-timeout {flags.stop_timeout_s:g} is not a duration")
    if not (isfinite(flags.checkpoint_interval_s) and flags.checkpoint_interval_s > 0):
        yield _bad("--checkpoint-interval must be more than 0")
    if flags.checkpoints_kept < 1:
        yield _bad(f"--checkpoints-kept {flags.checkpoints_kept} is not at least 1")
    for topic, where in map(_split_restart, flags.restarted_topics):
        if not topic or where not in RESTARTS:
            yield _bad(
                f"--restart-topic {topic}={where} is not of the form TOPIC or TOPIC={'|'.join(RESTARTS)}"
            )
    for place in filter(is_store_url, filter(None, (flags.from_savepoint, flags.savepoints_dir))):
        if not isinstance(flags.checkpoints, StoreUrl):
            yield _bad(
                f"the savepoint's place {place} is in a bucket, where the checkpoints are not",
                "name the bucket with --checkpoints, or a folder for the savepoint",
            )
    if flags.application.endswith("(shadow)"):
        yield _bad(f"--application {flags.application!r} ends as the names of shadows do")
    if not flags.host:
        yield _bad("--host is empty", "127.0.0.1 is this machine alone, 0.0.0.0 every network")


def _split_restart(text: str) -> tuple[str, str]:
    topic, _, where = text.partition("=")
    return topic, where or RESTARTS[0]


def _bad(message: str, hint: str | None = None) -> ConfigError:
    return ConfigError(message, code=Code.BAD_SETTING, hint=hint)
