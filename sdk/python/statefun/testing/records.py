"""What arrived at an egress, as a test looks at it."""

from dataclasses import dataclass

from statefun._wire import KafkaProducerRecord, KinesisEgressRecord
from statefun.types import StringType, T, Type

_KAFKA = "type.googleapis.com/io.statefun.sdk.egress.KafkaProducerRecord"
_KINESIS = "type.googleapis.com/io.statefun.sdk.egress.KinesisEgressRecord"


@dataclass(frozen=True)
class EgressRecord:
    """A typed value that a function sent to an egress."""

    typename: str
    data: bytes

    def as_type(self, tpe: Type[T]) -> T:
        """Return the value that was sent; raise ValueError if it is of another type."""
        if tpe.typename != self.typename:
            raise ValueError(f"the record is of type {self.typename}, not {tpe.typename}")
        return tpe.serializer().deserialize(self.data)

    @property
    def topic(self) -> str:
        """The topic of a Kafka record, the stream of a Kinesis record."""
        return self._kafka().topic if self.typename == _KAFKA else self._kinesis().stream

    @property
    def key(self) -> str:
        """The key of a Kafka record, the partition key of a Kinesis record; empty where there is none."""
        return self._kafka().key if self.typename == _KAFKA else self._kinesis().partition_key

    @property
    def value(self) -> bytes:
        """The value of a Kafka or Kinesis record, in bytes."""
        data: bytes = (self._kafka() if self.typename == _KAFKA else self._kinesis()).value_bytes
        return data

    @property
    def text(self) -> str:
        """What was sent as text: the value of a Kafka or Kinesis record, or a value of StringType."""
        if self.typename == StringType.typename:
            return self.as_type(StringType)
        return self.value.decode()

    def _kafka(self) -> KafkaProducerRecord:
        return KafkaProducerRecord.FromString(self.data)

    def _kinesis(self) -> KinesisEgressRecord:
        if self.typename != _KINESIS:
            raise ValueError(
                f"the record is of type {self.typename}, neither for Kafka nor for Kinesis: use as_type"
            )
        return KinesisEgressRecord.FromString(self.data)
