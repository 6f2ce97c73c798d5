"""Dead letters of egresses: records that a broker refuses for good, though they were checked before."""

import logging
from typing import Any

from statefun_runtime.core.model.dead_letter import Origin
from statefun_runtime.core.module.specs import KafkaEgressSpec, KinesisEgressSpec
from statefun_runtime.engine.dispatch.outcomes import Outcomes

log = logging.getLogger("statefun.egress")


class EgressLetters:
    """Takes what egresses cannot get rid of."""

    def __init__(self, outcomes: Outcomes) -> None:
        self._outcomes = outcomes

    def tell(
        self,
        spec: KafkaEgressSpec | KinesisEgressSpec,
        record: tuple[str, bytes | None, bytes, *tuple[Any, ...]],
        why: str,
    ) -> bool:
        """Make a dead letter of a record that the broker refuses; return whether that could be done.

        A record is its topic or stream, its key, its value, and all of it as the function sent it.
        """
        if spec.dead_letters is None:
            return False
        topic, key, value, *_ = record
        origin = Origin(f"egress {spec.id}", topic, "", key, value)
        refused = self._outcomes.forward(spec.dead_letters, origin, reason="refused", error=why)
        if refused is not None:
            return False
        log.error(
            "egress %s: a record of %d bytes for topic %s is a dead letter, the broker refuses it for good: %s",
            spec.id,
            len(value),
            topic,
            why,
        )
        return True
