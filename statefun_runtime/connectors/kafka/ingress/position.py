"""Where a topic partition is read, in the form in which checkpoints keep it."""

from dataclasses import dataclass

from aiokafka import TopicPartition

from statefun_runtime.core.model.position import Position

NO_PARTITION = -1
"""A split of this number says in a checkpoint that its topic did not exist: all that it ever holds came later."""

Found = dict[TopicPartition, str | None]
"""The topic partitions that there are, with the id of their topic where brokers tell it."""


def split_name(topic: str, partition: int) -> str:
    """Return the name of a split in checkpoints; a topic's name holds no slash."""
    return f"{topic}/{partition}"


@dataclass(frozen=True, slots=True)
class KafkaPosition:
    """The offset of the next record, and in which topic: one that is made anew has another id.

    `lost` says what was found in its place when it was not there. Later that offset may exist again, and be another
    record: only a person can end it.
    """

    offset: int
    topic_id: str | None = None
    lost: str = ""

    def stored(self) -> Position:
        """Return what a checkpoint keeps; a number alone where there is nothing else to say."""
        content: dict[str, int | str] = {"offset": self.offset}
        if self.topic_id is not None:
            content["topic_id"] = self.topic_id
        if self.lost:
            content["lost"] = self.lost
        return content if len(content) > 1 else self.offset

    @classmethod
    def read(cls, stored: Position) -> "KafkaPosition":
        """Read what a checkpoint keeps; raise ValueError if this is no position of a topic partition."""
        if isinstance(stored, int):
            return cls(stored)
        try:
            position = cls(**stored)  # type: ignore[arg-type]
        except TypeError as error:
            raise ValueError(f"{stored!r} is no position of a topic partition") from error
        if not isinstance(position.offset, int):
            raise ValueError(f"{stored!r} is no position of a topic partition")
        return position
