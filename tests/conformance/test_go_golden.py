"""The same program on the stock SDK for Go and on ours: what it answers to the requests of golden_cases.tsv."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from statefun._wire import FromFunction

from tests.conformance.test_python_golden import (
    CASES,
    CUT,
    PYTHON,
    SERVERS_OWN_ANSWERS,
    Case,
    lists_of,
)
from tests.conftest import skip_or_fail
from tests.support.processes import Process
from tests.support.provisions import Unavailable, made_once
from tests.support.sdks import go_sdk
from tests.support.sockets import free_port, http_request

STOCK = "github.com/apache/flink-statefun/statefun-sdk-go/v3"
NEEDS = {
    "stock": ["-require", f"{STOCK}@v3.3.0"],
    "ours": ["-require", f"{go_sdk.MODULE}@v0.0.0", "-replace", f"{go_sdk.MODULE}={go_sdk.SDK}"],
}
MAIN = """
func main() {
	handler := build(
		spec("conf/kitchen", kitchen, stateA, stateB, stateC, stateD),
		spec("example/person", person, visits), spec("example/greeter", greeter),
	)
	panic(http.ListenAndServe("127.0.0.1:"+os.Args[1], handler))
}
"""
REQUESTS = [
    case
    for case in CASES
    if case.sdk == PYTHON and case.name not in SERVERS_OWN_ANSWERS | CUT and case.request
]
# What ours does in another way, by choice: status of the stock SDK, and of ours.
DIFFERENT = {
    "unknown_function": (500, 404),
    # It reads a text as the number 0, and goes on.
    "wrong_state_type": (200, 500),
    # It sends to an empty id.
    "wrong_arg_type": (200, 500),
}


def kitchen(name: str) -> Path:
    """Build the kitchen of the SDK's own tests as a program on one of the two."""
    source = (go_sdk.SDK / "tests" / "kitchen_test.go").read_text() + MAIN
    source = source.replace("package tests\n", "package main\n", 1)
    source = source.replace("import (\n", 'import (\n\t"net/http"\n\t"os"\n', 1)
    if name == "stock":
        source = source.replace(f"{go_sdk.MODULE}/pkg", f"{STOCK}/pkg")
    digest = hashlib.sha256(source.encode())
    for path in sorted(go_sdk.SDK.rglob("*.go")):
        digest.update(path.read_bytes())

    def make(home: Path) -> None:
        (home / "main.go").write_text(source)
        go_sdk.go("mod", "init", "kitchen", cwd=home)
        go_sdk.go("mod", "edit", *NEEDS[name], cwd=home)
        go_sdk.go("build", "-o", "program", ".", cwd=home)

    return made_once(f"go-kitchen-{name}-{digest.hexdigest()[:8]}", make) / "program"


@pytest.fixture(scope="module")
def ask(
    go_program: object, pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str, str], tuple[int, bytes]]]:
    """Return a function that asks the program on one of the two."""
    folder, running, ports = tmp_path_factory.mktemp("kitchen"), [], {}
    try:
        programs = {name: kitchen(name) for name in NEEDS}
    except Unavailable as error:
        skip_or_fail(pytestconfig, "stock_sdk (Go)", error)
    for name, program in programs.items():
        ports[name] = free_port()
        running.append(Process([program, str(ports[name])], log=folder / f"{name}.log"))
        running[-1].wait_for_port(ports[name])

    def post(name: str, request: str) -> tuple[int, bytes]:
        answer = http_request(
            "POST",
            f"http://127.0.0.1:{ports[name]}/",
            bytes.fromhex(request),
            headers={"Content-Type": "application/octet-stream"},
        )
        assert answer is not None
        return answer

    yield post
    for process in running:
        process.stop()


@pytest.mark.parametrize("case", REQUESTS, ids=str)
def test_a_program_answers_the_same_on_both(
    case: Case, ask: Callable[[str, str], tuple[int, bytes]]
) -> None:
    stock, ours = (ask(name, case.request) for name in NEEDS)

    statuses = DIFFERENT.get(case.name)
    assert (stock[0], ours[0]) == (statuses or (stock[0], stock[0]))
    if statuses is None and stock[0] == 200:
        assert len(stock[1]) == len(ours[1])
        assert _lists(stock[1]) == _lists(ours[1])


def _lists(answer: bytes) -> dict[str, list[bytes]]:
    """Give what is in each list; states and missing specs are in a random order with the stock SDK."""
    reply = FromFunction.FromString(answer)
    missing = [
        item.SerializeToString() for item in reply.incomplete_invocation_context.missing_values
    ]
    lists = lists_of(reply) | {"missing": missing}
    return {
        name: sorted(items) if name in ("missing", "state_mutations") else items
        for name, items in lists.items()
    }
