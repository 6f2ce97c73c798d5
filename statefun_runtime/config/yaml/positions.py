"""YAML with line and column on every value, typed as StateFun's parser types it.

PyYAML's events carry the positions; its loaders throw them away, and follow YAML 1.1 where `on` is a boolean
and a date is an object. Here a plain scalar is null, a boolean (`true`, `false`), a number, or text as it
stands in the file. The parser in pure Python is used on purpose: it is the one StateFun's parser was ported
from, so both refuse the same files, and its messages do not depend on how PyYAML was built.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import NoReturn

import yaml

from statefun_runtime.config.problems import Code, Place, Problem, Source
from statefun_runtime.config.reading.secrets import Secret
from statefun_runtime.config.yaml.events import Events, StoppedError, mark_place

_DEPTH_MAX = 64
_EXPANDED_MAX = 100_000

_TAG = "tag:yaml.org,2002:"
_SCALAR_TAGS = {f"{_TAG}{name}" for name in ("int", "float", "bool", "null")}

_NULL = re.compile(r"|~|null|Null|NULL")
_BOOLEAN = re.compile(r"true|True|TRUE|false|False|FALSE")
_INTEGER = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*)([eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+")


class ScalarKind(Enum):
    """What a scalar is, by its looks and quotes."""

    TEXT = "text"
    INTEGER = "number"
    FLOAT = "fraction"
    BOOLEAN = "truth"
    NULL = "nothing"


_PLAIN_KINDS = (
    (ScalarKind.NULL, _NULL),
    (ScalarKind.BOOLEAN, _BOOLEAN),
    (ScalarKind.INTEGER, _INTEGER),
    (ScalarKind.FLOAT, _FLOAT),
)


@dataclass(frozen=True, slots=True, eq=False)
class Scalar:
    """A single value; `text` is what stands in the file, `true` and `false` in lower case.

    `is_plain` says that it stands there without quotes or tags, so that its looks decide its kind.
    """

    place: Place
    kind: ScalarKind
    text: str
    is_plain: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class ListNode:
    """A sequence of values."""

    place: Place
    items: tuple["Node", ...]


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """A key of a mapping with its value; `place` is where the key stands."""

    key: str
    place: Place
    value: "Node"


@dataclass(frozen=True, slots=True, eq=False)
class MapNode:
    """A mapping in the order of the file, merge keys resolved."""

    place: Place
    entries: dict[str, Entry]


Node = Scalar | ListNode | MapNode


def is_null(node: Node) -> bool:
    return isinstance(node, Scalar) and node.kind is ScalarKind.NULL


def describe(node: Node) -> str:
    """Return how a message says what was found."""
    match node:
        case MapNode(entries=entries):
            return "a mapping" if entries else "an empty mapping"
        case ListNode(items=items):
            return "a list" if items else "an empty list"
        case Scalar(text=Secret() as text):
            return f"the value of {text!r}"
        case Scalar(kind=ScalarKind.TEXT, text=""):
            return "empty text"
        case Scalar(kind=ScalarKind.NULL):
            return "nothing"
        case Scalar(kind=ScalarKind.TEXT, text=text):
            return f"the text {text!r}"
        case Scalar(text=text):
            return text


@dataclass(frozen=True, slots=True)
class Composed:
    """The documents of a file; `is_whole` is False where reading had to stop."""

    documents: tuple[Node, ...]
    problems: tuple[Problem, ...]
    is_whole: bool


def compose(source: Source) -> Composed:
    """Read every document of a file; what is wrong with it as YAML is among the problems."""
    composer = _Composer(source)
    documents: list[Node] = []
    try:
        for document in composer.documents():
            documents.append(document)
    except StoppedError as stopped:
        return Composed(tuple(documents), (*composer.problems, stopped.problem), False)
    return Composed(tuple(documents), tuple(composer.problems), True)


def plain_kind(plain: str) -> ScalarKind:
    """Return what a scalar without quotes is by its looks."""
    for kind, pattern in _PLAIN_KINDS:
        if pattern.fullmatch(plain):
            return kind
    return ScalarKind.TEXT


def plain_scalar(place: Place, text: str, *, is_plain: bool = True) -> Scalar:
    """Return what a text without quotes means."""
    kind = plain_kind(text)
    return Scalar(place, kind, text.lower() if kind is ScalarKind.BOOLEAN else text, is_plain)


@dataclass(frozen=True, slots=True)
class _Anchored:
    node: Node
    size: int


@dataclass(slots=True)
class _Composer:
    """Builds nodes from PyYAML's events.

    Depth is bounded, so recursion is safe. An alias shares the node of its anchor; what it would add if it
    were written out is counted and bounded, for whoever walks the nodes meets them once per alias.
    """

    source: Source
    problems: list[Problem] = field(default_factory=list)
    _events: Events = field(init=False)
    _anchors: dict[str, _Anchored | None] = field(default_factory=dict)
    _size: int = 0
    _expanded: int = 0

    def documents(self) -> Iterator[Node]:
        self._events = Events(self.source)
        while not isinstance(self._events.peek(), yaml.StreamEndEvent):
            if isinstance(self._events.take(), yaml.DocumentStartEvent):
                self._anchors = {}
                yield self._node(depth=0)

    def _node(self, depth: int) -> Node:
        event = self._events.take()
        assert isinstance(event, yaml.NodeEvent), event
        place = mark_place(event.start_mark)
        if depth > _DEPTH_MAX:
            self._stop(place, f"values are nested more than {_DEPTH_MAX} levels deep")
        if isinstance(event, yaml.AliasEvent):
            return self._aliased(str(event.anchor), place)
        size_before = self._size
        self._size += 1
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        node = self._content(event, place, depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = _Anchored(node, self._size - size_before)
        return node

    def _content(self, event: yaml.NodeEvent, place: Place, depth: int) -> Node:
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, place)
        tag = getattr(event, "tag", None)
        if isinstance(event, yaml.SequenceStartEvent):
            self._check_tag(tag, place, {f"{_TAG}seq"})
            return ListNode(place, tuple(self._items(depth)))
        assert isinstance(event, yaml.MappingStartEvent), event
        self._check_tag(tag, place, {f"{_TAG}map"})
        return MapNode(place, self._entries(depth))

    def _scalar(self, event: yaml.ScalarEvent, place: Place) -> Scalar:
        tag: str | None = event.tag
        self._check_tag(tag, place, {f"{_TAG}str", *_SCALAR_TAGS})
        text: str = event.value
        if any("\ud800" <= c <= "\udfff" for c in text):
            self._stop(place, "the text has half a surrogate pair, which UTF-8 cannot hold")
        is_plain = tag in _SCALAR_TAGS or (tag is None and event.implicit[0])
        if not is_plain:
            return Scalar(place, ScalarKind.TEXT, text)
        return plain_scalar(place, text, is_plain=tag is None)

    def _items(self, depth: int) -> Iterator[Node]:
        while not isinstance(self._events.peek(), yaml.SequenceEndEvent):
            yield self._node(depth + 1)
        self._events.take()

    def _entries(self, depth: int) -> dict[str, Entry]:
        entries: dict[str, Entry] = {}
        merged: dict[str, Entry] = {}
        while not isinstance(self._events.peek(), yaml.MappingEndEvent):
            is_merge = self._is_merge_key(self._events.peek())
            key = self._node(depth + 1)
            if not isinstance(key, Scalar):
                self._stop(key.place, f"a key must be text, found {describe(key)}")
            value = self._node(depth + 1)
            if is_merge:
                self._merge(merged, key, value)
                continue
            first = entries.get(key.text)
            if first is not None:
                self._report_duplicate(key, first)
            entries[key.text] = Entry(key.text, key.place, value)
        self._events.take()
        return entries | {name: entry for name, entry in merged.items() if name not in entries}

    @staticmethod
    def _is_merge_key(event: yaml.Event) -> bool:
        return isinstance(event, yaml.ScalarEvent) and event.value == "<<" and event.implicit[0]

    def _merge(self, merged: dict[str, Entry], key: Scalar, value: Node) -> None:
        for mapping in value.items if isinstance(value, ListNode) else (value,):
            if not isinstance(mapping, MapNode):
                self._stop(key.place, f"'<<' merges mappings, found {describe(mapping)}")
            for name, entry in mapping.entries.items():
                merged.setdefault(name, entry)

    def _aliased(self, name: str, place: Place) -> Node:
        if name not in self._anchors:
            self._stop(place, f"alias '*{name}' has no anchor '&{name}' above it", Code.NOT_YAML)
        anchored = self._anchors[name]
        if anchored is None:
            self._stop(place, f"alias '*{name}' stands inside the value it repeats")
        self._size += anchored.size
        self._expanded += anchored.size
        if self._expanded > _EXPANDED_MAX:
            self._stop(place, f"aliases repeat more than {_EXPANDED_MAX:,} values")
        return anchored.node

    def _check_tag(self, tag: str | None, place: Place, known: set[str]) -> None:
        if tag is not None and tag != "!" and tag not in known:
            shown = tag.replace(_TAG, "!!")
            self._stop(place, f"tag {shown!r} has no meaning here", hint="leave the tag out")

    def _report_duplicate(self, key: Scalar, first: Entry) -> None:
        message = f"key {key.text!r} is written twice; first at {self.source.at(first.place)}"
        self.problems.append(self.source.problem(key.place, Code.DUPLICATE_KEY, message))

    def _stop(
        self, place: Place, message: str, code: Code = Code.REFUSED_YAML, hint: str | None = None
    ) -> NoReturn:
        raise StoppedError(self.source.problem(place, code, message, hint=hint))
