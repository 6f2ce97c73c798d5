"""Damages good module files in every way that people and disks do, and loads them.

    python -m tests.fuzz.module_files --count 100000

Whatever stands in a file, loading it ends within a second of CPU time with a spec, or with errors that have a
position; a file with a spec can be upgraded, and means the same then. A run is made of its number alone, so
`--first 1234 --count 1` plays it again.
"""

import argparse
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from statefun_runtime.config import Severity
from statefun_runtime.config.legacy.upgrade import upgrade_text
from statefun_runtime.connectors.modules import parse_module

FILES = tuple(
    path.read_bytes()
    for path in (
        *sorted((Path(__file__).parent / "files").glob("*.yaml")),
        Path(__file__).parents[2] / "module.yaml.example",
    )
)
VARIABLES = {"KAFKA": "kafka-1:9092", "NUMBER": "7", "EMPTY": ""}
LIMIT_S = 1.0
_FAILURES_SHOWN = 10
_PROGRESS_S = 5.0

_VALUES = tuple(
    b"|0|-1|1e999|0x1F|.nan|true|null|~|''|\"\"|a|a/b|a/b/c|/|a/*|*/*|10s|1 century|[]|{}|[[]]|{a: {b: c}}|"
    b'&x [*x]|*nowhere|<<|!!str 7|!tag {}|%TAG|"\\ud800"|"\\UFFFFFFFF"|"\\x00"|\'|"|---|...|- -|? a|'
    b"http://[|${NUMBER}|${NOBODY}|${|$${|${EMPTY:-x}|${file:/}|{{$.a}}/b/c|file:///[|remote|3.0|2.0|http|grpc|"
    b"@|`|\t|>|>-|| |#".split(b"|")
)
_BYTES = b"\x00\x07\t\n\r #&*-:?[]{},|>'\"%@`!<=\x7f\x80\xa0\xc3\xff"
_TEXTS = (
    *("\u2028", "\u2029", "\x85", "\ufeff", "\ufffe", "\u202e", "\0", "\u0301", "\u200b"),
    *("é", "ß", "\u017f", "\u0130", "\ufb00", "\U0001d518", "😀", "\U000e0001", "١٢", "Ⅷ"),
)


def _lines(data: bytes) -> list[bytes]:
    return data.splitlines(keepends=True) or [b"\n"]


def _flip_bits(rng: Random, data: bytes) -> bytes:
    out = bytearray(data or b"a")
    for _ in range(rng.randint(1, 8)):
        out[rng.randrange(len(out))] ^= 1 << rng.randrange(8)
    return bytes(out)


def _replace_bytes(rng: Random, data: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    new = bytes(rng.choices(_BYTES, k=rng.randint(0, 4)))
    return data[:at] + new + data[at + rng.randint(0, 6) :]


def _drop_lines(rng: Random, data: bytes) -> bytes:
    lines = _lines(data)
    at = rng.randrange(len(lines))
    del lines[at : at + rng.randint(1, 4)]
    return b"".join(lines)


def _repeat_lines(rng: Random, data: bytes) -> bytes:
    lines = _lines(data)
    at = rng.randrange(len(lines))
    piece = lines[at : at + rng.randint(1, 8)]
    lines[at:at] = piece * rng.choice((1, 1, 2, 50))
    return b"".join(lines)


def _move_line(rng: Random, data: bytes) -> bytes:
    lines = _lines(data)
    lines.insert(rng.randrange(len(lines)), lines.pop(rng.randrange(len(lines))))
    return b"".join(lines)


def _indent(rng: Random, data: bytes) -> bytes:
    lines = _lines(data)
    at = rng.randrange(len(lines))
    blank = rng.choice((b" ", b" ", b"  ", b"\t"))
    for index in range(at, min(len(lines), at + rng.randint(1, 6))):
        has_more = rng.random() < 0.5
        lines[index] = blank + lines[index] if has_more else lines[index].removeprefix(blank)
    return b"".join(lines)


def _set_value(rng: Random, data: bytes) -> bytes:
    lines = _lines(data)
    at = rng.randrange(len(lines))
    key, colon, _ = lines[at].partition(b":")
    lines[at] = key + colon + b" " + rng.choice(_VALUES) + b"\n"
    return b"".join(lines)


def _swap_values(rng: Random, data: bytes) -> bytes:
    lines = _lines(data)
    one, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    (key, colon, value), (other_key, other_colon, other_value) = (
        lines[at].partition(b":") for at in (one, other)
    )
    lines[one], lines[other] = key + colon + other_value, other_key + other_colon + value
    return b"".join(lines)


def _nest(rng: Random, data: bytes) -> bytes:
    depth = rng.choice((10, 63, 64, 65, 200, 5000))
    nested = rng.choice(
        (
            b"[" * depth,
            b"[" * depth + b"]" * depth,
            b"{a: " * depth + b"}" * depth,
            b"- " * depth + b"a",
            b"\n" + b"".join(b" " * n + b"a:\n" for n in range(min(depth, 300))),
            b"? " * depth,
        )
    )
    return _insert_value(rng, data, nested)


def _bomb(rng: Random, data: bytes) -> bytes:
    levels = rng.choice((2, 5, 9))
    bomb = b"[&a0 [x, x]"
    for level in range(1, levels):
        bomb += b", &a%d [%s]" % (level, b", ".join([b"*a%d" % (level - 1)] * 9))
    return _insert_value(rng, data, bomb + b"]")


def _merge(rng: Random, data: bytes) -> bytes:
    return _insert_value(
        rng, data, b"\n" + b" " * rng.randint(0, 12) + b"<<: &m {spec: {}, kind: 7}"
    )


def _insert_value(rng: Random, data: bytes, value: bytes) -> bytes:
    lines = _lines(data)
    at = rng.randrange(len(lines))
    key, colon, _ = lines[at].partition(b":")
    lines[at] = key + colon + b" " + value + b"\n"
    return b"".join(lines)


def _insert_text(rng: Random, data: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    text = rng.choice(_TEXTS).encode("utf-8", "surrogatepass")
    return data[:at] + text * rng.choice((1, 1, 3, 2000)) + data[at:]


def _splice(rng: Random, data: bytes) -> bytes:
    other = rng.choice(FILES)
    cut, other_cut = rng.randrange(len(data) + 1), rng.randrange(len(other))
    return data[:cut] + rng.choice((b"", b"\n", b"\n---\n")) + other[other_cut:]


def _cut(rng: Random, data: bytes) -> bytes:
    start = rng.randrange(len(data) + 1)
    return data[start:] if rng.random() < 0.3 else data[:start]


def _reencode(rng: Random, data: bytes) -> bytes:
    text = data.decode("utf-8", "replace")
    return rng.choice(
        (
            text.replace("\n", "\r\n").encode(),
            text.replace("\n", "\r").encode(),
            text.replace(" ", "\u00a0").encode(),
            text.encode("utf-16"),
            b"\xef\xbb\xbf" + data,
            text.upper().encode(),
        )
    )


_MUTATIONS: tuple[Callable[[Random, bytes], bytes], ...] = (
    _flip_bits,
    _replace_bytes,
    _replace_bytes,
    _drop_lines,
    _drop_lines,
    _repeat_lines,
    _move_line,
    _move_line,
    _indent,
    _indent,
    _set_value,
    _set_value,
    _set_value,
    _swap_values,
    _swap_values,
    _nest,
    _bomb,
    _merge,
    _insert_text,
    _splice,
    _cut,
    _reencode,
)


def damaged(seed: int, number: int) -> bytes:
    """Return the content of one run."""
    rng = Random(f"{seed}/{number}")
    data = rng.choice(FILES)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 5))):
        data = rng.choice(_MUTATIONS)(rng, data)
    return data


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one run; `defect` is None if all was as it must be."""

    is_refused: bool
    cpu_s: float
    defect: str | None


def play(content: bytes) -> Outcome:
    """Load a file, and look at what comes of it."""
    began_s = time.process_time()
    is_refused, defect = True, None
    try:
        is_refused, defect = _load(content)
    except Exception:  # noqa: BLE001
        defect = traceback.format_exc()
    cpu_s = time.process_time() - began_s
    if defect is None and cpu_s > LIMIT_S:
        defect = f"it took {cpu_s:.2f} s of CPU time"
    return Outcome(is_refused, cpu_s, defect)


def _load(content: bytes) -> tuple[bool, str | None]:
    loaded = parse_module(content, file="module.yaml", variables=VARIABLES)
    errors = [problem for problem in loaded.problems if problem.severity is Severity.ERROR]
    if (loaded.spec is None) != bool(errors):
        return True, "there is neither a spec nor an error, or both"
    for problem in loaded.problems:
        if problem.line < 1 or problem.column < 1 or not problem.message:
            return True, f"a problem without a position or a message: {problem!r}"
        str(problem).encode()
    if loaded.spec is None:
        return True, None
    upgraded = upgrade_text(content.decode("utf-8-sig"))
    again = parse_module(upgraded.encode(), file="module.yaml", variables=VARIABLES)
    if again.spec != loaded.spec:
        shown = "\n".join(map(str, again.problems))
        return False, f"upgraded, it means something else:\n{upgraded}\n{shown}"
    return False, None


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.module_files", description=__doc__)
    parser.add_argument("--count", type=int, default=20_000, help="how many files")
    parser.add_argument("--first", type=int, default=0, help="the number of the first run")
    parser.add_argument("--seed", type=int, default=1)
    flags = parser.parse_args()
    began_s = said_s = time.monotonic()
    refused, slowest_s, failures = 0, 0.0, 0
    for done, number in enumerate(range(flags.first, flags.first + flags.count), 1):
        content = damaged(flags.seed, number)
        outcome = play(content)
        refused += outcome.is_refused
        slowest_s = max(slowest_s, outcome.cpu_s)
        if outcome.defect is not None:
            failures += 1
            print(f"run {number} of seed {flags.seed}: {outcome.defect}\n{content[:3000]!r}\n")
        now_s = time.monotonic()
        if now_s - said_s > _PROGRESS_S or done == flags.count or failures >= _FAILURES_SHOWN:
            said_s = now_s
            print(
                f"{done:,} of {flags.count:,} files, {done / (now_s - began_s):.0f} a second: "
                f"{done - refused:,} good, {refused:,} refused, {failures} failures, "
                f"slowest {slowest_s:.3f} s",
                flush=True,
            )
        if failures >= _FAILURES_SHOWN:
            break
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
