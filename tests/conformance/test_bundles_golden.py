"""Our SDK against the golden cases of bundles (golden/bundles.tsv), as an SDK of any language can be tested."""

import csv
from dataclasses import dataclass
from pathlib import Path

import pytest
from statefun import Context, IntType, Message, RequestReplyHandler, StatefulFunctions, ValueSpec
from statefun.calls.bundles import BUNDLE

from tests.support.http.bundles import read_varint, split

GOLDEN = Path(__file__).parent / "golden" / "bundles.tsv"
# A batch without invocations may be answered with nothing, or with a result without effects.
NOTHING = {"a20600": ""}
# Batches that do not parse may be the server's fault or the caller's.
EITHER = {"400": "500"}

functions = StatefulFunctions()


@functions.bind("golden/count", specs=[ValueSpec("seen", IntType)])
def count(context: Context, message: Message) -> None:
    context.storage.seen = (context.storage.seen or 0) + 1


@functions.bind("golden/fail")
async def fail(context: Context, message: Message) -> None:
    raise LookupError("no such item")


@dataclass(frozen=True)
class Case:
    name: str
    request: bytes
    status: int
    outcomes: list[str]

    def __str__(self) -> str:
        return self.name


def cases() -> list[Case]:
    with GOLDEN.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [
        Case(
            row["case"],
            bytes.fromhex(row["request_hex"]),
            int(row["status"]),
            [] if row["outcomes"] == "-" else row["outcomes"].split(),
        )
        for row in rows
        if row["part"] == "server"
    ]


def fields(data: bytes) -> dict[int, int | bytes]:
    """Read a message that has numbers and bytes."""
    found: dict[int, int | bytes] = {}
    at = 0
    while at < len(data):
        tag, at = read_varint(data, at)
        number, at = read_varint(data, at)
        if tag & 7 == 0:
            found[tag >> 3] = number
        else:
            found[tag >> 3] = data[at : at + number]
            at += number
    return found


def said(data: bytes) -> dict[int, tuple[str, ...]]:
    """Return what an answer says, by index."""
    found = {}
    for part in split(data):
        outcome = fields(part)
        index = outcome.get(1, 0)
        assert isinstance(index, int)
        assert index not in found
        match outcome:
            case {3: bytes(failure)}:
                status, text = fields(failure)[1], fields(failure)[2]
                assert isinstance(text, bytes)
                found[index] = ("failure", EITHER.get(str(status), str(status)), text.decode())
            case _:
                reply = outcome.get(2, b"")
                assert isinstance(reply, bytes)
                found[index] = ("reply", NOTHING.get(reply.hex(), reply.hex()))
    return found


def wanted(outcomes: list[str]) -> dict[int, tuple[str, ...]]:
    found: dict[int, tuple[str, ...]] = {}
    for outcome in outcomes:
        index, kind, *rest = outcome.split(":")
        if kind == "failure":
            rest[1] = bytes.fromhex(rest[1]).decode()
        found[int(index)] = (kind, *rest)
    return found


@pytest.mark.parametrize("case", cases(), ids=str)
def test_a_bundle_is_answered_as_it_is_written_down(case: Case):
    answer = RequestReplyHandler(functions).respond_sync(case.request, BUNDLE)

    assert answer.status == case.status
    if answer.status != 200:
        return
    assert answer.content_type == BUNDLE
    found, expected = said(answer.body), wanted(case.outcomes)
    assert found.keys() == expected.keys()
    for index, (kind, what, *text) in expected.items():
        assert found[index][:2] == (kind, what)
        assert not text or text[0] in found[index][2]
