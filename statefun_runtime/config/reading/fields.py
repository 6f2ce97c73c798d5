"""Reading the fields of one mapping, each with its type; what is wrong is reported and read as None."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from statefun_runtime.config.problems import Code, Place, did_you_mean
from statefun_runtime.config.reading.draft import ModuleDraft
from statefun_runtime.config.reading.secrets import Secret, reveal
from statefun_runtime.config.reading.units import DURATION_FORM, parse_duration_ns
from statefun_runtime.config.yaml.positions import (
    Entry,
    ListNode,
    MapNode,
    Node,
    Scalar,
    ScalarKind,
    describe,
    is_null,
)
from statefun_runtime.core.model.address import TypeName

_INT_MAX = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Shape:
    """The fields that one kind of mapping may have; `advice` helps with names that belong elsewhere."""

    noun: str
    fields: tuple[str, ...]
    advice: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Item:
    """One scalar setting of a list of single-key maps, as Kafka properties are written."""

    key: str
    value: Scalar
    place: Place


class Fields:
    """One mapping of the module, read field by field.

    A field that is not there, or has nothing behind its colon, reads as None, and so does one that is wrong:
    then an error has been reported, and the module will not run whatever the reader makes of it.
    """

    def __init__(self, node: MapNode, label: str, draft: ModuleDraft) -> None:
        self.draft = draft
        self.place = node.place
        self.label = label
        self._entries = node.entries

    def allow_only(self, shape: Shape) -> None:
        """Warn of every field that the shape does not have."""
        for entry in self._entries.values():
            if entry.key not in shape.fields:
                hint = shape.advice.get(entry.key) or did_you_mean(entry.key, shape.fields)
                message = f"unknown field {entry.key!r} in {self.label}"
                self.draft.warn(entry.place, Code.UNKNOWN_FIELD, message, hint)

    def find(self, name: str, *, required: bool = False) -> Entry | None:
        """Return a field that has a value; report its absence if it is required."""
        entry = self._entries.get(name)
        if entry is not None and not is_null(entry.value):
            return entry
        if required and entry is None:
            message = f"{self.label} lacks the required field {name!r}"
            self.draft.error(self.place, Code.MISSING_FIELD, message)
        elif required and entry is not None:
            message = f"the required field {name!r} of {self.label} has no value"
            self.draft.error(entry.place, Code.MISSING_FIELD, message)
        return None

    def wrong(self, name: str, node: Node, expected: str, hint: str | None = None) -> None:
        message = f"{name!r} must be {expected}, found {describe(node)}"
        self.draft.error(node.place, Code.WRONG_VALUE, message, hint)

    def scalar(self, name: str, *, required: bool = False) -> Scalar | None:
        """Return any scalar that is not empty, for its text and its place."""
        entry = self.find(name, required=required)
        if entry is None:
            return None
        if isinstance(entry.value, Scalar) and entry.value.text:
            return entry.value
        self.wrong(name, entry.value, "text")
        return None

    def text(self, name: str, *, required: bool = False) -> str | None:
        scalar = self.scalar(name, required=required)
        return None if scalar is None else scalar.text

    def strict_text(self, name: str, *, required: bool = False) -> str | None:
        """Return text; a number or a truth value is refused, as StateFun does for some fields."""
        scalar = self.scalar(name, required=required)
        if scalar is None:
            return None
        if scalar.kind is not ScalarKind.TEXT:
            self.wrong(name, scalar, "text", hint=f"put it in quotes: '{scalar.text}'")
            return None
        return scalar.text

    def typename(self, name: str, *, required: bool = False) -> TypeName | None:
        scalar = self.scalar(name, required=required)
        return None if scalar is None else self.parse_typename(name, scalar)

    def parse_typename(self, noun: str, scalar: Scalar) -> TypeName | None:
        try:
            typename: TypeName = reveal(TypeName.parse(scalar.text))
        except ValueError as error:
            self.draft.error(scalar.place, Code.BAD_TYPENAME, f"{noun} {error}")
            return None
        return typename

    def integer(
        self, name: str, *, low: int, high: int = _INT_MAX, allow_quotes: bool = True
    ) -> int | None:
        entry = self.find(name)
        if entry is None:
            return None
        value = parse_integer(entry.value, allow_quotes=allow_quotes)
        if value is None:
            quoted = parse_integer(entry.value) is not None
            hint = "leave the quotes out" if quoted else None
            self.wrong(name, entry.value, "a whole number", hint)
        elif not low <= value <= high:
            self.wrong(name, entry.value, f"a whole number from {low} to {high}")
        else:
            return value
        return None

    def duration_ns(self, name: str) -> int | None:
        scalar = self.scalar(name)
        if scalar is None:
            return None
        try:
            return parse_duration_ns(scalar.text)
        except ValueError as error:
            self.draft.error(scalar.place, Code.BAD_TIME, f"{name}: {error}", DURATION_FORM)
            return None

    def positive_duration_ns(self, name: str) -> int | None:
        """Return a duration; one of nothing is refused."""
        duration_ns = self.duration_ns(name)
        if duration_ns != 0:
            return duration_ns
        message = f"{name} must be longer than 0"
        self.draft.error(self.value_place(name), Code.BAD_TIME, message, DURATION_FORM)
        return None

    def told(self, name: str, value: str) -> str:
        """Return how a message says a value that was read: as the file has it, where it came from outside."""
        entry = self._entries.get(name)
        if entry is not None and isinstance(entry.value, Scalar):
            text = entry.value.text
            return repr(text) if isinstance(text, Secret) else value
        return value

    def value_place(self, name: str) -> Place:
        """Return where the value of a field that is there begins."""
        return self._entries[name].value.place

    def choice(
        self,
        name: str,
        choices: Iterable[str],
        *,
        ignore_case: bool = False,
        required: bool = False,
    ) -> str | None:
        scalar = self.scalar(name, required=required)
        if scalar is None:
            return None
        known = tuple(choices)
        text = scalar.text.lower() if ignore_case else scalar.text
        if text in known:
            return text
        message = f"{name} {scalar.text!r} is not one of {', '.join(known)}"
        hint = did_you_mean(scalar.text, known)
        self.draft.error(scalar.place, Code.NOT_A_CHOICE, message, hint)
        return None

    def mapping(self, name: str, shape: Shape) -> "Fields | None":
        """Return the fields of a mapping below this one, checked against its shape."""
        fields = self.open(name, shape.noun)
        if fields is not None:
            fields.allow_only(shape)
        return fields

    def open(self, name: str, noun: str) -> "Fields | None":
        """Return the fields of a mapping whose shape is only known when some of them have been read."""
        entry = self.find(name)
        if entry is None:
            return None
        if isinstance(entry.value, MapNode):
            return Fields(entry.value, f"{noun} of {self.label}", self.draft)
        self.wrong(name, entry.value, "a mapping", "indent its fields below it, one a line")
        return None

    def items(self, name: str, *, required: bool = False) -> tuple[Node, ...] | None:
        entry = self.find(name, required=required)
        if entry is None:
            return None
        if isinstance(entry.value, ListNode):
            return entry.value.items
        self.wrong(name, entry.value, "a list", hint=f"begin each entry of {name!r} with '- '")
        return None

    def texts(self, name: str, *, required: bool = True) -> tuple[Scalar, ...] | None:
        """Return the readable entries of a list of texts; None if there is no list or none is."""
        items = self.items(name, required=required)
        if items is None:
            return None
        scalars = []
        for item in items:
            if isinstance(item, Scalar) and item.kind is not ScalarKind.NULL and item.text:
                scalars.append(item)
            else:
                self.wrong(name, item, "a list of texts")
        return tuple(scalars) if scalars or not items else None

    def pairs(self, name: str, *, required: bool = False) -> Iterator[Item]:
        """Return the keys and scalar values of a list of single-key maps, or of a plain map."""
        entry = self.find(name, required=required)
        if entry is None:
            return
        nodes = entry.value.items if isinstance(entry.value, ListNode) else (entry.value,)
        for node in nodes:
            if not isinstance(node, MapNode):
                self.wrong(name, node, "a list of 'key: value' entries")
                continue
            for pair in node.entries.values():
                if isinstance(pair.value, Scalar) and not is_null(pair.value):
                    yield Item(pair.key, pair.value, pair.place)
                else:
                    self.wrong(pair.key, pair.value, "a single value")


def parse_integer(node: Node, *, allow_quotes: bool = True) -> int | None:
    """Return the number that stands there, quoted or not; None if it is none, or longer than 64 bits."""
    if not isinstance(node, Scalar):
        return None
    kinds = (ScalarKind.INTEGER, ScalarKind.TEXT) if allow_quotes else (ScalarKind.INTEGER,)
    digits = node.text.strip()
    if node.kind not in kinds or not digits.isascii():
        return None
    unsigned = digits[1:] if digits[:1] in ("-", "+") else digits
    if not unsigned.isdigit() or len(unsigned.lstrip("0")) > 19:
        return None
    return int(digits)
