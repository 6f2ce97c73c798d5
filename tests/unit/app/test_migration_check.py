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
