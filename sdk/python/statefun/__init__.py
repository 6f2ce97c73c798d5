"""Write stateful functions in Python and serve them to a StateFun runtime."""

from statefun.address import SdkAddress
from statefun.calls.failures import RetryLater
from statefun.context import Context
from statefun.egress import (
    EgressMessage,
    egress_message_builder,
    kafka_egress_message,
    kinesis_egress_message,
)
from statefun.functions import StatefulFunctions
from statefun.handler import RequestReplyHandler
from statefun.message import Message, message_builder
from statefun.types import (
    BoolType,
    DoubleType,
    FloatType,
    IntType,
    LongType,
    StringType,
    Type,
    TypeSerializer,
    make_json_type,
    make_protobuf_type,
    simple_type,
)
from statefun.value_spec import ValueSpec
from statefun.values.typed_storage import TypedContext

__all__ = [
    "BoolType",
    "Context",
    "DoubleType",
    "EgressMessage",
    "FloatType",
    "IntType",
    "LongType",
    "Message",
    "RequestReplyHandler",
    "RetryLater",
    "SdkAddress",
    "StatefulFunctions",
    "StringType",
    "Type",
    "TypeSerializer",
    "TypedContext",
    "ValueSpec",
    "egress_message_builder",
    "kafka_egress_message",
    "kinesis_egress_message",
    "make_json_type",
    "make_protobuf_type",
    "message_builder",
    "simple_type",
]
