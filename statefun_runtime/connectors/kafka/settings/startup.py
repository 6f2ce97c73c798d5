"""`startupPosition` of a Kafka ingress: where it begins when there is nothing to restore."""

from statefun_runtime.config.module.startup import read_date
from statefun_runtime.config.problems import Code, did_you_mean
from statefun_runtime.config.reading.fields import Fields, Item, Shape, parse_integer
from statefun_runtime.config.reading.secrets import Secret
from statefun_runtime.config.reading.units import LONG_MAX
from statefun_runtime.connectors.kafka.settings.values import (
    GroupOffsets,
    SpecificOffsets,
    StartupPosition,
)
from statefun_runtime.core.module.specs import Earliest, Latest

STARTUP_TYPES = ("group-offsets", "earliest", "latest", "specific-offsets", "date")
STARTUP_SHAPE = Shape("startupPosition", ("type", "offsets", "date"))
_PARTITION_MAX = 2**31 - 1


def read_startup_position(ingress: Fields, topics: set[str]) -> StartupPosition | None:
    """Read the position of an ingress that reads these topics; None if it could not be read."""
    fields = ingress.mapping("startupPosition", STARTUP_SHAPE)
    if fields is None:
        return Latest() if ingress.find("startupPosition") is None else None
    match fields.choice("type", STARTUP_TYPES, required=True):
        case "group-offsets":
            return GroupOffsets()
        case "earliest":
            return Earliest()
        case "latest":
            return Latest()
        case "specific-offsets":
            return _read_offsets(fields, topics)
        case "date":
            return read_date(fields)
    return None


def _read_offsets(fields: Fields, topics: set[str]) -> SpecificOffsets | None:
    entry = fields.find("offsets", required=True)
    if entry is None:
        return None
    items = list(fields.pairs("offsets"))
    offsets: dict[tuple[str, int], int] = {}
    for item in items:
        where, offset = _parse_topic_partition(fields, item), _parse_offset(fields, item)
        if where is None or offset is None:
            continue
        if where[0] not in topics:
            message = f"this ingress does not read the topic {where[0]!r}"
            shown = [topic for topic in topics if not isinstance(topic, Secret)]
            hint = did_you_mean(where[0], shown) or "its topics are those below 'topics'"
            fields.draft.error(item.place, Code.CONTRADICTION, message, hint)
        offsets[where] = offset
    if not items:
        fields.wrong("offsets", entry.value, "a list of 'topic/partition: offset' entries")
    return SpecificOffsets(tuple((*where, offset) for where, offset in offsets.items()))


def _parse_topic_partition(fields: Fields, item: Item) -> tuple[str, int] | None:
    topic, _, number = item.key.rpartition("/")
    if topic and number.isascii() and number.isdigit() and len(number) <= 10:
        partition = int(number)
        if partition <= _PARTITION_MAX:
            return topic, partition
    message = f"topic partition {item.key!r} is not of the form 'topic/number'"
    fields.draft.error(item.place, Code.WRONG_VALUE, message)
    return None


def _parse_offset(fields: Fields, item: Item) -> int | None:
    offset = parse_integer(item.value)
    if offset is not None and 0 <= offset <= LONG_MAX:
        return offset
    fields.wrong(item.key, item.value, "an offset, a whole number from 0")
    return None
