"""What a worker says of itself when it starts: where its ports are, and what it serves functions with.

statefun-worker runs module.yaml
  ingress   io.statefun.playground/ingress  PUT http://127.0.0.1:8090/namespace/name/id
  functions shop/*  http://127.0.0.1:8000/statefun
  egress    io.statefun.playground/egress  GET http://127.0.0.1:8091/receipts
  state     .statefun  (8 partitions of 128 key groups)
"""

import re
from collections.abc import Callable, Sequence

_BEGIN = "statefun-worker runs "
_LINE = re.compile(r"  (ingress|functions|egress|metrics|state) +(\S+) *(.*)")
_PUT = re.compile(r"PUT (http://\S+)/namespace/name/id")
# The topics of a Kafka in memory.
_PUT_KEY = re.compile(r"PUT (http://\S+)/KEY")
_GET = re.compile(r"GET (http://\S+)")
# How the worker says that it runs functions itself, and where.
_EMBEDDED = re.compile(r"python:\S+ in (.*)")
_HERE = "this process"


class Banner:
    """Hears the lines of a worker, and calls `is_whole` each time that it has said all of it.

    `functions` are the function types that are known, for lines that can be copied.
    """

    def __init__(self, functions: Sequence[str], is_whole: "Callable[[Banner], None]") -> None:
        self._functions = functions
        self._is_whole = is_whole
        self._said: list[tuple[str, str, str]] | None = None
        self.hints: list[str] = []
        self.has_processes = self.runs_functions = False

    def hear(self, line: str) -> None:
        """Take the next line that the worker prints."""
        if line.startswith(_BEGIN):
            self._said = []
        match = _LINE.fullmatch(line)
        if self._said is None or match is None:
            return
        self._said.append((match[1], match[2], match[3]))
        if match[1] == "state":
            self._read(self._said)
            self._said = None
            self._is_whole(self)

    def _read(self, said: Sequence[tuple[str, str, str]]) -> None:
        patterns = [name for role, name, _ in said if role == "functions"]
        runs = [match[1] for _, _, what in said if (match := _EMBEDDED.fullmatch(what))]
        self.runs_functions = bool(runs)
        self.has_processes = any(each != _HERE for each in runs)
        self.hints = []
        for role, _, what in said:
            if role == "ingress" and (put := _PUT.search(what)):
                names = self._functions or [each.replace("*", "NAME") for each in patterns]
                self.hints += [f"curl -X PUT -d hello {put[1]}/{name}/anybody" for name in names]
            if role == "ingress":
                self.hints += [
                    f"curl -X PUT -d hello {url}/anybody" for url in _PUT_KEY.findall(what)
                ]
            if role == "egress":
                self.hints += [f"curl {url}" for url in _GET.findall(what)]
