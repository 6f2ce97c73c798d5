"""The topics of a cluster on a broker under test."""

import asyncio
import uuid

from statefun_runtime.connectors.kafka.cluster.topics import Brokers, make_topics
from tests.support.kafka.broker import KafkaBroker


def cluster_topics(broker: KafkaBroker) -> Brokers:
    """Make the topics of a cluster that nobody else has."""
    brokers = Brokers(f"c{uuid.uuid4().hex[:8]}", broker.bootstrap)
    asyncio.run(make_topics(brokers))
    return brokers
