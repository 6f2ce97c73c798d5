"""Whatever stands in a file, loading it ends with a spec or with problems that have a place."""

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from statefun_runtime.config import LoadedModule, Severity
from statefun_runtime.connectors.modules import parse_module

EXAMPLE = (Path(__file__).parents[4] / "module.yaml.example").read_bytes()
LINES = EXAMPLE.splitlines(keepends=True)
VALUES = [
    b"",
    b"7",
    b"-1",
    b"1e9",
    b"true",
    b"null",
    b"'text'",
    b"a/b",
    b"a/*",
    b"10s",
    b"[]",
    b"{}",
    b"[a, [b]]",
    b"{a: b}",
    b"&x [*x]",
    b"&x {y: 1}",
    b"*x",
    b"${X}",
    b"${X:-5}",
    b"'${X:-a/b}'",
    b"${file:/nowhere}",
    b"$${X}",
    b"${",
    b"!tag 5",
    b'"\\ud800"',
    b'"\\UFFFFFFFF"',
    b"9" * 5000,
    b"http://[",
    b"\xff",
    b"\x00",
]


def check(loaded: LoadedModule) -> None:
    errors = [p for p in loaded.problems if p.severity is Severity.ERROR]
    assert (loaded.spec is None) == bool(errors)
    for problem in loaded.problems:
        assert problem.line >= 1
        assert problem.column >= 1
        assert problem.message
        str(problem).encode()


@st.composite
def mangled_lines(draw: st.DrawFn) -> bytes:
    """The example with some lines changed: dropped, repeated, moved, or with another value."""
    lines = list(LINES)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(lines) - 1))
        match draw(st.sampled_from(["drop", "repeat", "move", "value", "indent"])):
            case "drop" if len(lines) > 1:
                del lines[at]
            case "repeat":
                lines.insert(at, lines[draw(st.integers(0, len(lines) - 1))])
            case "move":
                lines.insert(draw(st.integers(0, len(lines) - 1)), lines.pop(at))
            case "value":
                key, colon, _ = lines[at].partition(b":")
                lines[at] = key + colon + b" " + draw(st.sampled_from(VALUES)) + b"\n"
            case _:
                lines[at] = b" " * draw(st.integers(0, 6)) + lines[at].lstrip()
    return b"".join(lines)


@st.composite
def mangled_bytes(draw: st.DrawFn) -> bytes:
    """A part of the example in which some bytes are replaced."""
    start = draw(st.integers(0, len(EXAMPLE) - 1))
    piece = bytearray(EXAMPLE[start : start + draw(st.integers(1, 600))])
    for _ in range(draw(st.integers(1, 8))):
        at = draw(st.integers(0, len(piece) - 1))
        piece[at : at + 1] = draw(st.binary(max_size=3) | st.sampled_from(VALUES))
        if not piece:
            piece = bytearray(b"a")
    return bytes(piece)


@given(mangled_lines(), st.booleans())
@settings(max_examples=100)
def test_an_example_with_mangled_lines_is_loaded_or_refused(content: bytes, strict: bool):
    check(parse_module(content, file="module.yaml", strict=strict))


@given(mangled_bytes())
@settings(max_examples=300)
def test_a_piece_with_mangled_bytes_is_loaded_or_refused(content: bytes):
    check(parse_module(content, file="module.yaml"))


@given(st.text(alphabet="ab:-{}[]&*!|>'\"#%@`,?<~/. \n\t\u2028é", max_size=60))
@settings(max_examples=300)
def test_any_signs_of_yaml_are_loaded_or_refused(text: str):
    check(parse_module(text.encode(), file="module.yaml"))
