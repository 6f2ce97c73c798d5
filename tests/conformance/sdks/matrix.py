"""Asks the SDKs, and writes what they did to docs/reference/sdks.md: `make sdks`."""

import http.client
import re
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.conformance.sdks.cases import CHAPTERS, Case
from tests.conformance.sdks.outcomes import shown
from tests.conformance.sdks.servers import SDKS, STOCK_JAVA_VERSION, STOCK_VERSION
from tests.support.processes import Process
from tests.support.provisions import ROOT, Unavailable
from tests.support.sockets import free_port

PAGE = ROOT / "docs" / "reference" / "sdks.md"
CASE_S = 10.0

_INTRODUCTION = f"""\
# What the SDKs do

<!-- Written by `make sdks` from the answers of the SDKs; a test fails while it is not what one of them does. -->

The same requests to the same functions, written with the three SDKs of this project and with the stock ones ({STOCK_VERSION}, of Java {STOCK_JAVA_VERSION}).
A cell is what the reply asks the runtime for: `n := 5` sets a state, a text alone is a record of it that the function sent,
which is what it saw. *500, does not say why* is an answer with an empty body, or with what a web server says of every failure
(the stock Python SDK leaves failures to the server, here aiohttp): the runtime's operator sees a status and nothing else. In Java some cases
cannot be written down, since the types of states and messages are checked by the compiler.
"""


def answers_of(name: str) -> dict[str, str]:
    """Serve the programs with an SDK, or raise `Unavailable`; return what it does in each case."""
    port = free_port()
    command = SDKS[name].command(port)
    with tempfile.TemporaryDirectory() as folder:
        server = Process(command, log=Path(folder) / "server.log")
        try:
            server.wait_for_port(port)
            return {case.title: _answer(port, case) for case in _cases()}
        finally:
            server.stop()


def _cases() -> list[Case]:
    return [case for cases in CHAPTERS.values() for case in cases]


def _answer(port: int, case: Case) -> str:
    outcome = ""
    for body in case.bodies:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=CASE_S)
        try:
            headers = {"Content-Type": "application/octet-stream", **dict(case.headers)}
            connection.request(case.method, "/", body, headers)
            answer = connection.getresponse()
            told = {key.lower(): value for key, value in answer.getheaders()}
            outcome = shown(answer.status, answer.read())
            # A server may ask in each answer; it counts where it was offered.
            if case.headers and "statefun-bundle" in told:
                outcome += "; asks for bundles"
        finally:
            connection.close()
    return outcome


def page(answers: Mapping[str, Mapping[str, str]]) -> str:
    """Return the page of what the SDKs, by name, did in each case."""
    lines = [_INTRODUCTION]
    titles = [SDKS[name].title for name in answers]
    for chapter, cases in CHAPTERS.items():
        lines += [
            f"## {chapter}",
            "",
            f"| | {' | '.join(titles)} |",
            f"|---{'|---' * len(titles)}|",
        ]
        for case in cases:
            cells = [_cell(answers[name][case.title]) for name in answers]
            lines.append(f"| {case.title} | {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _cell(outcome: str) -> str:
    return outcome.replace("|", "\\|")


def column(text: str, name: str) -> dict[str, str]:
    """Return what a page says that an SDK does in each case; nothing, if it has no such column."""
    found: dict[str, str] = {}
    place = 0
    for line in text.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if cells and cells[0] == "":
            place = cells.index(SDKS[name].title) if SDKS[name].title in cells else 0
        elif place and cells and not cells[0].startswith("---"):
            found[cells[0]] = cells[place]
    return found


def main() -> None:
    """Write the page; an SDK that is not to be had here keeps the column that it has."""
    before = PAGE.read_text() if PAGE.exists() else ""
    answers: dict[str, Mapping[str, str]] = {}
    for name in SDKS:
        try:
            answers[name] = answers_of(name)
        except Unavailable as error:
            print(f"{name}: {error}", file=sys.stderr)
            kept = column(before, name)
            if kept:
                answers[name] = {case.title: kept.get(case.title, "?") for case in _cases()}
    PAGE.write_text(page(answers))


if __name__ == "__main__":
    main()
