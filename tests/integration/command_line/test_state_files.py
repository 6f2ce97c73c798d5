"""Everything that an application has comes out as lines, and goes in again: the same lines come out of that."""

import json
import sys
import tarfile
from base64 import b64decode
from pathlib import Path

import pyarrow
import pytest
import statefun as sdk
from pyarrow import parquet

from statefun_runtime.app.moving.tables import encode_value
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


CUSTOMERS = [
    *("--function", "shop/customer", "--id", "number"),
    *(
        "--value",
        "name=full_name:io.statefun.types/string",
        "--value",
        "orders=n:io.statefun.types/int",
    ),
    *("--value", "raw=raw:shop/Raw"),
]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("c.csv", 'number,full_name,n,raw,more\n1,"Ann, B.",7,{},x\n2,,0,,\n'),
        (
            "c.jsonl",
            '{"number":1,"full_name":"Ann, B.","n":7,"raw":{}}\n\n{"number":"2","full_name":"","n":0,"raw":null}\n',
        ),
    ],
)
def test_a_table_becomes_state(file: str, text: str, tmp_path: Path):
    table = tmp_path / file
    table.write_text(text)
    state = tmp_path / "state"
    assert main(["state", "import", str(table), "--state-dir", str(state), *CUSTOMERS]) == 0
    lines = [json.loads(line) for line in exported(state).splitlines()]
    found = {
        (line["id"], line["name"]): (line["typename"], b64decode(line["value"]))
        for line in lines
        if line["kind"] == "state"
    }
    assert found == {
        ("1", "name"): (
            "io.statefun.types/string",
            sdk.StringType.serializer().serialize("Ann, B."),
        ),
        ("1", "orders"): ("io.statefun.types/int", sdk.IntType.serializer().serialize(7)),
        ("1", "raw"): ("shop/Raw", b"{}"),
        ("2", "orders"): ("io.statefun.types/int", sdk.IntType.serializer().serialize(0)),
    }


@pytest.mark.parametrize(
    ("typename", "text", "value"),
    [
        ("boolean", "true", True),
        ("boolean", "no", False),
        ("int", "-8", -8),
        ("long", "1234567890123", 1234567890123),
        ("float", "0.5", 0.5),
        ("double", "-2.25", -2.25),
        ("string", "übers Meer", "übers Meer"),
    ],
)
def test_a_cell_is_written_as_the_sdk_writes_it(typename: str, text: str, value: object):
    types = {
        "boolean": sdk.BoolType,
        "int": sdk.IntType,
        "long": sdk.LongType,
        "float": sdk.FloatType,
    }
    types |= {"double": sdk.DoubleType, "string": sdk.StringType}
    written = encode_value(f"io.statefun.types/{typename}", text)
    assert written == types[typename].serializer().serialize(value)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            "number,full_name,n,raw\n1,a,many,\n",
            "row 1 of {} cannot be taken: 'many' is no such number: ",
        ),
        (
            "number,full_name,n,raw\n1,a,99999999999,\n",
            "row 1 of {} cannot be taken: '99999999999' is no such number: ",
        ),
        ("number,full_name,n\n1,a,1\n", "row 1 of {} cannot be taken: there is no column 'raw'"),
        (
            "number,full_name,n,raw\n,a,1,\n",
            "row 1 of {} cannot be taken: column 'number' has no id",
        ),
    ],
)
def test_a_row_that_cannot_be_is_told_and_nothing_imported(
    text: str, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    table = tmp_path / "c.csv"
    table.write_text(text)
    state = tmp_path / "state"
    assert main(["state", "import", str(table), "--state-dir", str(state), *CUSTOMERS]) == 2
    assert capsys.readouterr().err.startswith("SF1132: " + why.format(table))
    assert sorted(path.name for path in state.iterdir()) == ["lock"]


@pytest.mark.parametrize(
    "flags", [["--id", "a"], ["--function", "a/b", "--id", "a", "--value", "n=c"]]
)
def test_half_a_mapping_is_told(
    flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["state", "import", "c.csv", "--state-dir", str(tmp_path / "state"), *flags]) == 2
    assert capsys.readouterr().err.startswith("SF1133: ")


@pytest.mark.parametrize("name", ["A1", "B1", "V31"])
def test_parquet_carries_all_that_lines_do(name: str, tmp_path: Path):
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
    file = tmp_path / "one.parquet"
    assert (
        main(["state", "export", "--state-dir", str(tmp_path / "one"), "--output", str(file)]) == 0
    )
    assert parquet.read_table(file).num_rows == len(first.splitlines())
    assert imported(file, tmp_path / "two") == 0
    assert exported(tmp_path / "two") == first


def test_each_kind_of_line_has_a_row_of_parquet_and_comes_back(tmp_path: Path):
    lines = [
        HEAD,
        '{"kind":"function","type":"a/b"}\n',
        '{"kind":"position","ingress":"a/in","split":"t/0","position":{"offset":5,"id":"x"}}\n',
        '{"kind":"result","topic":"out","epoch":3,"index":0,"row":"AQI="}\n',
        '{"kind":"once","type":"a/b","id":"1","key":"k","row":"AQI="}\n',
        '{"kind":"parked","type":"a/b","id":"1","row":"AQI="}\n',
        '{"kind":"state","type":"a/b","id":"","name":"n","typename":"t/t","value":"","written_ms":7,"invoked_ms":9}\n',
    ]
    (tmp_path / "seed.jsonl").write_text("".join(lines))
    assert imported(tmp_path / "seed.jsonl", tmp_path / "one") == 0
    first = exported(tmp_path / "one")
    assert {json.loads(line)["kind"] for line in first.splitlines()} == {
        json.loads(line)["kind"] for line in lines
    }
    file = tmp_path / "one.parquet"
    where = ["state", "export", "--state-dir", str(tmp_path / "one")]
    assert main([*where, "--format", "parquet", "--output", str(file)]) == 0
    assert imported(file, tmp_path / "two") == 0
    assert exported(tmp_path / "two") == first


def test_a_parquet_table_seeds_an_application_as_a_csv_does(tmp_path: Path):
    columns = {
        "number": [4711, 4712],
        "full_name": ["Ann", None],
        "orders": pyarrow.array([3.0, None]),
        "raw": [b"\x00\xff", b"x"],
        "tags": [["a", "ä"], []],
        "ignored": [1, 2],
    }
    file = tmp_path / "customers.parquet"
    parquet.write_table(pyarrow.table(columns), file)
    mapping = ["--function", "shop/customer", "--id", "number"]
    for value in (
        "name=full_name:io.statefun.types/string",
        "orders=orders:io.statefun.types/int",
        "raw=raw:shop/raw",
        "tags=tags:shop/tags",
    ):
        mapping += ["--value", value]
    assert main(["state", "import", str(file), "--state-dir", str(tmp_path / "s"), *mapping]) == 0
    lines = [json.loads(line) for line in exported(tmp_path / "s").splitlines()]
    found = {
        (line["id"], line["name"]): b64decode(line["value"])
        for line in lines
        if line["kind"] == "state"
    }
    assert found == {
        ("4711", "name"): encode_value("io.statefun.types/string", "Ann"),
        ("4711", "orders"): encode_value("io.statefun.types/int", "3"),
        ("4711", "raw"): b"\x00\xff",
        ("4711", "tags"): '["a", "ä"]'.encode(),
        ("4712", "raw"): b"x",
        ("4712", "tags"): b"[]",
    }


def told_of(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(arguments) == 2
    return capsys.readouterr().err


def test_parquet_that_cannot_be_taken_is_told_and_nothing_imported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    file, state = tmp_path / "x.parquet", tmp_path / "state"
    command = ["state", "import", str(file), "--state-dir", str(state)]
    file.write_bytes(b"PAR1 but not much of it")
    assert told_of(command, capsys).startswith(f"SF1139: {file} cannot be read as Parquet: ")
    parquet.write_table(
        pyarrow.table({"kind": ["application", "planet"], "format": [1, None]}), file
    )
    assert told_of(command, capsys) == (
        f"SF1128: line 2 of {file} is not one of an export: there is no kind 'planet' of rows\n"
        "hint: docs/reference/state-files.md has the lines that there are; nothing was imported\n"
    )
    mapping = ["--function", "a/b", "--id", "number", "--value", "s=kind:t/t"]
    assert told_of([*command, *mapping], capsys).startswith(
        f"SF1132: row 1 of {file} cannot be taken: there is no column 'number'\n"
    )
    assert sorted(path.name for path in state.iterdir()) == ["lock"]


def test_parquet_without_its_library_names_the_extra(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "seed.jsonl").write_text(HEAD + STATE)
    assert imported(tmp_path / "seed.jsonl", tmp_path / "one") == 0
    capsys.readouterr()
    # How Python says that a module is not there.
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    where = ["state", "export", "--state-dir", str(tmp_path / "one")]
    assert told_of([*where, "--output", str(tmp_path / "x.parquet")], capsys) == (
        "SF1138: Parquet needs a library that is not installed\n"
        "hint: pip install 'statefun-runtime[parquet]', or use lines of JSON\n"
    )
    assert not list(tmp_path.glob("x.parquet*"))
    assert told_of([*where, "--format", "parquet"], capsys) == (
        "SF1140: Parquet has to be written to a file\nhint: say --output FILE.parquet\n"
    )
