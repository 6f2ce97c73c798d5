"""What is imported is what the savepoint had; and all of it is imported, or nothing."""

import asyncio
import json
import struct
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

from statefun_runtime.adapters.off_loop import in_a_thread
from statefun_runtime.adapters.storage.commit_log_folder import CommitLogFolder
from statefun_runtime.adapters.storage.object_folder import ObjectFolder
from statefun_runtime.adapters.storage.rocksdb import RocksDbStore
from statefun_runtime.adapters.storage.state_folder import StateFolder
from statefun_runtime.cli import main
from statefun_runtime.connectors.flink.files.hashes import flink_key_group, operator_id
from statefun_runtime.connectors.flink.rows.function_rows import Value
from statefun_runtime.connectors.flink.rows.savepoint import Savepoint
from statefun_runtime.core.checkpoints.commits import Completed
from statefun_runtime.core.checkpoints.manifest import Manifest
from statefun_runtime.core.model.keys import parse_address_key, parse_chunk_key
from statefun_runtime.core.model.messages import read_fields, split_fields
from statefun_runtime.core.model.state import decode_row
from statefun_runtime.core.partition.timers import decode_delayed
from statefun_runtime.engine.checkpoints.recovery import open_live, read_manifest
from statefun_runtime.errors import ConfigError
from tests.support.flink.savepoints import ENDS, FOLDER, NAMES, expected_rows, unpacked
from tests.support.flink.writer import meta, rewrite, utf

MODULE = FOLDER / "A-module.yaml"
Row = dict[str, Any]


def imported(folder: Path, state: Path, *more: str) -> int:
    where = ["--module", str(MODULE), "--state-dir", str(state), "--egress", "leave"]
    return main(["savepoint", "import", str(folder), *where, *more])


async def opened(state: Path, scratch: Path) -> tuple[Manifest, dict[bytes, bytes]]:
    """Return the last checkpoint of a state folder and all its rows."""
    log = CommitLogFolder(state / "log", in_a_thread)
    objects = ObjectFolder(state / "objects", in_a_thread)
    *_, last = await log.read()
    assert isinstance(last, Completed)
    manifest = await read_manifest(objects, last.manifest)
    store, heads = await open_live(
        manifest.whole(), objects, lambda: scratch, RocksDbStore, in_a_thread
    )
    rows = dict(store.scan(b""))
    store.discard()
    assert not heads
    return manifest, rows


def checkpoint(state: Path, tmp_path: Path) -> tuple[Manifest, dict[bytes, bytes]]:
    return asyncio.run(opened(state, tmp_path / "live"))


def parts(invocation: bytes) -> list[Any]:
    ((_, content),) = read_fields(invocation)
    fields = dict(read_fields(content))
    sender = None
    if 1 in fields:
        texts = dict(read_fields(fields[1]))
        namespace, name, id_ = (texts.get(number, b"").decode() for number in (1, 2, 3))
        sender = [f"{namespace}/{name}", id_]
    value = dict(read_fields(fields[2]))
    return [sender, value.get(1, b"").decode(), value.get(3, b"").hex()]


def values_of(rows: dict[bytes, bytes]) -> dict[tuple[str, str, str], tuple[str, str, int]]:
    found = {}
    for key, row in rows.items():
        if key[2:3] == b"s":
            address, values = parse_address_key(key), decode_row(row)
            for name, field in values.fields.items():
                ((_, content),) = read_fields(field)
                typed = dict(read_fields(dict(read_fields(content))[2]))
                what = (typed[1].decode(), typed.get(3, b"").hex())
                stamp = (values.written_ms or {}).get(name, 0)
                found[str(address.type), address.id, name] = (*what, stamp)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_the_checkpoint_has_what_the_savepoint_had(name: str, tmp_path: Path):
    expected: dict[str, list[Row]] = defaultdict(list)
    for row in expected_rows(name):
        expected[row["kind"]].append(row)
    state = tmp_path / "state"
    assert imported(unpacked(name, tmp_path), state) == 0
    manifest, rows = checkpoint(state, tmp_path)

    assert values_of(rows) == {
        (row["type"], row["id"], row["state"]): (
            row["typename"],
            row["value"],
            row.get("last_access", 0),
        )
        for row in expected["state"]
    }
    waiting: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for key in sorted(rows):
        if key[2:3] == b"c":
            address, _ = parse_chunk_key(key)
            some = [parts(one) for one in split_fields(rows[key])]
            waiting[str(address.type), address.id] += some
    ordered: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for row in expected["message"]:
        ordered[tuple(row["to"])].append([row["sender"], row["typename"], row["value"]])
    assert waiting == ordered
    delayed = Counter(_timer(key, row) for key, row in rows.items() if key[2:3] == b"t")
    assert delayed == Counter(
        json.dumps(
            [row["due"], row["to"], row["token"], [row["sender"], row["typename"], row["value"]]]
        )
        for row in expected["delayed"]
    )
    assert manifest.positions["acme.io/cmds"] == {
        f"{row['topic']}/{row['partition']}": row["next"] for row in expected["kafka_offset"]
    }


def _timer(key: bytes, row: bytes) -> str:
    delayed = decode_delayed(row)
    due = int.from_bytes(key[3:11], "big")
    to = [str(delayed.target_type), delayed.target_id]
    return json.dumps([due, to, delayed.token, parts(delayed.invocation)])


def test_a_dry_run_writes_nothing_and_says_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    folder, state = unpacked("B1", tmp_path), tmp_path / "state"
    assert imported(folder, state, "--dry-run", "--format", "json") == 0
    tried = json.loads(capsys.readouterr().out)
    assert not state.exists()
    assert imported(folder, state, "--format", "json") == 0
    done = json.loads(capsys.readouterr().out)
    for report in (tried, done):
        report.pop("seconds")
    assert tried.pop("is_dry_run") is True
    assert done.pop("is_dry_run") is False
    assert tried == done
    assert done["functions"]["demo/slow"] == {
        "addresses": 46,
        "values": 92,
        "in_flight": 35,
        "queued": 201,
        "looped": 21,
        "delayed": 49,
    }
    assert [one["is_prepared"] for one in done["transactions"]] == [False, True, False, True]


def test_what_the_module_does_not_name_is_refused_and_left_out_on_request(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    folder, state = unpacked("Y1", tmp_path), tmp_path / "state"
    module = tmp_path / "module.yaml"
    module.write_text(MODULE.read_text().replace("acme.io/acks", "acme.io/other"))
    where = ["--module", str(module), "--state-dir", str(state), "--egress", "leave"]
    assert main(["savepoint", "import", str(folder), *where]) == 2
    told = capsys.readouterr().err
    name = "operator:1f7ac2ccbe5623526a3dd7ee8e9c2256"
    assert told == (
        "SF1121: not all of the savepoint can be carried:\n"
        f"  {name}: 1 subtasks with state of an operator that the module does not name\n"
        "hint: to leave something out on purpose, say --without NAME for each\n"
    )
    assert sorted(path.name for path in state.iterdir()) == ["lock"]
    assert main(["savepoint", "import", str(folder), *where, "--without", name]) == 0
    assert f"  {name}: 1 subtasks" in capsys.readouterr().out


def test_a_function_type_is_left_out_with_its_state_and_messages(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    folder, state = unpacked("A1", tmp_path), tmp_path / "state"
    assert imported(folder, state, "--without", "demo/slow") == 0
    _, rows = checkpoint(state, tmp_path)
    assert not [key for key in rows if b"demo/slow" in key]
    assert not [row for key, row in rows.items() if key[2:3] == b"t" and b"demo/slow" in row[:99]]


def test_names_that_can_be_read_in_two_ways_are_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    folder, state = unpacked("Y1", tmp_path), tmp_path / "state"
    module = tmp_path / "module.yaml"
    module.write_text(MODULE.read_text().replace("unused/*", "com.acme/*"))
    where = ["--module", str(module), "--state-dir", str(state), "--egress", "leave"]
    assert main(["savepoint", "import", str(folder), *where]) == 2
    told = capsys.readouterr().err
    assert "com.acme.shop.cart may be com.acme/shop.cart or com.acme.shop/cart\n" in told
    said = ["--function", "com.acme.shop/cart", "--function", "com.acme.shop/timer"]
    assert main(["savepoint", "import", str(folder), *where, *said]) == 0


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            ["--without", "demo/olt"],
            "SF1125: --without demo/olt: the savepoint has nothing of that name\n",
        ),
        (["--function", "cart"], "SF1126: 'cart' is not of the form 'namespace/name'\n"),
    ],
)
def test_a_slip_in_a_name_is_told(
    more: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert imported(unpacked("Y1", tmp_path), tmp_path / "state", *more) == 2
    assert capsys.readouterr().err.startswith(message)


def test_a_folder_without_metadata_is_no_savepoint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    folder = unpacked("Y1", tmp_path)
    assert imported(folder.parent, tmp_path / "state") == 2
    assert f"hint: name one of the folders in it: {folder.name}\n" in capsys.readouterr().err


def test_an_import_needs_an_empty_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folder, state = unpacked("Y1", tmp_path), tmp_path / "state"
    assert imported(folder, state) == 0
    before = sorted(state.rglob("*"))
    assert imported(folder, state) == 2
    assert "is not empty: there is log, objects\n" in capsys.readouterr().err
    assert sorted(state.rglob("*")) == before


def test_what_is_left_of_an_import_that_did_not_end_is_begun_anew(tmp_path: Path):
    folder, state = unpacked("Y1", tmp_path), tmp_path / "state"
    dying = StateFolder(state, for_import=True)
    dying.begin_import()
    (state / "objects").mkdir()
    (state / "objects" / "half").touch()
    dying.close()
    with pytest.raises(ConfigError, match="did not end") as refused:
        StateFolder(state)
    assert refused.value.code == "SF1124"
    assert imported(folder, state) == 0
    assert not (state / "objects" / "half").exists()
    StateFolder(state).close()


def test_damage_is_named_refused_and_accepted_only_on_request(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    folder, state = unpacked("Y1", tmp_path), tmp_path / "state"
    (file,) = (path for path in folder.iterdir() if path.name != "_metadata")
    rows = (
        row
        for meaning, row in Savepoint(folder, ENDS).function_rows()
        if isinstance(meaning, Value)
    )
    offset = next(row.offset for row in rows if row.key[2:-1].isalnum())
    content = bytearray(file.read_bytes())
    # The first letter of an id, behind the key's length, its key group and the id's length.
    content[offset + 6] ^= 1
    file.write_bytes(content)
    status = imported(folder, state)
    told = capsys.readouterr().err
    assert status == 1
    assert told.startswith(
        f"SF5021: the savepoint is damaged in 1 places:\n  {file.name}, offset {offset}: id "
    )
    assert sorted(path.name for path in state.iterdir()) == ["lock"]
    assert imported(folder, state, "--accept-damage") == 0
    assert f"  {file.name}, offset " in capsys.readouterr().out


def table(*entries: tuple[str, bytes | None, bytes | None]) -> bytes:
    """A table as Flink writes one into a snapshot: each key and each value with its length, or absent."""
    parts = [struct.pack(">qi", 0x4F2C69A3D70, len(entries))]
    for name, *cells in entries:
        parts.append(utf(name))
        for cell in cells:
            parts.append(b"\0" if cell is None else b"\1" + struct.pack(">i", len(cell)) + cell)
    return b"".join(parts)


RUNTIME = "org.apache.flink.api.java.typeutils.runtime"
LONGS = (
    struct.pack(">i", 2)
    + utf("org.apache.flink.api.common.typeutils.base.LongSerializer$LongSerializerSnapshot")
    + struct.pack(">i", 3)
)
FIELD = utf("com.acme.Cart") + utf("total")
SNAPSHOTS = {
    "pojo of com.acme.Cart": utf(f"{RUNTIME}.PojoSerializerSnapshot")
    + struct.pack(">i", 2)
    + utf("com.acme.Cart")
    + table(("total", FIELD, LONGS), ("missing-field-at-1", None, LONGS))
    + table(("com.acme.BigCart", b"", LONGS))
    + table(),
    "enum of com.acme.Color": utf(
        "org.apache.flink.api.common.typeutils.base.EnumSerializer$EnumSerializerSnapshot"
    )
    + struct.pack(">i", 3)
    + utf("com.acme.Color")
    + struct.pack(">i", 2)
    + utf("RED")
    + utf("GREEN"),
    "array of com.acme.Cart": b"",
}
SNAPSHOTS["array"] = (
    utf("org.apache.flink.api.common.typeutils.base.GenericArraySerializerSnapshot")
    + struct.pack(">iii", 3, 911108, 1)
    + utf("com.acme.Cart")
    + struct.pack(">iii", 1333245, 1, 1)
    + SNAPSHOTS["enum of com.acme.Color"]
)
del SNAPSHOTS["array of com.acme.Cart"]


@pytest.mark.parametrize("serializer", SNAPSHOTS)
def test_state_of_java_functions_is_counted_and_does_not_stop_the_rest(
    serializer: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    folder = unpacked("Y1", tmp_path)
    function_id, value = "java", b"what only Java reads"
    group = flink_key_group(function_id, 128)

    def with_row(metas: list[Any], groups: list[bytes]) -> list[bytes]:
        head = bytes((group | 0x80, len(function_id) + 1))
        key = head + function_id.encode() + b"\0"
        row = struct.pack(">i", len(key)) + key + struct.pack(">i", len(value)) + value
        before = groups[group].removesuffix(b"\xff\xff")
        number = struct.pack(">H", len(metas) - 1)
        return [
            before + number + row + b"\xff\xff" if at == group else each
            for at, each in enumerate(groups)
        ]

    rewrite(folder, with_row, more_metas=(meta("com.acme.java.cart", SNAPSHOTS[serializer]),))
    assert imported(folder, tmp_path / "state") == 2
    told = capsys.readouterr().err
    assert told.startswith("SF1121: "), told
    assert "state:com.acme.java.cart" in told
    assert serializer in told
    assert imported(folder, tmp_path / "state", "--without", "state:com.acme.java.cart") == 0
    values = [row for row in expected_rows("Y1") if row["kind"] == "state"]
    _, rows = checkpoint(tmp_path / "state", tmp_path)
    assert len(values_of(rows)) == len(values)


def test_operators_of_statefun_3_0_are_known_by_the_names_that_they_had_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """No savepoint of 3.0 is at hand: this is one of 3.1 with the names that its source makes."""
    folder = unpacked("V31", tmp_path)
    path = folder / "_metadata"
    content = path.read_bytes()
    for now, then in (
        ("statefun.kafka.io-universal-ingress", "io.statefun.kafka-ingress"),
        ("statefun.kafka.io-universal-egress", "io.statefun.kafka-egress"),
    ):
        name = "acme.io-cmds-ingress" if "ingress" in now else "acme.io-acks-egress"
        old, new = (bytes.fromhex(operator_id(f"{each}-{name}")) for each in (now, then))
        assert content.count(old) == 1
        content = content.replace(old, new)
    path.write_bytes(content)
    reports = []
    for one in (folder, unpacked("V31", tmp_path / "other")):
        assert imported(one, tmp_path / "state", "--dry-run", "--format", "json") == 0
        report = json.loads(capsys.readouterr().out)
        reports.append({**report, "savepoint": "", "seconds": 0})
    assert reports[0] == reports[1]
    assert reports[0]["positions"]
    assert reports[0]["transactions"]


def test_the_form_that_only_the_heap_backend_has_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    folder = unpacked("Y1", tmp_path)
    rewrite(
        folder,
        lambda _, groups: [
            each and at.to_bytes(4, "big") + b"\0\0" + bytes(20) for at, each in enumerate(groups)
        ],
    )
    assert imported(folder, tmp_path / "state") == 1
    told = capsys.readouterr().err
    assert told.startswith("SF5021: ")
    assert "it is in the form of the heap backend alone, which checkpoints of it have" in told
