"""A module without its brokers, for whoever develops: the topics of its Kafka components are in memory."""

import logging
from dataclasses import replace

from statefun_runtime.connectors.kafka.local.specs import locally
from statefun_runtime.connectors.kafka.local.topics import LocalKafka
from statefun_runtime.ports.module import ModuleSpec

log = logging.getLogger("statefun.worker")


def with_local_kafka(module: ModuleSpec, port: int) -> ModuleSpec:
    """Return the module with one Kafka in memory for all of its Kafka components, and say what that means."""
    kafka = LocalKafka(port)
    local = replace(
        module,
        ingresses=tuple(locally(spec, kafka) for spec in module.ingresses),
        egresses=tuple(locally(spec, kafka) for spec in module.egresses),
    )
    log.warning(
        "KAFKA IS IN MEMORY: no broker is asked, and all records end with this process, also those that were sent; "
        "--local-kafka is for development"
    )
    return local
