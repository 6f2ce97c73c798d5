"""Decodes what functions answer and what egresses are given, with a lean schema of the wire contract.

The field numbers are those of the contract (protos/); what is only passed on is declared as `bytes`, so that it is
neither parsed nor changed. The classes live in a pool of their own: the default pool belongs to the application.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from statefun_runtime.adapters.effects import Heads, short, split_effects
from statefun_runtime.core.model.messages import field
from statefun_runtime.core.model.reply import (
    DelayedMessage,
    EgressMessage,
    Incomplete,
    Mutation,
    OutgoingMessage,
    Reply,
    ReplyRefused,
    Result,
)
from statefun_runtime.core.model.state import UNSET_TYPENAME, ExpireMode, StateSpec
from statefun_runtime.core.partition.retry import Cause

# Of a class that is made at run time, from the schema below.
Message = Any

# message: {field: (number, type)}; a type in capitals is another message, "*" in front means repeated.
_SCHEMA: dict[str, dict[str, tuple[int, str]]] = {
    "Address": {"namespace": (1, "string"), "type": (2, "string"), "id": (3, "string")},
    "TypedValue": {"typename": (1, "string"), "value": (3, "bytes")},
    "Mutation": {"kind": (1, "int32"), "name": (2, "string"), "value": (3, "bytes")},
    "Invocation": {"target": (1, "Address"), "argument": (2, "bytes")},
    "Delayed": {
        "delay_ms": (1, "int64"),
        "target": (2, "Address"),
        "argument": (3, "bytes"),
        "is_cancellation": (10, "bool"),
        "token": (11, "string"),
    },
    "Egress": {"namespace": (1, "string"), "type": (2, "string"), "argument": (3, "TypedValue")},
    "Result": {
        "mutations": (1, "*Mutation"),
        "messages": (2, "*Invocation"),
        "delayed": (3, "*Delayed"),
        "egress": (4, "*Egress"),
    },
    "Expiration": {"mode": (1, "int32"), "after_ms": (2, "int64")},
    "Spec": {"name": (1, "string"), "expiration": (2, "Expiration"), "typename": (3, "string")},
    "Missing": {"specs": (1, "*Spec")},
    "FromFunction": {"result": (100, "Result"), "incomplete": (101, "Missing")},
    # Not of the contract: protos/extensions/bundle.proto.
    "BundleOutcome": {
        "index": (1, "uint32"),
        "reply": (2, "bytes"),
        "failure": (3, "BundleFailure"),
    },
    "BundleFailure": {
        "status": (1, "uint32"),
        "text": (2, "string"),
        "retry_after_s": (3, "uint32"),
    },
    # The key is text in the contract; SDKs put any bytes there.
    "KafkaRecord": {
        "key": (1, "bytes"),
        "value": (2, "bytes"),
        "topic": (3, "string"),
        # Not of the contract: protos/extensions/record.proto.
        "options": (1000, "RecordOptions"),
    },
    "RecordHeader": {"key": (1, "string"), "has_value": (2, "bool"), "value": (3, "bytes")},
    "RecordOptions": {
        "headers": (1, "*RecordHeader"),
        "timestamp_ms": (2, "int64"),
        "has_partition": (3, "bool"),
        "partition": (4, "int32"),
    },
    "KinesisRecord": {
        "partition_key": (1, "string"),
        "value": (2, "bytes"),
        "stream": (3, "string"),
        "explicit_hash_key": (4, "string"),
    },
    # Of the Kinesis producer library; the index is declared as repeated to tell 0 from absence.
    "Aggregated": {
        "partition_keys": (1, "*string"),
        "hash_keys": (2, "*string"),
        "records": (3, "*AggregatedItem"),
    },
    "AggregatedItem": {
        "key_index": (1, "uint64"),
        "hash_index": (2, "*uint64"),
        "data": (3, "bytes"),
    },
}
_PACKAGE = "statefun.runtime.wire"


def _build_classes() -> dict[str, Message]:
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="statefun/runtime/wire.proto", package=_PACKAGE, syntax="proto3"
    )
    for message_name, fields in _SCHEMA.items():
        message = file.message_type.add(name=message_name)
        for field_name, (number, kind) in fields.items():
            added = message.field.add(name=field_name, number=number, label=kinds.LABEL_OPTIONAL)
            if kind.startswith("*"):
                added.label = kinds.LABEL_REPEATED
            kind = kind.removeprefix("*")
            if kind in _SCHEMA:
                added.type, added.type_name = kinds.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
            else:
                added.type = kinds.Type.Value(f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))
        for name in _SCHEMA
    }


_CLASSES = _build_classes()
_FromFunction = _CLASSES["FromFunction"]
_Mutation, _Egress, _Invocation, _Delayed = (
    _CLASSES[name] for name in ("Mutation", "Egress", "Invocation", "Delayed")
)
_KafkaRecord = _CLASSES["KafkaRecord"]
# Raises DecodeError for what is none.
decode_outcome: Callable[[bytes], Message] = _CLASSES["BundleOutcome"].FromString
_KinesisRecord = _CLASSES["KinesisRecord"]
_Aggregated = _CLASSES["Aggregated"]
_DELETE, _MODIFY = 0, 1
# One is made for every effect: the class, called, takes three times as long.
_new = tuple.__new__


_MUTATION, _MESSAGE, _DELAYED, _EGRESS = 0x0A, 0x12, 0x1A, 0x22


class ReplyReader:
    """Decodes what functions answer; it knows more and more of how that begins."""

    def __init__(self) -> None:
        self._heads = Heads()

    def decode(self, body: bytes) -> Reply:
        """Decode a FromFunction; raise ReplyRefused if it is none. An empty body is a result without effects."""
        if body:
            try:
                return self._read(body)
            except (ValueError, IndexError, DecodeError):
                # The parser says what is wrong, if anything is.
                pass
        return decode_reply(body)

    def _read(self, body: bytes) -> Result:
        """Return the result that stands there in the usual form; raise anything if it does not."""
        heads = self._heads
        result = _new(Result, ([], [], [], []))
        messages, delayed, egress, mutations = result
        for tag, start, end in split_effects(body):
            if tag == _EGRESS:
                found = heads.egress(body, start, end)
                if found is None:
                    found = _egress(_Egress.FromString(body[start:end]))
                    heads.learn_egress(found)
                egress.append(found)
            elif tag == _MUTATION:
                change = heads.mutation(body, start, end)
                if change is None:
                    change = _mutation(_Mutation.FromString(body[start:end]))
                    heads.learn_mutation(change)
                mutations.append(change)
            elif tag == _MESSAGE:
                message = heads.message(body, start, end)
                if message is None:
                    message = _message(_Invocation.FromString(body[start:end]))
                    heads.learn_message(message)
                messages.append(message)
            elif tag == _DELAYED:
                delayed.append(_delayed(_Delayed.FromString(body[start:end])))
            else:
                raise ValueError("an effect of another kind")
        return result


def decode_reply(body: bytes) -> Reply:
    """Decode a FromFunction with a parser; raise ReplyRefused if it is none."""
    try:
        reply = _FromFunction.FromString(body)
    except DecodeError as error:
        raise ReplyRefused(
            Cause.BAD_REPLY, f"the reply is not a FromFunction message ({len(body)} bytes: {error})"
        ) from error
    if reply.HasField("incomplete"):
        return Incomplete(tuple(_spec(spec) for spec in reply.incomplete.specs))
    result = reply.result
    return Result(
        [_message(message) for message in result.messages],
        [_delayed(message) for message in result.delayed],
        [_egress(message) for message in result.egress],
        [_mutation(mutation) for mutation in result.mutations],
    )


@dataclass(frozen=True, slots=True)
class RecordOptions:
    """What a function asks for besides key and value: headers, a time of its own, a topic partition."""

    headers: tuple[tuple[str, bytes | None], ...]
    timestamp_ms: int | None
    partition: int | None

    @property
    def size_bytes(self) -> int:
        """What the headers take, about."""
        return sum(len(key) + len(value or b"") + 4 for key, value in self.headers)


# By what stands behind the value of a record that says nothing but its topic: that topic, as a parser found it.
_topics: dict[bytes, str] = {}
_TOPICS_MAX = 1024


def decode_kafka_record(value: bytes) -> tuple[str, bytes, bytes, RecordOptions | None]:
    """Return topic, key, value and options of an encoded KafkaProducerRecord; raise ValueError if it is none.

    All known SDKs write `0a <length> key 12 <length> value 1a <length> topic`, which is read without a parser.
    """
    try:
        if value[0] == 0x0A and (size := value[1]) < 128 and value[size + 2] == 0x12:
            length, begin = short(value, size + 3)
            end = begin + length
            topic = _topics.get(value[end:])
            if topic is not None:
                return topic, value[2 : size + 2], value[begin:end], None
    except (IndexError, ValueError):
        # The parser says what is wrong, if anything is.
        pass
    return _parse_kafka_record(value)


def _parse_kafka_record(value: bytes) -> tuple[str, bytes, bytes, RecordOptions | None]:
    try:
        record = _KafkaRecord.FromString(value)
    except DecodeError as error:
        raise ValueError(f"not a KafkaProducerRecord message: {error}") from error
    options = _options(record.options) if record.HasField("options") else None
    if record.topic and len(_topics) < _TOPICS_MAX:
        _topics[field(b"\x1a", record.topic.encode())] = record.topic
    return record.topic, record.key, record.value, options


def with_kafka_topic(value: bytes, topic: str) -> bytes:
    """Return an encoded KafkaProducerRecord for another topic."""
    record = _KafkaRecord.FromString(value)
    record.topic = topic
    return bytes(record.SerializeToString())


def _options(options: Message) -> RecordOptions:
    return RecordOptions(
        tuple((each.key, each.value if each.has_value else None) for each in options.headers),
        options.timestamp_ms or None,
        options.partition if options.has_partition else None,
    )


def decode_kinesis_record(value: bytes) -> tuple[str, str, str, bytes]:
    """Return stream, partition key, explicit hash key and value of an encoded KinesisEgressRecord.

    Raise ValueError if it is none.
    """
    try:
        record = _KinesisRecord.FromString(value)
    except DecodeError as error:
        raise ValueError(f"not a KinesisEgressRecord message: {error}") from error
    return record.stream, record.partition_key, record.explicit_hash_key, record.value


def with_kinesis_stream(value: bytes, stream: str) -> bytes:
    """Return an encoded KinesisEgressRecord for another stream."""
    record = _KinesisRecord.FromString(value)
    record.stream = stream
    return bytes(record.SerializeToString())


def decode_aggregated(value: bytes) -> Message | None:
    """Return the records that the Kinesis producer library packed into one; None if they cannot be read."""
    try:
        return _Aggregated.FromString(value)
    except DecodeError:
        return None


def _message(message: Message) -> OutgoingMessage:
    target = message.target
    return _new(OutgoingMessage, (target.namespace, target.type, target.id, message.argument))


def _egress(message: Message) -> EgressMessage:
    argument = message.argument
    return _new(EgressMessage, (message.namespace, message.type, argument.typename, argument.value))


def _delayed(message: Message) -> DelayedMessage:
    target = message.target
    return _new(
        DelayedMessage,
        (
            message.delay_ms,
            target.namespace,
            target.type,
            target.id,
            message.argument,
            message.is_cancellation,
            message.token,
        ),
    )


def _mutation(mutation: Message) -> Mutation:
    if mutation.kind == _MODIFY:
        return _new(Mutation, (mutation.name, mutation.value))
    if mutation.kind == _DELETE:
        return _new(Mutation, (mutation.name, None))
    raise ReplyRefused(
        Cause.BAD_STATE,
        f"state {mutation.name!r} has an unknown kind of change ({mutation.kind}); is the SDK newer than the worker?",
    )


def _spec(spec: Message) -> StateSpec:
    try:
        mode = ExpireMode(spec.expiration.mode)
    except ValueError:
        mode = ExpireMode.NONE
    return StateSpec(spec.name, spec.typename or UNSET_TYPENAME, mode, spec.expiration.after_ms)
