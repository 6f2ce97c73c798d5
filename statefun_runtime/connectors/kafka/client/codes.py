"""Kafka's error codes as its own clients know them, where aiokafka does not.

    retried    the same again later may work: aiokafka does that by itself
    record     a record that the broker will not take however often it is sent: it is given up, and the others go on
    others     final for whoever sends, not for its records: they are kept, and whoever reads the log mends it

What this table does not have either, a newer broker's code, is one of the others: what nobody knows loses no record.
The names, and which are retried, are those of org.apache.kafka.common.protocol.Errors in Kafka 4.1.
"""

from typing import Any

from aiokafka.errors import (
    BrokerResponseError,
    InvalidTimestampError,
    InvalidTopicError,
    MessageSizeTooLargeError,
    PolicyViolationError,
    ProducerFenced,
    RecordListTooLargeError,
    UnsupportedForMessageFormatError,
)

_RETRIED = {
    74: "FENCED_LEADER_EPOCH",
    75: "UNKNOWN_LEADER_EPOCH",
    78: "OFFSET_NOT_AVAILABLE",
    80: "PREFERRED_LEADER_NOT_AVAILABLE",
    83: "ELIGIBLE_LEADERS_NOT_AVAILABLE",
    84: "ELECTION_NOT_NEEDED",
    88: "UNSTABLE_OFFSET_COMMIT",
    89: "THROTTLING_QUOTA_EXCEEDED",
    100: "UNKNOWN_TOPIC_ID",
    103: "INCONSISTENT_TOPIC_ID",
    106: "FETCH_SESSION_TOPIC_ID_ERROR",
    122: "SHARE_SESSION_NOT_FOUND",
    123: "INVALID_SHARE_SESSION_EPOCH",
    133: "SHARE_SESSION_LIMIT_REACHED",
}
# Of these, what a client knows of the cluster is old.
_METADATA = frozenset({74, 80, 83, 84, 100, 103})
_FINAL = {
    73: "TOPIC_DELETION_DISABLED",
    76: "UNSUPPORTED_COMPRESSION_TYPE",
    77: "STALE_BROKER_EPOCH",
    81: "GROUP_MAX_SIZE_REACHED",
    82: "FENCED_INSTANCE_ID",
    85: "NO_REASSIGNMENT_IN_PROGRESS",
    86: "GROUP_SUBSCRIBED_TO_TOPIC",
    91: "RESOURCE_NOT_FOUND",
    92: "DUPLICATE_RESOURCE",
    93: "UNACCEPTABLE_CREDENTIAL",
    94: "INCONSISTENT_VOTER_SET",
    95: "INVALID_UPDATE_VERSION",
    96: "FEATURE_UPDATE_FAILED",
    97: "PRINCIPAL_DESERIALIZATION_FAILURE",
    98: "SNAPSHOT_NOT_FOUND",
    99: "POSITION_OUT_OF_RANGE",
    101: "DUPLICATE_BROKER_REGISTRATION",
    102: "BROKER_ID_NOT_REGISTERED",
    104: "INCONSISTENT_CLUSTER_ID",
    105: "TRANSACTIONAL_ID_NOT_FOUND",
    107: "INELIGIBLE_REPLICA",
    108: "NEW_LEADER_ELECTED",
    109: "OFFSET_MOVED_TO_TIERED_STORAGE",
    110: "FENCED_MEMBER_EPOCH",
    111: "UNRELEASED_INSTANCE_ID",
    112: "UNSUPPORTED_ASSIGNOR",
    113: "STALE_MEMBER_EPOCH",
    114: "MISMATCHED_ENDPOINT_TYPE",
    115: "UNSUPPORTED_ENDPOINT_TYPE",
    116: "UNKNOWN_CONTROLLER_ID",
    117: "UNKNOWN_SUBSCRIPTION_ID",
    118: "TELEMETRY_TOO_LARGE",
    119: "INVALID_REGISTRATION",
    120: "TRANSACTION_ABORTABLE",
    121: "INVALID_RECORD_STATE",
    124: "FENCED_STATE_EPOCH",
    125: "INVALID_VOTER_KEY",
    126: "DUPLICATE_VOTER",
    127: "VOTER_NOT_FOUND",
    128: "INVALID_REGULAR_EXPRESSION",
    129: "REBOOTSTRAP_REQUIRED",
    130: "STREAMS_INVALID_TOPOLOGY",
    131: "STREAMS_INVALID_TOPOLOGY_EPOCH",
    132: "STREAMS_TOPOLOGY_FENCED",
}


class InvalidRecord(BrokerResponseError):  # type: ignore[misc]
    """The broker checks records of a topic, and refuses one: without key for a compacted topic, for example."""

    errno = 87
    message = "INVALID_RECORD"
    description = "the broker refuses a record: in a compacted topic each needs a key"


# What a broker will not take however often it is sent.
REFUSED = (
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    InvalidTopicError,
    InvalidTimestampError,
    UnsupportedForMessageFormatError,
    PolicyViolationError,
    InvalidRecord,
)


def _made(code: int, name: str) -> type[BrokerResponseError]:
    content = {
        "errno": code,
        "message": name,
        "retriable": code in _RETRIED,
        "invalid_metadata": code in _METADATA,
    }
    made: type[BrokerResponseError] = type(name, (BrokerResponseError,), content)
    return made


class Codes(dict[int, Any]):
    """The client's table of errors by code, in which no code is unknown."""

    def __init__(self, known: dict[int, Any]) -> None:
        super().__init__(known)
        self.setdefault(InvalidRecord.errno, InvalidRecord)
        # Newer requests are answered so where the client knows another code.
        self.setdefault(90, ProducerFenced)
        for code, name in {**_RETRIED, **_FINAL}.items():
            self.setdefault(code, _made(code, name))

    def get(self, code: int, default: Any = None) -> Any:
        """Return the error of a code; for one that nobody knows, one that names it."""
        if code not in self:
            self[code] = _made(code, f"ERROR_{code}")
        return self[code]
