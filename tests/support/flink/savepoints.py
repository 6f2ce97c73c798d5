"""Savepoints of real StateFun jobs, with the rows that must come out of them.

The rows were proven with the journal of the jobs' function server, and with what StateFun itself restored.
"""

import gzip
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from statefun_runtime.connectors.flink.rows.envelopes import Envelope
from statefun_runtime.connectors.flink.rows.function_rows import (
    Alarm,
    Delayed,
    Foreign,
    InFlight,
    Queued,
    Requests,
    Token,
    Value,
)
from statefun_runtime.connectors.flink.rows.operator_rows import (
    UNRESOLVED,
    Offset,
    Pool,
    Transaction,
)
from statefun_runtime.connectors.flink.rows.savepoint import Savepoint
from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.model.messages import read_fields

FOLDER = Path(__file__).parent / "data"
NAMES = ("A1", "A1n", "A1c", "B1", "V31", "Y1")
ENDS = (TypeName("acme.io", "cmds"), TypeName("acme.io", "acks"))
FUNCTIONS = ("com.acme.shop/cart", "com.acme.shop/timer", "demo/ttl", "demo/slow", "demo/late")
Row = dict[str, Any]


def unpacked(name: str, folder: Path) -> Path:
    """Unpack a savepoint; return its folder."""
    with tarfile.open(FOLDER / f"{name}.tgz") as archive:
        archive.extractall(folder, filter="data")
    (metadata,) = (folder / name).glob("*/_metadata")
    return metadata.parent


def truth(name: str, folder: Path) -> Path:
    """Unpack the journal of a savepoint's job; return its folder."""
    with tarfile.open(FOLDER / f"{name}.truth.txz") as archive:
        archive.extractall(folder, filter="data")
    return folder


def expected_rows(name: str) -> list[Row]:
    """Return the rows that a savepoint is known to have."""
    lines = gzip.decompress((FOLDER / f"{name}.rows.jsonl.gz").read_bytes()).splitlines()
    rows = [json.loads(line) for line in lines]
    return [row for row in rows if row["kind"] not in ("summary", "kafka_txn_hint")]


def read_rows(savepoint: Savepoint) -> Iterator[Row]:
    """Yield what a savepoint has, in the words of the expected rows."""
    for known in savepoint.operators:
        operator = known.operator
        yield {
            "kind": "operator",
            "id": operator.id,
            "uid": known.uid,
            "parallelism": operator.parallelism,
            "max_parallelism": operator.max_parallelism,
            "subtasks": len(operator.subtasks),
        }
        for subtask in operator.subtasks:
            assert not subtask.has_channel_state
        yield from (_operator_row(known.name, row) for row in savepoint.operator_rows(known))
    yield from _function_rows(savepoint)


def _operator_row(name: str, row: object) -> Row:
    match row:
        case Offset():
            next_ = UNRESOLVED.get(row.last, row.next)
            place = {"topic": row.topic, "partition": row.partition}
            return {
                "kind": "kafka_offset",
                "operator": name,
                **place,
                "last": row.last,
                "next": next_,
            }
        case Transaction():
            state = "prepared: to be committed" if row.is_prepared else "open: to be aborted"
            about = {"state": state, "transactional_id": row.transactional_id}
            who = {"producer_id": row.producer_id, "epoch": row.epoch, "started": row.started_ms}
            return {"kind": "kafka_txn", "operator": name, **about, **who}
        case Pool():
            return {"kind": "kafka_txn_pool", "operator": name, "ids": list(row.ids)}
    raise AssertionError(f"{row} is not expected")


def _function_rows(savepoint: Savepoint) -> Iterator[Row]:
    by_dots = {name.replace("/", "."): name for name in FUNCTIONS}
    calls, queues, delayed = [], [], []
    for row, _ in savepoint.function_rows():
        match row:
            case Value():
                stamp = {} if row.last_access_ms is None else {"last_access": row.last_access_ms}
                what = {"type": by_dots[row.type], "id": row.id, "state": row.state}
                content = {"typename": row.typename, "value": row.content.hex()}
                yield {"kind": "state", **what, **content, **stamp}
            case InFlight():
                calls.append(row.call)
            case Queued():
                queues.append((by_dots[row.type], row.id, row.invocations))
            case Delayed():
                delayed.append((row.due_ms, row.envelope))
            case Foreign():
                raise AssertionError(f"{row} is not expected")
            case Requests() | Token() | Alarm():
                pass
    sequences: dict[tuple[str, str], int] = {}
    for call in calls:
        to = (str(call.target.type), call.target.id)
        yield from (_message("in-flight", to, one, sequences) for one in call.invocations)
    for type_, id_, invocations in queues:
        yield from (_message("queue", (type_, id_), one, sequences) for one in invocations)
    for envelope in savepoint.loop_rows():
        to = (str(envelope.target.type), envelope.target.id)
        yield _message("loop", to, envelope.as_invocation(), sequences)
    yield from (_delayed(due, envelope) for due, envelope in delayed)


def _message(
    where: str, to: tuple[str, str], invocation: bytes, sequences: dict[tuple[str, str], int]
) -> Row:
    sequences[to] = sequences.get(to, -1) + 1
    sender, value = _parts(invocation)
    return {
        "kind": "message",
        "where": where,
        "to": list(to),
        "sender": sender,
        "seq": sequences[to],
        **value,
    }


def _delayed(due: int, envelope: Envelope) -> Row:
    sender, value = _parts(envelope.as_invocation())
    to = [str(envelope.target.type), envelope.target.id]
    return {
        "kind": "delayed",
        "due": due,
        "to": to,
        "sender": sender,
        "token": envelope.token,
        **value,
    }


def _parts(invocation: bytes) -> tuple[list[str] | None, Row]:
    ((_, content),) = read_fields(invocation)
    fields = dict(read_fields(content))
    sender = None
    if 1 in fields:
        texts = dict(read_fields(fields[1]))
        namespace, name, id_ = (texts.get(number, b"").decode() for number in (1, 2, 3))
        sender = [f"{namespace}/{name}", id_]
    value = dict(read_fields(fields[2]))
    has_value = b"\x10\x01" in fields[2]
    return sender, {
        "typename": value.get(1, b"").decode(),
        "has_value": has_value,
        "value": value.get(3, b"").hex(),
    }
