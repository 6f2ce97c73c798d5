"""Texts that came from outside a module's file: they are used, and never shown.

While a module is read, such a text is a `Secret`: compared, split and parsed by its value, but printed as what
stands in the file. What was read is revealed when it goes into a spec; from then on a `Mask` keeps the values
out of everything the process prints.
"""

import json
import operator
import re
from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any, Self, TextIO
from urllib.parse import quote

# A shorter text is too common: to hide it everywhere would garble every line.
_MASKED_LENGTH_MIN = 4
_AUTHORITY = re.compile(r"[^\s/]+?(:\d*)?")
_LOCAL_HOSTS = ("localhost", "127.0.0.1", "0.0.0.0", "[::1]")


class Secret(str):
    """A text whose value is used and whose `written` form is printed; what is cut from it is as secret."""

    __slots__ = ("is_from_file", "written")

    written: str
    is_from_file: bool

    def __new__(cls, value: str, written: str, *, is_from_file: bool = False) -> Self:
        self = super().__new__(cls, value)
        self.written = written
        self.is_from_file = is_from_file
        return self

    @property
    def value(self) -> str:
        """The text itself."""
        return str.__str__(self)

    def __repr__(self) -> str:
        return repr(self.written)

    def __str__(self) -> str:
        return self.written

    def __format__(self, form: str) -> str:
        return format(self.written, form)

    def _piece(self, value: str) -> "Secret":
        return Secret(value, self.written, is_from_file=self.is_from_file)

    def _pieces(self, values: Iterable[str]) -> Any:
        return [self._piece(value) for value in values]

    def __getitem__(self, key: Any) -> "Secret":
        return self._piece(self.value[key])

    def __add__(self, other: str) -> "Secret":
        return self._piece(self.value + _plain(other))

    def __radd__(self, other: str) -> "Secret":
        return self._piece(_plain(other) + self.value)

    def strip(self, characters: str | None = None, /) -> "Secret":
        return self._piece(self.value.strip(characters))

    def lstrip(self, characters: str | None = None, /) -> "Secret":
        return self._piece(self.value.lstrip(characters))

    def rstrip(self, characters: str | None = None, /) -> "Secret":
        return self._piece(self.value.rstrip(characters))

    def lower(self) -> "Secret":
        return self._piece(self.value.lower())

    def upper(self) -> "Secret":
        return self._piece(self.value.upper())

    def casefold(self) -> "Secret":
        return self._piece(self.value.casefold())

    def removeprefix(self, prefix: str, /) -> "Secret":
        return self._piece(self.value.removeprefix(prefix))

    def removesuffix(self, suffix: str, /) -> "Secret":
        return self._piece(self.value.removesuffix(suffix))

    def replace(self, *arguments: Any) -> "Secret":
        return self._piece(self.value.replace(*arguments))

    def split(self, *arguments: Any, **named: Any) -> Any:
        return self._pieces(self.value.split(*arguments, **named))

    def rsplit(self, *arguments: Any, **named: Any) -> Any:
        return self._pieces(self.value.rsplit(*arguments, **named))

    def splitlines(self, keepends: bool = False) -> Any:
        return self._pieces(self.value.splitlines(keepends))

    def partition(self, separator: str, /) -> Any:
        return tuple(self._pieces(self.value.partition(separator)))

    def rpartition(self, separator: str, /) -> Any:
        return tuple(self._pieces(self.value.rpartition(separator)))


def _plain(text: str) -> str:
    return text.value if isinstance(text, Secret) else text


def reveal(value: Any) -> Any:
    """Return a value with the secrets in it as plain texts, the same value if it holds none.

    Looked into are dataclasses, tuples, lists, sets and mappings.
    """
    if isinstance(value, Secret):
        return value.value
    if type(value) in (tuple, list, frozenset):
        items = [reveal(each) for each in value]
        is_same = all(map(operator.is_, items, value))
        return value if is_same else type(value)(items)
    if type(value) is dict:
        pairs = {key: reveal(each) for key, each in value.items()}
        return value if all(map(operator.is_, pairs.values(), value.values())) else pairs
    if not is_dataclass(value) or isinstance(value, type):
        return value
    changed = {
        each.name: after
        for each in fields(value)
        if (after := reveal(before := getattr(value, each.name))) is not before
    }
    return replace(value, **changed) if changed else value


class Mask:
    """Puts back what stands in the file wherever a value would be printed.

    Values that are shorter than four characters are put back where they stand in quotes only: they cannot be told
    from the rest of a line.
    """

    def __init__(self, secrets: Iterable[tuple[str, str]]) -> None:
        """Take pairs of a value and what to show for it."""
        shown: dict[str, str] = {}
        for value, written in secrets:
            for text in (value, *_network_names(value)):
                if 0 < len(text) < _MASKED_LENGTH_MIN:
                    shown.setdefault(repr(text), repr(written))
                for form in (text, repr(text)[1:-1], json.dumps(text)[1:-1], quote(text)):
                    if len(form) >= _MASKED_LENGTH_MIN:
                        shown.setdefault(form, written)
        self._shown = shown
        longest_first = sorted(shown, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(_as_a_word, longest_first))) if shown else None

    def apply(self, text: str) -> str:
        """Return a text without the values."""
        if self._pattern is None:
            return text
        return self._pattern.sub(lambda found: self._shown[found[0]], text)


def _network_names(value: str) -> Iterator[str]:
    """Return servers, hosts, users and passwords of a URL, or of a list of servers.

    A failure may name one of them without the rest. What is on this machine is no secret.
    """
    for each in value.split(","):
        start, is_url, rest = each.strip().partition("://")
        authority = (rest if is_url else start).partition("/")[0]
        if not _AUTHORITY.fullmatch(authority) or not (is_url or ":" in authority):
            continue
        login, _, server = authority.rpartition("@")
        user, _, password = login.partition(":")
        yield from filter(None, (user, password))
        host = server.rpartition(":")[0] or server
        if host not in _LOCAL_HOSTS:
            yield server
            yield host


def _as_a_word(text: str) -> str:
    """Return a pattern for a text that does not begin or end in the middle of a longer word."""
    before = r"(?<!\w)" if re.match(r"\w", text[0]) else ""
    after = r"(?!\w)" if re.match(r"\w", text[-1]) else ""
    return f"{before}{re.escape(text)}{after}"


class MaskedStream:
    """A stream for texts that applies a mask to what is written to it."""

    def __init__(self, stream: TextIO, mask: Mask) -> None:
        self._stream = stream
        self._mask = mask

    def write(self, text: str) -> int:
        """Write a text without the values; what is split over two calls is not recognized."""
        self._stream.write(self._mask.apply(text))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
