"""A move from Flink is judged from its configuration and the module."""

import json
from pathlib import Path

import pytest

from statefun_runtime.cli import main
from tests.support.flink.savepoints import FOLDER

MODULE = str(FOLDER / "A-module.yaml")


def checked(text: str, tmp_path: Path, *more: str) -> int:
    config = tmp_path / "flink-conf.yaml"
    config.write_text(text)
    return main(["module", "check-migration", str(config), MODULE, *more])


def test_what_is_carried_what_differs_and_what_means_nothing_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    text = (
        "execution.checkpointing.interval: 5s\n"
        "restart-strategy: fixed-delay\n"
        "taskmanager.memory.process.size: 4g\n"
        "statefun.async.max-per-task: 2048\n"
        "akka.ask.timeout: 10 s\n"
    )
    assert checked(text, tmp_path, "--format", "json") == 0
    found = {
        one["what"].partition(":")[0]: one["verdict"]
        for one in json.loads(capsys.readouterr().out)
        if "flink-conf" in one["where"]
    }
    assert found == {
        "execution.checkpointing.interval": "DIFFERS",
        "restart-strategy": "DIFFERS",
        "taskmanager.memory.process.size": "NOTHING",
        "statefun.async.max-per-task": "CARRIED",
        "akka.ask.timeout": "NOTHING",
    }


def test_the_transactions_of_an_egress_are_told_with_their_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert checked("parallelism.default: 2\n", tmp_path) == 0
    assert (
        "  egress acme.io/acks  Flink leaves transactions open that hold output of the savepoint: they have to be "
        "committed within its transactionTimeout, 14 min: `savepoint import --egress commit` does it\n"
    ) in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("state.backend.changelog.enabled: true", "the changelog backend's files are not read"),
        ("statefun.message.serializer: WITH_KRYO_PAYLOADS", "in a form that only Java reads"),
        ("state.checkpoints.num-retained: many", "state.checkpoints.num-retained"),
    ],
)
def test_what_stands_against_it_comes_first_and_is_the_status(
    line: str, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert checked(f"{line}\n", tmp_path) == 1
    first, second, *_ = capsys.readouterr().out.splitlines()
    assert first == "stands against it:"
    assert why in second


PAGE = """\
# TYPE flink_taskmanager_job_task_operator_functions_com_acme_shop_cart_inRate gauge
flink_taskmanager_job_task_operator_functions_com_acme_shop_cart_inRate{host="a",subtask_index="0",} 1000.0
flink_taskmanager_job_task_operator_functions_com_acme_shop_cart_inRate{host="a",subtask_index="1",} 1500.0
flink_taskmanager_job_task_operator_functions_demo_ttl_inRate{host="a",subtask_index="0",} NaN
flink_taskmanager_job_task_operator_functions_com_acme_shop_cart_inflightAsyncOps{subtask_index="0",} 1000.0
flink_taskmanager_job_task_operator_numRecordsInPerSecond{subtask_index="0",} 9000.0
"""
JOB = """\
flink_jobmanager_job_lastCheckpointSize{job_id="x",} 4000.0
flink_jobmanager_job_lastCheckpointFullSize{job_id="x",} 2.0E9
"""


def test_the_size_is_reckoned_from_the_metrics_of_the_old_job(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "task.txt").write_text(PAGE)
    (tmp_path / "job.txt").write_text(JOB)
    pages = ["--metrics", str(tmp_path / "task.txt"), "--metrics", str(tmp_path / "job.txt")]
    assert checked("parallelism.default: 2\n", tmp_path, *pages, "--addresses", "1000000") == 0
    told = capsys.readouterr().out
    assert told[told.index("how large") :] == (
        "how large, from the old load:\n"
        "  cores  0.06 at twice 2,500 messages/s: one worker is enough\n"
        "  partitions  8, the default: they cost nothing in one process; --set pipeline.max-parallelism=128 leaves room "
        "to grow, and is fixed with the import\n"
        "  memory  720 MB for 1,000,000 addresses, 0 delayed messages, and up to 768 MB while endpoints or the disk are "
        "away\n"
        "  disk  7.0 GB for 2.0 GB of state, and up to 14 GB while endpoints or brokers are away\n"
    )


def test_metrics_that_say_nothing_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    page = tmp_path / "page.txt"
    page.write_text("jvm_memory 5\n")
    assert checked("", tmp_path, "--metrics", str(page)) == 2
    assert capsys.readouterr().err == (
        f"SF1141: no metric of StateFun or Flink is in {page}\n"
        "hint: save what Flink's Prometheus reporter serves (curl http://TASKMANAGER:9249/metrics), or give numbers: "
        "--messages-per-second, --addresses, --state-bytes\n"
    )
