"""`onFailure` of endpoints and `invalidRecordHandling` of ingresses, with the `deadLetters` that both may have."""

from statefun_runtime.config.problems import Code
from statefun_runtime.config.reading.fields import Fields, Shape
from statefun_runtime.core.module.specs import (
    DeadLetterRoute,
    InvalidRecords,
    OnFailure,
    OnInvalidRecord,
)

DEAD_LETTERS_SHAPE = Shape(
    "deadLetters", ("egress", "topic"), advice={"stream": "it is called 'topic' here"}
)
_HINT = "add 'deadLetters:' with 'egress: namespace/name' and 'topic:'"


def read_on_failure(fields: Fields) -> tuple[OnFailure, DeadLetterRoute | None]:
    """Read what becomes of an invocation that its address cannot get past."""
    chosen = fields.choice("onFailure", [outcome.value for outcome in OnFailure])
    outcome = OnFailure.PARK if chosen is None else OnFailure(chosen)
    route = read_route(fields)
    if outcome is OnFailure.DEAD_LETTER and fields.find("deadLetters") is None:
        message = "'onFailure: dead-letter' needs to know where dead letters go"
        fields.draft.error(fields.value_place("onFailure"), Code.CONTRADICTION, message, _HINT)
    return outcome, route


def read_invalid_records(fields: Fields) -> InvalidRecords:
    """Read what an ingress does with a record that it cannot route."""
    name = "invalidRecordHandling"
    chosen = fields.choice(name, [outcome.value for outcome in OnInvalidRecord])
    outcome = OnInvalidRecord.SKIP if chosen is None else OnInvalidRecord(chosen)
    route = read_route(fields)
    if outcome is OnInvalidRecord.FORWARD and fields.find("deadLetters") is None:
        message = "'invalidRecordHandling: forward' needs to know where records go"
        fields.draft.error(fields.value_place(name), Code.CONTRADICTION, message, _HINT)
    elif outcome is not OnInvalidRecord.FORWARD and fields.find("deadLetters") is not None:
        message = f"'deadLetters' is ignored: 'invalidRecordHandling' is {outcome.value!r}"
        fields.draft.warn(fields.value_place("deadLetters"), Code.IGNORED, message)
    return InvalidRecords(outcome, route)


def read_route(fields: Fields) -> DeadLetterRoute | None:
    """Read where dead letters go; None if they go nowhere, or it could not be read."""
    route = fields.mapping("deadLetters", DEAD_LETTERS_SHAPE)
    if route is None:
        return None
    egress = route.typename("egress", required=True)
    topic = route.text("topic", required=True)
    if egress is None:
        return None
    topic_place = route.place if topic is None else route.value_place("topic")
    route.draft.send_dead_letters(egress, route.value_place("egress"), topic, topic_place)
    if topic is None:
        return None
    return DeadLetterRoute(egress, topic)
