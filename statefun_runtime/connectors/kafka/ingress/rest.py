"""What a reader does between two polls."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence

from aiokafka import TopicPartition

from statefun_runtime.connectors.kafka.client.protocols import Consumer, Fetched
from statefun_runtime.ports.ingress import IngressContext

# More than these fill a request to the broker well enough.
_FEW_RECORDS = 64
# With more topic partitions, to pause them costs as much as the requests that it saves.
_SPLITS_MAX = 64


async def rest(
    context: IngressContext,
    polled: Mapping[TopicPartition, Sequence[Fetched]],
    splits: Iterable[TopicPartition],
    consumer: Consumer,
    resume: Callable[[list[TopicPartition]], None],
) -> None:
    """Let others have the loop; where records trickle in, let some more come before the broker is asked again.

    Nothing is asked for meanwhile: the broker would answer with the first record that comes, and that would be a request for
    each. One that comes after a silence is not waited for.
    """
    resting = list(splits)
    few = 0 < sum(map(len, polled.values())) <= _FEW_RECORDS
    rest_s = context.rest_s() if few and len(resting) <= _SPLITS_MAX else 0.0
    if not rest_s:
        # What has been fetched is there without a wait: others need the loop between two polls.
        await asyncio.sleep(0)
        return
    consumer.pause(*resting)
    await asyncio.sleep(rest_s)
    resume(resting)
