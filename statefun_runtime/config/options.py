"""The options of `--set KEY=VALUE`: one table that drives parsing, errors and the help text."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from statefun_runtime.config.problems import Code, did_you_mean
from statefun_runtime.config.units import MEMORY_FORM, parse_duration_ns, parse_memory_bytes
from statefun_runtime.errors import ConfigError

_INT_LIMIT = 2**31


class OptionType(Enum):
    """How the value of an option is written."""

    INTEGER = "whole number"
    MEMORY = "memory size"
    DURATION = "duration"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Option:
    """One key; a key that ends with a dot stands for all that begin with it.

    An option with a reason in `ignored` is accepted, for a StateFun deployment may have it, and has no effect.
    """

    key: str
    type: OptionType
    default: str
    doc: str
    low: int | None = None
    ignored: str | None = None

    def default_value(self) -> int:
        value = self.parse(self.default)
        assert isinstance(value, int), f"{self.key} has no number as its default"
        return value

    def parse(self, text: str) -> int | str:
        """Return the value; raise ConfigError that says what is wrong with it."""
        match self.type:
            case OptionType.TEXT:
                return text
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

    @staticmethod
    def _bad(message: str, hint: str | None = None) -> ConfigError:
        return ConfigError(message, code=Code.BAD_SETTING, hint=hint)


ASYNC_MAX_PER_TASK = Option(
    "statefun.async.max-per-task",
    OptionType.INTEGER,
    "32768",
    "requests that one partition has in flight before its ingresses are held back; 0 or less: no limit",
)
BATCH_MAX_BYTES = Option(
    "statefun.runtime.batch.max-bytes",
    OptionType.MEMORY,
    "1044480",
    "size of a request, from which on further waiting messages go into the next one",
    low=1,
)
WAITING_MAX_BYTES = Option(
    "statefun.runtime.waiting.max-bytes",
    OptionType.MEMORY,
    "256mb",
    "waiting messages in memory before the ingresses are held back",
    low=1,
)
CACHE_MAX_ADDRESSES = Option(
    "statefun.runtime.cache.max-addresses",
    OptionType.INTEGER,
    "100000",
    "addresses whose state is kept in memory for reading",
    low=0,
)
SPILLED_MAX_BYTES = Option(
    "statefun.runtime.waiting.max-disk-bytes",
    OptionType.MEMORY,
    "4gb",
    "waiting messages on disk before the ingresses are held back",
    low=1,
)
OUTBOX_MAX_BYTES = Option(
    "statefun.runtime.outbox.max-disk-bytes",
    OptionType.MEMORY,
    "10gb",
    "unpublished egress records on disk before the ingresses are held back",
    low=1,
)
UNSAVED_MAX_BYTES = Option(
    "statefun.runtime.unsaved.max-bytes",
    OptionType.MEMORY,
    "512mb",
    "changes that are in no complete checkpoint before the ingresses are held back",
    low=1,
)
OVERLAY_MAX_BYTES = Option(
    "statefun.runtime.overlay.max-bytes",
    OptionType.MEMORY,
    "64mb",
    "state written since the last cut, from which on the epoch is ended early",
    low=1,
)

CHECKPOINT_INTERVAL = Option(
    "execution.checkpointing.interval",
    OptionType.DURATION,
    "1s",
    "time between checkpoints, as --checkpoint-interval; this wins",
    low=1,
)
CHECKPOINTS_KEPT = Option(
    "state.checkpoints.num-retained",
    OptionType.INTEGER,
    "3",
    "how many complete checkpoints are kept, as --checkpoints-kept; this wins",
    low=1,
)
IDEMPOTENCY_KEEP = Option(
    "statefun.runtime.idempotency.keep",
    OptionType.DURATION,
    "1d",
    "how long an Idempotency-Key of the HTTP ingress is remembered",
    low=1,
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
    _ignored(
        "statefun.feedback.memory.size",
        "32 mb",
        "statefun.runtime.waiting.max-bytes bounds the memory of messages",
        OptionType.MEMORY,
    ),
    _ignored(
        "statefun.module.global-config.", "", "modules have no placeholders that would use it"
    ),
    _ignored("statefun.remote.module-name", "", "--module names the module"),
    _ignored("statefun.flink-job-name", "StatefulFunctions", _NO_FLINK),
    _ignored("statefun.message.serializer", "WITH_PROTOBUF_PAYLOADS", "values are always bytes"),
    _ignored("statefun.message.custom-payload-serializer-class", "", "values are always bytes"),
    _ignored("statefun.embedded", "false", _NO_FLINK),
    _ignored("execution.checkpointing.", "", _OWN_CHECKPOINTS),
    _ignored("state.backend", "", _OWN_STATE),
    _ignored("state.backend.", "", _OWN_STATE),
    _ignored("state.checkpoints.dir", "", _OWN_STATE),
    _ignored("state.savepoints.dir", "", _OWN_STATE),
    _ignored("restart-strategy", "", _OWN_RESTART),
    _ignored("restart-strategy.", "", _OWN_RESTART),
    _ignored("parallelism.default", "", "--partitions sets it"),
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


def find_option(key: str) -> Option:
    for option in OPTIONS:
        if key == option.key or (option.key.endswith(".") and key.startswith(option.key)):
            return option
    known = [option.key for option in OPTIONS if not option.key.endswith(".")]
    hint = did_you_mean(key, known) or f"the options are {', '.join(_keys_with_effect())}"
    raise ConfigError(f"unknown option {key!r}", code=Code.UNKNOWN_OPTION, hint=hint)


def _keys_with_effect() -> Iterable[str]:
    return (option.key for option in OPTIONS if option.ignored is None)


def options_help() -> str:
    """Return the text of --help about `--set`: the options that have an effect."""
    lines = ["options for --set KEY=VALUE:"]
    for option in OPTIONS:
        if option.ignored is None:
            lines += [f"  {option.key}=VALUE", f"      {option.doc}"]
            lines.append(f"      {option.type.value}, default {option.default}")
    return "\n".join(lines)
