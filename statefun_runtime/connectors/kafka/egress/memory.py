"""What an exactly-once egress knows of its publishing in earlier lives: how far it was, and on which cluster.

It is in every checkpoint, so that a progress topic that has vanished, and an address that leads to another cluster, are
noticed before a record is published twice. Only a person can say that it may be.
"""

import logging
from typing import TypeVar

from statefun_runtime.core.checkpoints.manifest import Progress
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.outboxes.epoch_outbox import Outboxes
from statefun_runtime.errors import ConfigError, CorruptionError

log = logging.getLogger("statefun.egress")

R = TypeVar("R")


class Memory:
    """The memory of one egress; `may_republish` is what a person says with --republish-egress."""

    def __init__(
        self, egress_id: TypeName, restored: Progress | None, *, may_republish: bool
    ) -> None:
        self._egress_id = egress_id
        self._known = restored
        self._may_republish = may_republish
        self._is_new = restored is None

    def progress(self, confirmed_epoch: int) -> Progress | None:
        """Return what a checkpoint shall hold."""
        if self._known is None:
            return None
        return Progress(max(self._known.epoch, confirmed_epoch), self._known.cluster)

    def check_cluster(self, cluster: str | None, outboxes: Outboxes[R]) -> None:
        """Look whether this is the cluster of before; raise ConfigError if it is not, and it matters."""
        before = self.progress(outboxes.confirmed_epoch)
        if before is None or None in (before.cluster, cluster) or before.cluster == cluster:
            return
        outboxes.published(before.epoch + 1, 0)
        if outboxes.has_queued and not self._may_republish:
            raise ConfigError(
                f"egress '{self._egress_id}' has {outboxes.count} records that may have been published "
                f"to Kafka cluster {before.cluster}, and its address leads to cluster {cluster}",
                code="SF1036",
                hint=f"put the address back until they have left; or say --republish-egress {self._egress_id} "
                "to publish them to the new cluster, perhaps once more",
            )
        log.warning("egress %s moves to Kafka cluster %s", self._egress_id, cluster)
        self._known, self._is_new = Progress(before.epoch, cluster), True

    def check_topic(self, topic: str, *, is_there: bool) -> None:
        """Raise CorruptionError if the progress topic was there, and is not."""
        if is_there or self._is_new:
            return
        if not self._may_republish:
            raise CorruptionError(
                f"the progress topic {topic} has vanished, and with it what was published",
                code="SF5006",
                hint="restore the topic; or say "
                f"--republish-egress {self._egress_id} to publish what the last checkpoint holds, perhaps once more",
            )
        log.warning("egress %s makes a new progress topic", self._egress_id)
        self._is_new = True

    def begun(self, cluster: str | None) -> None:
        """The progress topic holds a claim of this worker."""
        epoch = 0 if self._known is None else self._known.epoch
        self._known, self._is_new = Progress(epoch, cluster), False
