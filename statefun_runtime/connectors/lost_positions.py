"""What connectors say alike of positions that do not exist any more: now and then again, and in numbers."""

import logging
from collections.abc import Iterator, Sequence

from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.model.metrics import Metric, MetricKind

log = logging.getLogger("statefun.ingress")

_REMIND_S = 300.0
_NAMED_MAX = 5


class Reminder:
    """Tells again, every few minutes, of what waits for a person; `code` is that of the first telling."""

    def __init__(self, ingress_id: TypeName, code: str) -> None:
        self._ingress_id = ingress_id
        self._code = code
        self._remind_s: float | None = None

    def remind(self, names: Sequence[str], now_s: float) -> None:
        """Tell of these splits, if it is time for that; there may be none."""
        if not names or self._remind_s is None:
            self._remind_s = now_s + _REMIND_S if names else None
            return
        if now_s < self._remind_s:
            return
        self._remind_s = now_s + _REMIND_S
        more = f" and {len(names) - _NAMED_MAX} more" if len(names) > _NAMED_MAX else ""
        log.error(
            "ingress %s still waits where its position is lost: %s%s (%s); --restart-topic says where to go on",
            self._ingress_id,
            ", ".join(names[:_NAMED_MAX]),
            more,
            self._code,
        )


def lost_metrics(source: str, *, lost: int, made_anew: int, restarted: int) -> Iterator[Metric]:
    """Return what waits for a person, and what a person or a new `source`, a topic or a stream, has changed."""
    yield Metric(
        "statefun_ingress_lost_splits",
        MetricKind.GAUGE,
        "splits that wait because their position does not exist any more",
        lost,
    )
    yield Metric(
        "statefun_ingress_made_anew",
        MetricKind.COUNTER,
        f"splits read from their beginning because their {source} was made anew",
        made_anew,
    )
    yield Metric(
        "statefun_ingress_restarted_splits",
        MetricKind.COUNTER,
        "splits whose position was lost, gone on with as --restart-topic says",
        restarted,
    )
