"""What Kafka in memory does with what a checkpoint knows of a real broker."""

from dataclasses import replace
from pathlib import Path

import pytest

from statefun_runtime.connectors.kafka.local.specs import locally
from statefun_runtime.connectors.kafka.local.topics import LocalKafka
from statefun_runtime.connectors.kafka.specs import KafkaEgressSpec
from statefun_runtime.core.checkpoints.manifest import Progress
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.errors import ConfigError
from tests.fakes.contexts import egress_context


def test_an_egress_that_has_published_to_a_broker_is_not_put_into_memory(tmp_path: Path):
    spec = locally(KafkaEgressSpec(TypeName("t", "out"), "kafka:9092"), LocalKafka(0))
    fresh = egress_context(tmp_path)

    spec.build(fresh)
    with pytest.raises(ConfigError) as refusal:
        spec.build(replace(fresh, progress=Progress(3, None)))

    assert refusal.value.code == "SF1163"
    assert refusal.value.message == (
        "egress 't/out' is to be in memory, and the state folder knows of a real broker how far it has published, which would be lost"
    )
