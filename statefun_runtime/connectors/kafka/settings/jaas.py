"""`sasl.jaas.config`: a login module and its options, as Java writes them.

org.apache.kafka.common.security.plain.PlainLoginModule required username="alice" password="a\\"b";
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

FORM = 'write it like \'org.apache.kafka.common.security.plain.PlainLoginModule required username="…" password="…";\''

_TOKEN = re.compile(
    r"""\s*(?:
    "(?P<double>(?:[^"\\]|\\.)*)" | '(?P<single>(?:[^'\\]|\\.)*)' | (?P<sign>[=;]) | (?P<word>[^\s=;"']+)
    )""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\([0-3][0-7]{2}|[0-7]{1,2}|.)", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "a": "\a", "v": "\v"}
_FLAGS = ("required", "requisite", "sufficient", "optional")


@dataclass(frozen=True, slots=True)
class Login:
    """One login module, by the last part of its class's name, with its options; they hold secrets."""

    module: str
    options: dict[str, str] = field(repr=False)


def parse_login(text: str) -> Login:
    """Read a JAAS configuration of one module; raise ValueError, whose words hold nothing of the text's values."""
    tokens = list(_tokens(text))
    if len(tokens) < 2 or tokens[0][1]:
        raise ValueError("it names no login module")
    if tokens[1][0].lower() not in _FLAGS:
        raise ValueError(f"behind the login module one of {', '.join(_FLAGS)} must stand")
    options: dict[str, str] = {}
    rest = tokens[2:]
    while rest and rest[0] != (";", True):
        if len(rest) < 3 or rest[1] != ("=", True) or rest[0][1] or rest[2][1]:
            raise ValueError(f"option {len(options) + 1} is not of the form name=value")
        options[rest[0][0]] = rest[2][0]
        rest = rest[3:]
    if not rest:
        raise ValueError("it does not end with ';'")
    if len(rest) > 1:
        raise ValueError("it names more than one login module")
    return Login(tokens[0][0].rpartition(".")[2], options)


def _tokens(text: str) -> Iterator[tuple[str, bool]]:
    """Yield words, unquoted, and the two signs; the flag says that it is a sign."""
    position, end = 0, len(text.rstrip())
    while position < end:
        found = _TOKEN.match(text, position)
        if found is None:
            raise ValueError("a quotation mark is not closed")
        position = found.end()
        match found.lastgroup:
            case "sign":
                yield found["sign"], True
            case "word":
                yield found["word"], False
            case quoted:
                assert quoted is not None
                yield _ESCAPE.sub(_unescaped, found[quoted]), False


def _unescaped(found: re.Match[str]) -> str:
    code = found[1]
    return chr(int(code, 8)) if code[0] in "01234567" else _ESCAPED.get(code, code)
