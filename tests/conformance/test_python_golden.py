"""Our SDK against the answers that the stock SDKs gave (golden/golden_cases.tsv)."""

import csv
import runpy
from dataclasses import dataclass
from pathlib import Path

import pytest
from google.protobuf.message import DecodeError
from google.protobuf.message import Message as WireMessage
from statefun import RequestReplyHandler
from statefun._wire import FromFunction, ToFunction

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]

PYTHON = "python-3.3.0"
JAVASCRIPT = "js-3.3.0"

# What the web server answers by itself, before the SDK sees anything.
SERVERS_OWN_ANSWERS = {"put_instead_of_post", "get_method"}
# The recording of its 2 MiB request is cut, so it cannot be sent again.
CUT = {"big_2MiB"}

# The recordings only say 500.
FAILURES = {
    "unknown_function": KeyError,
    "wrong_state_type": TypeError,
    "wrong_arg_type": KeyError,
    "garbage_body": DecodeError,
    "empty_body": ValueError,
    "boom": RuntimeError,
    "send,boom": RuntimeError,
    "batch_boom_in_middle": RuntimeError,
    "no_caller_reply": AttributeError,
}


@dataclass(frozen=True)
class Case:
    sdk: str
    app: str
    name: str
    status: int
    request: str
    response: str

    def __str__(self) -> str:
        return f"{self.app}-{self.name}"


def read_cases() -> list[Case]:
    with (HERE / "golden" / "golden_cases.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [
        Case(
            sdk=row["sdk"],
            app=row["app"],
            name=row["case"],
            status=int(row["http_status"]),
            request=row["request_hex"],
            response=row["response_hex"],
        )
        for row in rows
    ]


CASES = read_cases()
HANDLERS = {
    "kitchen": RequestReplyHandler(runpy.run_path(str(HERE / "apps" / "kitchen.py"))["functions"]),
    "greeter": RequestReplyHandler(
        runpy.run_path(str(REPOSITORY / "examples" / "greeter" / "functions.py"))["functions"]
    ),
}


def cases(sdk: str, *statuses: int) -> list[Case]:
    return [case for case in CASES if case.sdk == sdk and case.status in statuses]


def replayable(sdk: str, *statuses: int) -> list[Case]:
    skipped = SERVERS_OWN_ANSWERS | CUT
    return [case for case in cases(sdk, *statuses) if case.name not in skipped]


def lists_of(response: WireMessage) -> dict[str, list[bytes]]:
    """Give each list of a response as the bytes of its items: order counts inside, not between."""
    result = response.invocation_result
    return {
        field.name: [item.SerializeToString(deterministic=True) for item in items]
        for field, items in result.ListFields()
    }


def test_every_row_is_either_replayed_or_left_out_by_name():
    python = [case for case in CASES if case.sdk == PYTHON]
    replayed = replayable(PYTHON, 200) + replayable(PYTHON, 500)

    assert len(python) == len(CASES) / 2 == 53
    assert {case.name for case in python} - {case.name for case in replayed} == (
        SERVERS_OWN_ANSWERS | CUT
    )
    assert all(("..." in case.request) == (case.name in CUT) for case in CASES)


@pytest.mark.parametrize("case", replayable(PYTHON, 200), ids=str)
def test_the_answer_is_the_one_of_the_stock_python_sdk(case: Case):
    answer = HANDLERS[case.app].handle_sync(bytes.fromhex(case.request))

    expected = FromFunction.FromString(bytes.fromhex(case.response))
    found = FromFunction.FromString(answer)
    assert found == expected
    assert lists_of(found) == lists_of(expected)
    if len(lists_of(expected)) <= 1:
        assert answer.hex() == case.response


@pytest.mark.parametrize("case", replayable(PYTHON, 500), ids=str)
def test_what_fails_on_the_stock_python_sdk_fails_here_for_its_own_reason(case: Case):
    with pytest.raises(FAILURES[case.name]):
        HANDLERS[case.app].handle_sync(bytes.fromhex(case.request))


@pytest.mark.parametrize("case", replayable(JAVASCRIPT, 200), ids=str)
def test_the_wire_classes_read_what_the_stock_javascript_sdk_wrote(case: Case):
    response = FromFunction.FromString(bytes.fromhex(case.response))

    assert response.WhichOneof("response") is not None
    # Nothing fell among the unknown fields: written again it has the same content.
    assert _without_unknown(response) == response
    assert ToFunction.FromString(bytes.fromhex(case.request)).HasField("invocation")


def _without_unknown(message: WireMessage) -> WireMessage:
    known = type(message).FromString(message.SerializeToString())
    known.DiscardUnknownFields()
    return known
