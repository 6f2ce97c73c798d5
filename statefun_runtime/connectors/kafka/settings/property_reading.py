"""`properties` of a Kafka ingress or egress: written for the Java client, and checked before anything connects."""

from typing import NamedTuple

from statefun_runtime.config.problems import Code, Place, did_you_mean
from statefun_runtime.config.reading.fields import Fields
from statefun_runtime.connectors.kafka.settings.properties import Outcome, Property, Table
from statefun_runtime.connectors.kafka.settings.security import read_security
from statefun_runtime.connectors.kafka.settings.values import DeliverySemantic


class Value(NamedTuple):
    """A property's value, with the place of its entry; `is_told`: something in it has no value, which was told."""

    text: str
    place: Place
    is_told: bool = False


Properties = dict[str, Value]


def read_properties(fields: Fields) -> Properties:
    """Read what is there; of two with one name the last one counts."""
    properties: Properties = {}
    for item in fields.pairs("properties"):
        if item.key in properties:
            message = f"property {item.key!r} is there twice; this last one counts"
            fields.draft.warn(item.place, Code.IGNORED, message)
        is_told = fields.draft.is_unfilled(item.value.place)
        properties[item.key] = Value(item.value.text, item.place, is_told)
    return properties


def check_properties(
    fields: Fields, properties: Properties, table: Table, noun: str
) -> dict[str, str]:
    """Report what cannot be used; return what can, in the order of the file."""
    used: dict[str, str] = {}
    for name, (text, place, is_told) in properties.items():
        known = table.get(name)
        if known is None:
            _tell_unknown(fields, name, place, table, noun)
        elif known.outcome is Outcome.IGNORED:
            _tell_ignored(fields, known, text, place)
        elif not is_told:
            _use(fields, known, text, place, used)
    # What fits together can only be said when all of it is there.
    is_whole = not any(value.is_told for value in properties.values())
    for defect in read_security(used)[1] if is_whole else ():
        place = properties[defect.name].place
        if defect.is_error:
            fields.draft.error(place, Code.BAD_SECURITY, defect.message, defect.hint)
        else:
            fields.draft.warn(place, Code.DOUBTFUL_PROPERTY, defect.message, defect.hint)
    return used


def _tell_unknown(fields: Fields, name: str, place: Place, table: Table, noun: str) -> None:
    if name.startswith("flink."):
        message = f"property {name!r} is ignored: it is for Flink"
        fields.draft.warn(place, Code.IGNORED, message)
        return
    message = f"Kafka's {noun} has no property {name!r}; it is ignored"
    fields.draft.warn(place, Code.UNKNOWN_PROPERTY, message, did_you_mean(name, table))


def _tell_ignored(fields: Fields, known: Property, text: str, place: Place) -> None:
    if text not in known.expected:
        message = f"property {known.name!r} is ignored: {known.note}"
        fields.draft.warn(place, Code.IGNORED, message)


def _use(fields: Fields, known: Property, text: str, place: Place, used: dict[str, str]) -> None:
    value = known.form.read(text)
    if value is None:
        message = f"property {known.name!r} must be {known.form}, found {text!r}"
        fields.draft.error(place, Code.WRONG_PROPERTY, message)
    else:
        used[known.name] = value


def check_promises(
    fields: Fields, properties: Properties, used: dict[str, str], delivery: DeliverySemantic
) -> None:
    """Take out what would break what an egress promises: with exactly-once it is refused, as by Kafka's own client."""
    if delivery is DeliverySemantic.NONE:
        return
    for name, needed in (("acks", ("all", "-1")), ("enable.idempotence", ("true",))):
        value = used.pop(name, None)
        if value is None or value in needed:
            continue
        text, place, _ = properties[name]
        if delivery is DeliverySemantic.EXACTLY_ONCE:
            message = f"property '{name}: {text}' breaks exactly-once"
            hint = f"leave it out, or write '{needed[0]}'"
            fields.draft.error(place, Code.BREAKS_PROMISE, message, hint)
        else:
            message = f"property {name!r} is ignored: at-least-once needs '{needed[0]}'"
            fields.draft.warn(place, Code.IGNORED, message)
