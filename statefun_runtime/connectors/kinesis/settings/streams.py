"""`streams` and `startupPosition` of a Kinesis ingress: what is read, from where on, and to whom it goes."""

from collections.abc import Collection

from statefun_runtime.config.module.routes import (
    read_name,
    read_routes,
    read_targets,
    read_unserved,
)
from statefun_runtime.config.module.startup import read_date
from statefun_runtime.config.problems import Code
from statefun_runtime.config.reading.fields import Fields, Shape
from statefun_runtime.connectors.kinesis.settings.names import why_no_stream
from statefun_runtime.connectors.kinesis.settings.values import StreamRoute
from statefun_runtime.core.module.specs import Date, Earliest, Latest

STREAM_STARTUP_TYPES = ("earliest", "latest", "date")
STREAM_STARTUP_SHAPE = Shape("startupPosition", ("type", "date"))
STREAM_SHAPE = Shape(
    "stream",
    ("stream", "valueType", "targets", "unservedTargets"),
    advice={"typeUrl": "it is called 'valueType' now"},
)


def read_streams(fields: Fields) -> tuple[StreamRoute, ...]:
    """Read the streams in the order of the file."""
    return read_routes(fields, STREAM_SHAPE, _read_stream)


def _read_stream(entry: Fields, earlier: Collection[str]) -> tuple[str, StreamRoute] | None:
    stream = read_name(entry, "stream", earlier)
    value_type = entry.strict_text("valueType", required=True)
    targets = read_targets(entry, read_unserved(entry), required=True)
    if stream is None:
        return None
    defect = why_no_stream(stream)
    if defect is not None:
        entry.draft.error(entry.value_place("stream"), Code.WRONG_VALUE, defect)
    return stream, StreamRoute(stream, value_type or "", targets)


def read_stream_position(ingress: Fields) -> Earliest | Latest | Date | None:
    """Read the position of an ingress that reads streams; None if it could not be read."""
    fields = ingress.mapping("startupPosition", STREAM_STARTUP_SHAPE)
    if fields is None:
        return Latest() if ingress.find("startupPosition") is None else None
    match fields.choice("type", STREAM_STARTUP_TYPES, required=True):
        case "earliest":
            return Earliest()
        case "latest":
            return Latest()
        case "date":
            return read_date(fields)
    return None
