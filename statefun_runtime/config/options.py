"""The options of `--set KEY=VALUE` and of --config: one table that drives parsing, errors and the help text."""

import re
from dataclasses import dataclass
from enum import Enum

from statefun_runtime.config.problems import Code, did_you_mean
from statefun_runtime.config.reading.locations import local_path
from statefun_runtime.config.reading.units import MEMORY_FORM, parse_duration_ns, parse_memory_bytes
from statefun_runtime.core.checkpoints.store_url import is_store_url
from statefun_runtime.errors import ConfigError

_INT_LIMIT = 2**31


class OptionType(Enum):
    """How the value of an option is written."""

    INTEGER = "whole number"
    MEMORY = "memory size"
    DURATION = "duration"
    TEXT = "text"
    FOLDER = "folder"
    STORE = "folder or bucket"


@dataclass(frozen=True, slots=True)
class Option:
    """One key; a key that ends with a dot stands for all that begin with it.

    An option with a reason in `ignored` is accepted, for a StateFun deployment may have it, and has no effect.
    Another one sets the field `field` of the settings, which `flag` sets, too. `aliases` are
    the names that other versions of Flink have for the same.
    """

    key: str
    type: OptionType
    default: str
    doc: str
    low: int | None = None
    ignored: str | None = None
    field: str = ""
    flag: str | None = None
    aliases: tuple[str, ...] = ()

    def default_value(self) -> int:
        value = self.parse(self.default)
        assert isinstance(value, int), f"{self.key} has no number as its default"
        return value

    def is_called(self, key: str) -> bool:
        if key in (self.key, *self.aliases):
            return True
        return self.key.endswith(".") and key.startswith(self.key)

    def parse(self, text: str) -> int | str:
        """Return the value; raise ConfigError that says what is wrong with it."""
        match self.type:
            case OptionType.TEXT:
                return text
            case OptionType.STORE if is_store_url(text):
                return text
            case OptionType.FOLDER | OptionType.STORE:
                return self._folder(text)
            case OptionType.INTEGER:
                value = self._integer(text)
            case OptionType.MEMORY:
                value = self._memory_bytes(text)
            case OptionType.DURATION:
                value = self._duration_ms(text)
        if self.low is not None and value < self.low:
            raise self._bad(f"{self.key} must be at least {self.low}, found {text!r}")
        return value

    def _integer(self, text: str) -> int:
        digits = text.strip().removeprefix("-")
        if digits.isascii() and digits.isdigit() and len(digits) <= 10:
            value = int(text)
            if -_INT_LIMIT <= value < _INT_LIMIT:
                return value
        raise self._bad(f"{self.key} must be a whole number of 32 bits, found {text!r}")

    def _memory_bytes(self, text: str) -> int:
        try:
            return parse_memory_bytes(text)
        except ValueError as error:
            raise self._bad(f"{self.key}: {error}", MEMORY_FORM) from None

    def _duration_ms(self, text: str) -> int:
        try:
            return parse_duration_ns(text) // 1_000_000
        except ValueError as error:
            raise self._bad(f"{self.key}: {error}") from None

    def _folder(self, text: str) -> str:
        if not text.strip():
            raise self._bad(f"{self.key} is empty")
        scheme = re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", text)
        if scheme is not None and scheme[0] != "file:":
            can_be_bucket = self.type is OptionType.STORE
            places = "only folders of this machine" + (" and s3:, gs: and az:" * can_be_bucket)
            raise self._bad(
                f"{self.key}: {places} can be used, found {text!r}",
                "name a path or a file: URL",
            )
        try:
            return local_path(text)
        except ValueError as error:
            raise self._bad(f"{self.key}: {error}") from None

    @staticmethod
    def _bad(message: str, hint: str | None = None) -> ConfigError:
        return ConfigError(message, code=Code.BAD_SETTING, hint=hint)


ASYNC_MAX_PER_TASK = Option(
    "statefun.async.max-per-task",
    OptionType.INTEGER,
    "65536",
    "addresses that are busy before the ingresses are held back; 0 or less: no limit",
    field="async_max_per_task",
)
BATCH_MAX_BYTES = Option(
    "statefun.runtime.batch.max-bytes",
    OptionType.MEMORY,
    "1044480",
    "size of a request, with its states, from which on further waiting messages go into the next one; less where a server answered 413",
    low=1,
    field="batch_max_bytes",
)
WAITING_MAX_BYTES = Option(
    "statefun.runtime.waiting.max-bytes",
    OptionType.MEMORY,
    "256mb",
    "waiting messages in memory before the ingresses are held back",
    low=1,
    field="waiting_max_bytes",
)
CACHE_MAX_ADDRESSES = Option(
    "statefun.runtime.cache.max-addresses",
    OptionType.INTEGER,
    "100000",
    "addresses whose state is kept in memory for reading, until they are not called for half a minute; values of more than 4 KiB take 64 MiB of that at most",
    low=0,
    field="cache_max_addresses",
)
SPILLED_MAX_BYTES = Option(
    "statefun.runtime.waiting.max-disk-bytes",
    OptionType.MEMORY,
    "4gb",
    "waiting messages on disk before the ingresses are held back",
    low=1,
    field="spilled_max_bytes",
)
OUTBOX_MAX_BYTES = Option(
    "statefun.runtime.outbox.max-disk-bytes",
    OptionType.MEMORY,
    "10gb",
    "unpublished egress records on disk before the ingresses are held back",
    low=1,
    field="outbox_max_bytes",
)
UNSAVED_MAX_BYTES = Option(
    "statefun.runtime.unsaved.max-bytes",
    OptionType.MEMORY,
    "256mb",
    "changes that are in no complete checkpoint before the ingresses are held back",
    low=1,
    field="unsaved_max_bytes",
)
OVERLAY_MAX_BYTES = Option(
    "statefun.runtime.overlay.max-bytes",
    OptionType.MEMORY,
    "32mb",
    "state written since the last cut, from which on the epoch is ended early",
    low=1,
    field="overlay_max_bytes",
)

CHECKPOINT_INTERVAL = Option(
    "execution.checkpointing.interval",
    OptionType.DURATION,
    "1s",
    "time between checkpoints",
    low=1,
    field="checkpoint_interval_s",
    flag="--checkpoint-interval",
)
CHECKPOINTS_KEPT = Option(
    "state.checkpoints.num-retained",
    OptionType.INTEGER,
    "3",
    "how many complete checkpoints are kept",
    low=1,
    field="checkpoints_kept",
    flag="--checkpoints-kept",
    aliases=("execution.checkpointing.num-retained",),
)
PARTITIONS = Option(
    "parallelism.default",
    OptionType.INTEGER,
    "8",
    "how many ranges of key groups the worker owns, Flink's parallel tasks",
    low=1,
    field="partitions",
    flag="--partitions",
)
KEY_GROUP_COUNT = Option(
    "pipeline.max-parallelism",
    OptionType.INTEGER,
    "128",
    "how many key groups; fixed with the first start on a state folder",
    low=1,
    field="key_group_count",
)
STATE_DIR = Option(
    "state.checkpoints.dir",
    OptionType.STORE,
    ".statefun",
    "folder for state and checkpoints: a path or a file: URL; a URL with s3:, gs: or az: is taken as --checkpoints",
    field="state_dir",
    flag="--state-dir",
    aliases=("execution.checkpointing.dir",),
)
SAVEPOINTS_DIR = Option(
    "state.savepoints.dir",
    OptionType.STORE,
    "savepoints in the state folder, or below --checkpoints",
    "folder in which savepoints are written that are asked for without --to",
    field="savepoints_dir",
    aliases=("execution.checkpointing.savepoint-dir",),
)
MODULE_NAME = Option(
    "statefun.remote.module-name",
    OptionType.TEXT,
    "",
    "the module: a path or a file: URL; there is no class path",
    field="modules",
    flag="--module",
)
VARIABLE = Option(
    "statefun.module.global-config.",
    OptionType.TEXT,
    "",
    "the value of the placeholder ${NAME} in modules, where NAME is the rest of the key",
    field="variables",
    flag="--set NAME=VALUE",
)
IDEMPOTENCY_KEEP = Option(
    "statefun.runtime.idempotency.keep",
    OptionType.DURATION,
    "1d",
    "how long an Idempotency-Key of the HTTP ingress is remembered",
    low=1,
    field="idempotency_keep_ms",
)

_OWN_CHECKPOINTS = "checkpoints are always aligned and exactly-once, one at a time"
_OWN_STATE = "state is always kept in RocksDB below --state-dir"
_NO_FLINK = "there is no Flink here"
_OWN_RESTART = "requests are retried and the worker goes on; a supervisor restarts the process"


def _ignored(key: str, default: str, reason: str, kind: OptionType = OptionType.TEXT) -> Option:
    return Option(key, kind, default, "accepted and ignored", ignored=reason)


OPTIONS: tuple[Option, ...] = (
    ASYNC_MAX_PER_TASK,
    BATCH_MAX_BYTES,
    WAITING_MAX_BYTES,
    SPILLED_MAX_BYTES,
    OUTBOX_MAX_BYTES,
    UNSAVED_MAX_BYTES,
    CACHE_MAX_ADDRESSES,
    OVERLAY_MAX_BYTES,
    IDEMPOTENCY_KEEP,
    CHECKPOINT_INTERVAL,
    CHECKPOINTS_KEPT,
    PARTITIONS,
    KEY_GROUP_COUNT,
    STATE_DIR,
    SAVEPOINTS_DIR,
    MODULE_NAME,
    VARIABLE,
    _ignored(
        "statefun.feedback.memory.size",
        "32 mb",
        "statefun.runtime.waiting.max-bytes bounds the memory of messages",
        OptionType.MEMORY,
    ),
    _ignored("statefun.flink-job-name", "StatefulFunctions", _NO_FLINK),
    _ignored("statefun.message.serializer", "WITH_PROTOBUF_PAYLOADS", "values are always bytes"),
    _ignored("statefun.message.custom-payload-serializer-class", "", "values are always bytes"),
    _ignored("statefun.embedded", "false", _NO_FLINK),
    _ignored("execution.checkpointing.", "", _OWN_CHECKPOINTS),
    _ignored("state.backend", "", _OWN_STATE),
    _ignored("state.backend.", "", _OWN_STATE),
    _ignored("restart-strategy", "", _OWN_RESTART),
    _ignored("restart-strategy.", "", _OWN_RESTART),
    _ignored("taskmanager.", "", _NO_FLINK),
    _ignored("jobmanager.", "", _NO_FLINK),
    _ignored("high-availability", "", _NO_FLINK),
    _ignored("high-availability.", "", _NO_FLINK),
    _ignored("metrics.reporters", "", "--metrics-port serves the metrics"),
    _ignored("metrics.reporter.", "", "--metrics-port serves the metrics"),
    _ignored("classloader.", "", _NO_FLINK),
)


def split_assignment(text: str) -> tuple[str, str]:
    """Return key and value of `KEY=VALUE`."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        message = f"--set {text!r} is not of the form KEY=VALUE"
        hint = f"write it like --set {ASYNC_MAX_PER_TASK.key}=1000"
        raise ConfigError(message, code=Code.BAD_SET, hint=hint)
    return key.strip(), value


def find_option(key: str) -> Option | None:
    """Return the option with this key, or whose key stands for it."""
    return next((option for option in OPTIONS if option.is_called(key)), None)


def near_option(key: str) -> str | None:
    """Return a hint that names the option which was meant, if one is near."""
    return did_you_mean(key, [option.key for option in OPTIONS if not option.key.endswith(".")])


def options_help() -> str:
    """Return the text of --help about `--set` and --config: the options that have an effect."""
    lines = ["options for --set KEY=VALUE and for --config FILE:"]
    for option in OPTIONS:
        if option.ignored is None:
            name = f"{option.key}NAME" if option is VARIABLE else option.key
            as_flag = f", as {option.flag}" if option.flag else ""
            lines += [f"  {name}=VALUE", f"      {option.doc}{as_flag}"]
            default = f", default {option.default}" if option.default else ""
            lines.append(f"      {option.type.value}{default}")
    return "\n".join(lines)
