"""What an exactly-once egress of Flink left in Kafka is committed and aborted, once and for all."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import skip_or_fail
from tests.support.flink.left_in_kafka import Flink
from tests.support.kafka.broker import KafkaBroker
from tests.support.kafka.old import OldBroker
from tests.support.provisions import Unavailable

pytestmark = [pytest.mark.integration, pytest.mark.kafka]


@pytest.fixture
def flink(broker: KafkaBroker, tmp_path: Path) -> Flink:
    return Flink(broker, tmp_path)


def test_what_is_prepared_is_committed_and_what_is_open_aborted(flink: Flink):
    tried = flink.imported("--dry-run", "--egress", "commit")
    assert tried.returncode == 0, tried.stderr
    assert "in Kafka: open, to be committed\n" in tried.stdout
    assert "in Kafka: open, to be aborted\n" in tried.stdout
    assert not flink.state.exists()

    asked = flink.imported()
    assert asked.returncode == 2
    assert asked.stderr.startswith("SF1130: ")

    done = flink.imported("--egress", "commit")
    assert done.returncode == 0, done.stderr
    assert flink.read() == [b"prepared"] * 3
    ends = [flink.described(each).state for each in (flink.prepared_id, flink.open_id)]
    assert ends == ["CompleteCommit", "CompleteAbort"]
    assert flink.described(flink.pooled_id).state in ("CompleteAbort", "Empty")

    again = flink.imported("--egress-only")
    assert again.returncode == 0, again.stderr
    assert "in Kafka: committed already\n" in again.stdout
    assert flink.read() == [b"prepared"] * 3


def test_a_savepoint_after_which_the_job_went_on_is_refused(flink: Flink):
    flink.goes_on()
    refused = flink.imported("--egress", "commit")
    assert refused.returncode == 2
    assert refused.stderr.startswith("SF1131: not all output of the savepoint can be committed:\n")
    assert "ended by the old job, which has gone on after this savepoint\n" in refused.stderr
    assert sorted(path.name for path in flink.state.iterdir()) == ["lock"]
    assert flink.imported("--egress", "leave").returncode == 0


@pytest.fixture(scope="module")
def old(pytestconfig: pytest.Config) -> Iterator[OldBroker]:
    broker = None
    try:
        broker = OldBroker()
    except (Unavailable, TimeoutError) as error:
        skip_or_fail(pytestconfig, "Kafka", error)
    yield broker
    broker.close()


def test_a_broker_before_3_0_tells_nothing_beforehand_and_ends_all_the_same(
    old: OldBroker, tmp_path: Path
):
    flink = Flink(old, tmp_path)
    tried = flink.imported("--dry-run", "--egress", "commit")
    assert tried.returncode == 0, tried.stderr
    assert tried.stdout.count("in Kafka: not told by this broker\n") == 2
    done = flink.imported("--egress", "commit")
    assert done.returncode == 0, done.stderr
    # Nothing is open any more, under whichever id: a reader gets to the end.
    assert flink.read() == [b"prepared"] * 3
    assert flink.imported("--egress-only").returncode == 0
    assert flink.read() == [b"prepared"] * 3


def test_a_broker_before_3_0_tells_what_is_lost_when_it_is_to_commit(
    old: OldBroker, tmp_path: Path
):
    flink = Flink(old, tmp_path)
    flink.goes_on()
    told = flink.imported("--egress", "commit")
    assert told.returncode == 2
    assert told.stderr == (
        "SF1131: not all output of the savepoint can be committed:\n"
        f"  {flink.prepared_id}: cannot be committed any more: its timeout had passed, or the old job has gone on after "
        "this savepoint\nhint: the state folder is imported, and those records are missing: go on without them, or "
        "delete the folder\n"
    )
    assert flink.read() == [b"later"] * 3
