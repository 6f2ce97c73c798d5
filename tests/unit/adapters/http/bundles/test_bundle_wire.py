"""What the worker takes from an answer to a bundle: the golden cases, in whatever pieces they come."""

import csv
from dataclasses import dataclass
from pathlib import Path

import pytest

from statefun_runtime.adapters.http.bundles.wire import BrokenBundleError, OutcomeReader, bundle
from statefun_runtime.core.partition.retry import Cause, Failure
from tests.support.http.bundles import framed, outcome, split

GOLDEN = Path(__file__).parents[4] / "conformance" / "golden" / "bundles.tsv"
BYTES_MAX = 10_000


@dataclass(frozen=True)
class Case:
    name: str
    count: int
    reply: bytes
    outcomes: list[str]
    end: str

    def __str__(self) -> str:
        return self.name


def cases(part: str) -> list[Case]:
    with GOLDEN.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    nothing = {"-": ""}
    return [
        Case(
            row["case"],
            int(row["count"]),
            bytes.fromhex(nothing.get(row["reply_hex"], row["reply_hex"])),
            nothing.get(row["outcomes"], row["outcomes"]).split(),
            row["end"],
        )
        for row in rows
        if row["part"] == part and row["status"] == "200"
    ]


def said(index: int, found: bytes | Failure) -> str:
    if isinstance(found, bytes):
        return f"{index}:reply:{found.hex()}"
    assert found.cause is Cause.STATUS
    text = found.detail.removeprefix(f"the endpoint answered with status {found.status}")
    later = "" if found.retry_after_s is None else f":{found.retry_after_s:.0f}"
    return f"{index}:failure:{found.status}:{text.removeprefix(': ').encode().hex()}{later}"


def read(case: Case, size: int) -> tuple[list[str], str]:
    """Return what is taken from the answer when it comes in pieces of this size, and how it ends."""
    reader, found, left = OutcomeReader(BYTES_MAX), [], set(range(case.count))
    try:
        for begin in range(0, len(case.reply), size):
            for index, one in reader.feed(case.reply[begin : begin + size]):
                if index not in left:
                    return found, "broken"
                left.remove(index)
                found.append(said(index, one))
    except BrokenBundleError:
        return found, "broken"
    return found, "missing" if left else "whole"


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
@pytest.mark.parametrize("case", cases("worker") + cases("server"), ids=str)
def test_an_answer_is_read_as_it_is_written_down(case: Case, size: int):
    assert read(case, size) == (case.outcomes, case.end)


def test_a_bundle_is_each_request_behind_its_length():
    requests = [b"", b"a", b"b" * 127, b"c" * 128, b"d" * 70_000]

    assert bundle(requests) == framed(*requests)
    assert list(split(bundle(requests))) == requests


def test_an_outcome_that_is_too_large_is_not_waited_for():
    reader = OutcomeReader(BYTES_MAX)
    large = framed(outcome(1, reply=b"x" * (BYTES_MAX + 100)))

    assert list(reader.feed(framed(outcome(0, reply=b"x" * BYTES_MAX)))) == [(0, b"x" * BYTES_MAX)]
    with pytest.raises(BrokenBundleError, match="an outcome of 10105 bytes"):
        list(reader.feed(large[:10]))


@pytest.mark.parametrize("status", [0, 100, 200, 204])
def test_a_failure_whose_status_is_none_is_a_500(status: int):
    ((_, found),) = OutcomeReader(BYTES_MAX).feed(framed(outcome(0, status=status, text="no")))

    assert isinstance(found, Failure)
    assert found.status == 500
