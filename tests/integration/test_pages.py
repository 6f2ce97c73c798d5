"""Pages that promise to work are done as a newcomer would do them: every fenced block, in the order of the page.

A file is written where the sentence before a block names it, or where a block goes on with it; commands are run; what
ends only when it is told to is left running; and a block of text is what the command before it prints.
"""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.processes import Process, wait_until
from tests.support.provisions import ROOT
from tests.support.sdks import go_sdk, javascript_sdk
from tests.support.sockets import free_port

pytestmark = pytest.mark.integration

PAGES = ["README.md", "sdk/python/README.md", "sdk/js/README.md", "sdk/go/README.md"]
# The fixtures that are asked for first: they skip a page whose language is not there.
NEEDS = {"sdk/js/README.md": "node", "sdk/go/README.md": "go_program"}
CLONE = "/path/to/clone"
PORTS = ("8000", "8090", "8091")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
FILES = {"python": "functions.py", "javascript": "functions.mjs", "yaml": "module.yaml"}
# Programs of their own begin with their name; sdk/js/test/readme.test.js runs them, and checks the TypeScript.
OF_ANOTHER_TEST = re.compile(r"// \w+\.mjs\n|import .*\n\ninterface ")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block, and the paragraph before it."""

    language: str
    text: str
    before: str


def blocks(page: str) -> Iterator[Block]:
    at = 0
    for found in FENCE.finditer(page):
        yield Block(found[1], found[2], page[at : found.start()].strip().rpartition("\n\n")[2])
        at = found.end()


class Newcomer:
    """Does what a page says, in an empty folder, on free ports."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ports = {port: str(free_port()) for port in PORTS}
        self._running: list[Process] = []
        self._last = ""

    def does(self, block: Block) -> None:
        """Do what one block says."""
        text = self._on_free_ports(block.text)
        if OF_ANOTHER_TEST.match(text):
            return
        if block.language in FILES:
            named = re.search(r"`(test_\w+\.py)`", block.before)
            name = named[1] if named else FILES[block.language]
            with (self._folder / name).open("a") as file:
                file.write(text)
        elif block.language == "go":
            named = re.search(r"`(\w+\.go)`", block.before)
            assert named, f"nothing names the file of {text!r}"
            (self._folder / named[1]).write_text(text)
        elif block.language == "text":
            self._expect(text)
        else:
            assert not block.language, f"nobody knows what to do with {block.language!r}"
            self._last = text
            for line in text.splitlines():
                self._run(line.partition("  #")[0].strip())

    def close(self) -> None:
        for process in reversed(self._running):
            process.stop()

    def _on_free_ports(self, text: str) -> str:
        return re.sub(rf"\b({'|'.join(PORTS)})\b", lambda port: self._ports[port[1]], text)

    def _run(self, line: str) -> None:
        words = shlex.split(line)
        match words[0]:
            case "make" | "pip":
                _is_there(words)
            case "npm":
                assert words[1:] == ["install", "statefun-sdk"]
                javascript_sdk.install_into(self._folder)
            case "node":
                self._start(words, "8000")
            case "go":
                go_sdk.go(*(word.replace(CLONE, str(ROOT)) for word in words[1:]), cwd=self._folder)
            case "./functions":
                self._start([str(self._folder / "functions")], "8000")
            case "pytest":
                self._output([sys.executable, "-m", "pytest", *words[1:]])
            case "python":
                self._start([sys.executable, *words[1:]], "8000")
            case "statefun":
                self._start([sys.executable, "-m", "statefun", *words[1:]], "8000")
            case "statefun-worker" if words[1] == "--module":
                self._start([sys.executable, "-m", "statefun_runtime", *words[1:]], "8090")
            case "statefun-worker":
                self._output([sys.executable, "-m", "statefun_runtime", *words[1:]])
            case "curl":
                if "-X" in words:
                    assert self._output([*words, "--fail"]) == ""
            case _:
                pytest.fail(f"nobody knows how to do {line!r}")

    def _start(self, command: list[str], port: str) -> None:
        log = self._folder / f"{len(self._running)}.log"
        process = Process(command, log=log, cwd=self._folder)
        self._running.append(process)
        process.wait_for_port(int(self._ports[port]))

    def _output(self, command: list[str]) -> str:
        done = subprocess.run(
            command, cwd=self._folder, capture_output=True, text=True, timeout=30, check=True
        )
        return done.stdout

    def _expect(self, text: str) -> None:
        """Repeat the command that was run last until it has printed all lines."""
        command = shlex.split(self._last)
        seen: list[str] = []
        wanted = text.splitlines()

        def is_all() -> bool:
            seen.append(self._output(command))
            return len([one for one in seen if one]) >= len(wanted)

        wait_until(is_all, "what the page says is printed")
        assert sorted(one for one in seen if one) == sorted(wanted)


def _is_there(words: list[str]) -> None:
    """Check what cannot be done here again: targets of make, and folders and extras that pip is given."""
    if words[0] == "make":
        assert f"\n{words[1]}:" in (ROOT / "Makefile").read_text()
        return
    assert words[1] == "install"
    for word in words[2:]:
        place = re.fullmatch(r"(\.\S*?)(\[\S+\])?", word)
        if place is not None:
            assert (ROOT / place[1] / "pyproject.toml").exists(), word


@pytest.mark.parametrize("page", PAGES)
def test_a_page_works_from_its_first_block_to_its_last(
    page: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if page in NEEDS:
        request.getfixturevalue(NEEDS[page])
    newcomer = Newcomer(tmp_path)
    try:
        for block in blocks((ROOT / page).read_text()):
            newcomer.does(block)
    finally:
        newcomer.close()


def test_extras_that_pages_name_are_there() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    named: set[str] = set()
    for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        named.update(re.findall(r"(?:statefun-runtime|'\.)\[([\w-]+)\]", path.read_text()))
    assert named >= {"kinesis", "aws", "tls", "kafka-compression"}
    assert all(re.search(rf"^{extra} = \[", project, re.M) for extra in named), named
