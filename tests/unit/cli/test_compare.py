"""What `statefun-worker compare` makes of its flags."""

from pathlib import Path

import pytest

from statefun_runtime.cli import main

MODULE = """\
kind: io.statefun.endpoints.v2/http
spec: {functions: t/*, urlPathTemplate: "http://127.0.0.1:1/statefun"}
---
kind: io.statefun.playground.v1/ingress
spec: {port: 8090}
"""


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (
            [],
            "SF1137: no broker is named\nhint: say --kafka HOST:PORT, or --module FILE for its egress\n",
        ),
        (
            ["--kafka", "k:1", "--start", "yesterday"],
            "SF1137: 'yesterday' is neither a time nor offsets\n"
            "hint: a time is 2026-03-01T10:30 or milliseconds since 1970; offsets are 0:1200,1:1187\n",
        ),
        (
            ["--kafka", "k:1", "--end", "c=0:1"],
            "SF1137: 'c=0:1' names a topic that is not compared\nhint: TOPIC=WHERE, or WHERE\n",
        ),
        (
            ["--module", "MODULE"],
            "SF1137: the module has none of Kafka\nhint: --component names an egress or ingress by its id\n",
        ),
        (
            ["--module", "MODULE", "--component", "t/x"],
            "SF1137: the module has no Kafka component 't/x'\nhint: --component names an egress or ingress by its id\n",
        ),
    ],
    ids=["broker", "where", "topic", "kafka", "component"],
)
def test_flags_that_make_no_sense_are_told(
    flags: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    path = tmp_path / "module.yaml"
    path.write_text(MODULE)
    given = [str(path) if flag == "MODULE" else flag for flag in flags]
    assert main(["compare", "a", "b", *given]) == 2
    assert capsys.readouterr().err == told
