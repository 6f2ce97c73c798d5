"""Everything that an application has comes out as lines, and goes in again: the same lines come out of that."""

import json
import tarfile
from pathlib import Path

import pytest

from statefun_runtime.cli import main
from tests.support.flink.savepoints import FOLDER, unpacked
from tests.support.provisions import ROOT

pytestmark = pytest.mark.integration

OLD = ROOT / "tests" / "support" / "state_folders" / "version_2.tar.xz"


def exported(state: Path) -> bytes:
    output = state.with_suffix(".jsonl")
    assert main(["state", "export", "--state-dir", str(state), "--output", str(output)]) == 0
    return output.read_bytes()


def imported(file: Path, state: Path) -> int:
    return main(["state", "import", str(file), "--state-dir", str(state)])


@pytest.mark.parametrize("name", ["A1", "B1", "V31"])
def test_an_export_of_what_was_imported_is_the_same_bytes(name: str, tmp_path: Path):
    where = [
        "--module",
        str(FOLDER / "A-module.yaml"),
        "--state-dir",
        str(tmp_path / "one"),
        "--egress",
        "leave",
    ]
    assert main(["savepoint", "import", str(unpacked(name, tmp_path)), *where]) == 0
    first = exported(tmp_path / "one")
    kinds = {json.loads(line)["kind"] for line in first.splitlines()}
    assert kinds == {"application", "function", "position", "state", "message", "delayed"}
    assert imported(tmp_path / "one.jsonl", tmp_path / "two") == 0
    assert exported(tmp_path / "two") == first


def test_lines_in_another_order_are_the_same_state(tmp_path: Path):
    where = [
        "--module",
        str(FOLDER / "A-module.yaml"),
        "--state-dir",
        str(tmp_path / "one"),
        "--egress",
        "leave",
    ]
    assert main(["savepoint", "import", str(unpacked("Y1", tmp_path)), *where]) == 0
    first = exported(tmp_path / "one")
    head, *lines = first.splitlines(keepends=True)
    by_kind = sorted(lines, key=lambda line: json.loads(line)["kind"])
    (tmp_path / "other.jsonl").write_bytes(b"".join((head, *by_kind)))
    assert imported(tmp_path / "other.jsonl", tmp_path / "two") == 0
    assert exported(tmp_path / "two") == first


def test_what_may_not_have_left_is_not_lost_by_an_export(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """The folder of a worker whose Kafka was away holds two outboxes."""
    with tarfile.open(OLD) as archive:
        archive.extractall(tmp_path / "old", filter="data")
    assert main(["state", "export", "--state-dir", str(tmp_path / "old")]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert (
        "has egress records that may not have left, and an export has no place for them" in told.err
    )


STATE = '{"kind":"state","type":"a/b","id":"1","name":"n","typename":"t/t","value":"AA=="}\n'
HEAD = '{"kind":"application","format":1}\n'


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            STATE,
            'line 1 of {} is not one of an export: the first line has to be {{"kind": "application", "format": 1}}',
        ),
        (HEAD + "{", "line 2 of {} is not one of an export: Expecting property name"),
        (HEAD + "7\n", "line 2 of {} is not one of an export: it is no mapping"),
        (
            HEAD + '{"kind":"x"}\n',
            "line 2 of {} is not one of an export: there is no kind 'x' of lines",
        ),
        (
            HEAD + '{"kind":"state","type":"ab","id":"1"}\n',
            "line 2 of {} is not one of an export: 'ab' is not of the form",
        ),
        (
            HEAD + STATE.replace(',"value":"AA=="', ""),
            "line 2 of {} is not one of an export: 'value' is missing",
        ),
        (
            HEAD + STATE + STATE,
            "line 3 of {} is not one of an export: state 'n' of a/b/1 is there twice",
        ),
        (HEAD + STATE.replace("AA==", "A"), "line 2 of {} is not one of an export: "),
    ],
)
def test_a_line_that_is_none_is_told_and_nothing_imported(
    text: str, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    file = tmp_path / "seed.jsonl"
    file.write_text(text)
    assert imported(file, tmp_path / "state") == 2
    assert capsys.readouterr().err.startswith("SF1128: " + why.format(file))
    assert sorted(path.name for path in (tmp_path / "state").iterdir()) == ["lock"]


def test_a_file_that_is_not_there_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert imported(tmp_path / "none.jsonl", tmp_path / "state") == 2
    assert capsys.readouterr().err.startswith("SF1129: ")
