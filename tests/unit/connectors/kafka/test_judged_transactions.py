"""What has become of a transaction that Flink left is told from what the broker knows of its id."""

import pytest

from statefun_runtime.connectors.kafka.client.transactions import Described
from statefun_runtime.connectors.kafka.egress.takeover import Left, Standing, judge

PREPARED = Left("id", producer_id=7, epoch=3, started_ms=1_000, is_prepared=True)
OPEN = Left("id", producer_id=7, epoch=3, started_ms=1_000, is_prepared=False)
SOON, LATE = 2_000, 70_000


def described(state: str, epoch: int = 3, producer_id: int = 7) -> Described:
    return Described(state, producer_id, epoch, timeout_ms=60_000)


@pytest.mark.parametrize(
    ("left", "found", "now_ms", "standing"),
    [
        (PREPARED, described("Ongoing"), SOON, Standing.TO_COMMIT),
        (PREPARED, described("CompleteCommit"), SOON, Standing.COMMITTED),
        (PREPARED, described("PrepareCommit"), SOON, Standing.COMMITTED),
        # The broker ends what is late, under the next epoch.
        (PREPARED, described("CompleteAbort", epoch=4), LATE, Standing.EXPIRED),
        (PREPARED, Described(""), LATE, Standing.EXPIRED),
        # A job that goes on begins anew under the next epoch, or another producer.
        (PREPARED, described("Ongoing", epoch=4), SOON, Standing.FENCED),
        (PREPARED, described("CompleteCommit", epoch=4), LATE, Standing.FENCED),
        (PREPARED, described("CompleteAbort", epoch=4), SOON, Standing.FENCED),
        (PREPARED, described("Empty", producer_id=8), LATE, Standing.FENCED),
        (PREPARED, None, SOON, Standing.UNKNOWN),
        (OPEN, described("Ongoing"), SOON, Standing.TO_ABORT),
        (OPEN, described("Empty"), SOON, Standing.ENDED),
        (OPEN, described("Ongoing", epoch=4), SOON, Standing.ENDED),
        (OPEN, Described(""), LATE, Standing.ENDED),
    ],
)
def test_a_transaction_is_judged(
    left: Left, found: Described | None, now_ms: int, standing: Standing
):
    assert judge(left, found, now_ms) is standing
