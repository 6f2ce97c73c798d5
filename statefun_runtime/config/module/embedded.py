"""Embedded functions: `io.statefun.endpoints.v1/python`, which the worker runs itself."""

import re

from statefun_runtime.config.module.endpoints import COMMON, read_pattern, read_threshold
from statefun_runtime.config.module.failures import read_on_failure
from statefun_runtime.config.problems import Code
from statefun_runtime.config.reading.fields import Fields, Shape
from statefun_runtime.core.module.specs import AsyncTransport, EndpointSpec, ProgramSpec

_PROCESSES_MAX = 256
_THREADS_MAX = 256
_SECOND_NS = 1_000_000_000
_PROGRAM = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*(:[^\W\d]\w*)?")
_PROGRAM_FORM = "name it like shop.functions:functions, a module and the StatefulFunctions in it"

EMBEDDED = Shape(
    "embedded endpoint",
    ("functions", "module", "processes", "threads", "call", "payload_max_bytes", *COMMON),
    advice={
        "urlPathTemplate": "embedded functions have no URL; io.statefun.endpoints.v2/http has it",
        "transport": "embedded functions are called by the worker itself; 'call' is a field of the spec here",
        **dict.fromkeys(("headers", "auth"), "only io.statefun.endpoints.v2/http has it"),
    },
)


def read_embedded(fields: Fields) -> EndpointSpec | None:
    pattern = read_pattern(fields)
    program = _read_program(fields)
    processes = fields.integer("processes", low=0, high=_PROCESSES_MAX)
    threads = _read_threads(fields, processes)
    transport = _read_transport(fields)
    threshold = read_threshold(fields)
    on_failure, dead_letters = read_on_failure(fields)
    if pattern is None or program is None:
        return None
    spec = ProgramSpec(program, 1 if processes is None else processes, threads)
    # Joined, not formatted: a name from outside the file is printed as the file has it.
    url = "python:" + program
    return EndpointSpec(pattern, url, threshold, transport, on_failure, dead_letters, program=spec)


def _read_program(fields: Fields) -> str | None:
    scalar = fields.scalar("module", required=True)
    if scalar is None:
        return None
    if not _PROGRAM.fullmatch(scalar.text):
        is_file = scalar.text.endswith(".py") or "/" in scalar.text
        found = "a file" if is_file else "no module of Python"
        message = f"module {scalar.text!r} is {found}"
        fields.draft.error(scalar.place, Code.WRONG_VALUE, message, _PROGRAM_FORM)
        return None
    return scalar.text


def _read_threads(fields: Fields, processes: int | None) -> int:
    threads = fields.integer("threads", low=0, high=_THREADS_MAX) or 0
    if threads and processes == 0:
        fields.draft.error(
            fields.value_place("threads"),
            Code.WRONG_VALUE,
            "'threads' is for processes of their own, and 'processes: 0' has none",
            "say 'processes: 1': a thread that hangs can be ended with its process alone",
        )
        return 0
    return threads


def _read_transport(fields: Fields) -> AsyncTransport:
    default = AsyncTransport()
    call_ns = fields.positive_duration_ns("call")
    payload_max_bytes = fields.integer("payload_max_bytes", low=1)
    return AsyncTransport(
        call_s=default.call_s if call_ns is None else call_ns / _SECOND_NS,
        payload_max_bytes=(
            default.payload_max_bytes if payload_max_bytes is None else payload_max_bytes
        ),
    )
