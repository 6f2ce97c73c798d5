"""The consumer group of an ingress: told how far reading is, for people to see, and never needed for recovery."""

import asyncio
import logging
from collections.abc import Callable, Mapping

from aiokafka.errors import ConsumerStoppedError, KafkaError

from statefun_runtime.connectors.kafka.client.protocols import Arguments, Consumer, Offsets
from statefun_runtime.connectors.kafka.client.troubles import words
from statefun_runtime.connectors.kafka.ingress.position import KafkaPosition, split_name
from statefun_runtime.core.model.position import Position

log = logging.getLogger("statefun.ingress")

_EVERY_S = 5.0
_LIMIT_S = 2.0


class Group:
    """Tells the positions of complete checkpoints; `is_told` is False where that is not allowed."""

    def __init__(self, who: str, arguments: Arguments) -> None:
        self._who = who
        self._arguments = arguments
        self._to_tell: Mapping[str, Position] = {}
        self.is_told = True

    def completed(self, positions: Mapping[str, Position]) -> None:
        """A checkpoint with these positions is complete."""
        self._to_tell = positions

    async def tell_regularly(self, consumer: Callable[[], Consumer], read: Offsets) -> None:
        """Tell until cancelled, of those that are read."""
        while True:
            await asyncio.sleep(_EVERY_S)
            await self.tell(consumer(), read)

    async def tell(self, consumer: Consumer, read: Offsets) -> None:
        """Tell where reading would go on, if that is news."""
        positions, self._to_tell = self._to_tell, {}
        offsets = {
            tp: KafkaPosition.read(positions[name]).offset
            for tp in read
            if (name := split_name(tp.topic, tp.partition)) in positions
        }
        if not offsets or not self.is_told:
            return
        try:
            async with asyncio.timeout(_LIMIT_S):
                await consumer.commit(offsets)
        except (KafkaError, ConsumerStoppedError, TimeoutError) as error:
            why = words(error, self._arguments)
            log.warning("%s could not tell its consumer group: %s", self._who, why)
