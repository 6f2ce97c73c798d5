"""Reads the effects of a reply without a parser, as all known SDKs write them: names and lengths first, then a value.

    mutation   08 01 12 <length> state name  1a <length>                                    │ typed value
    egress     0a .. namespace 12 .. name 1a <length> 0a .. typename 10 01 1a <length>      │ value
    message    0a <length> 0a .. namespace 12 .. name 1a <length>                           │ id  12 <length> argument

What stands in front of the line depends on names and on the length of the whole alone. It is made here, from what a parser
found, and remembered by that length: an effect of that length which begins with these bytes cannot mean anything
else, for they say where the rest ends. Whatever is written differently is for the parser, which also says what is wrong.
"""

from collections.abc import Iterator
from typing import TypeVar

from statefun_runtime.core.model.messages import field, varint
from statefun_runtime.core.model.reply import EgressMessage, Mutation, OutgoingMessage

T = TypeVar("T")

# Of one length; those who are behind these are as dear as without any.
_HEADS_MAX = 4
_MADE_MAX = 20_000
# One is made for every effect: the class, called, takes three times as long.
_new = tuple.__new__


class Heads:
    """What is remembered of all replies so far: for each length of an effect how it may begin, and what that says."""

    def __init__(self) -> None:
        self._mutations: dict[int, list[tuple[bytes, int, str]]] = {}
        self._egress: dict[int, list[tuple[bytes, int, str, str, str]]] = {}
        # By the length of the target.
        self._targets: dict[int, list[tuple[bytes, int, str, str]]] = {}
        self._made = 0

    def mutation(self, body: bytes, start: int, end: int) -> Mutation | None:
        """Return the change of a state that stands there, if its like is known."""
        for head, size, name in self._mutations.get(end - start, ()):
            if body.startswith(head, start):
                return _new(Mutation, (name, body[start + size : end]))
        return None

    def egress(self, body: bytes, start: int, end: int) -> EgressMessage | None:
        """Return the message to an egress that stands there, if its like is known."""
        for head, size, namespace, name, typename in self._egress.get(end - start, ()):
            if body.startswith(head, start):
                return _new(EgressMessage, (namespace, name, typename, body[start + size : end]))
        return None

    def message(self, body: bytes, start: int, end: int) -> OutgoingMessage | None:
        """Return the message to a function that stands there, if its like is known."""
        target = body[start + 1]
        for head, size, namespace, name in self._targets.get(target, ()):
            if not body.startswith(head, start):
                continue
            argument = start + 2 + target
            if body[argument] != 0x12:
                return None
            length, begin = short(body, argument + 1)
            if begin + length != end:
                return None
            id_ = body[start + size : argument].decode()
            return _new(OutgoingMessage, (namespace, name, id_, body[begin:end]))
        return None

    # ── what a parser found ──

    def learn_mutation(self, mutation: Mutation) -> None:
        """Remember how a change of a state begins that has a value of this length."""
        if mutation.value is None or not self._may_make():
            return
        name = mutation.state_name.encode()
        head = b"\x08\x01" + field(b"\x12", name) + b"\x1a" + varint(len(mutation.value))
        known = self._mutations.setdefault(len(head) + len(mutation.value), [])
        _add(known, (head, len(head), mutation.state_name))

    def learn_egress(self, message: EgressMessage) -> None:
        """Remember how a message to this egress begins that has a value of this length."""
        if not message.value or not self._may_make():
            return
        value = b"\x1a" + varint(len(message.value))
        typed = _text(b"\x0a", message.typename) + b"\x10\x01" + value
        names = _text(b"\x0a", message.namespace) + _text(b"\x12", message.name)
        head = names + b"\x1a" + varint(len(typed) + len(message.value)) + typed
        known = self._egress.setdefault(len(head) + len(message.value), [])
        _add(known, (head, len(head), message.namespace, message.name, message.typename))

    def learn_message(self, message: OutgoingMessage) -> None:
        """Remember how a message to this function type begins that is for an id of this length."""
        size = len(message.id.encode())
        if not size or not self._may_make():
            return
        names = _text(b"\x0a", message.namespace) + _text(b"\x12", message.name)
        names += b"\x1a" + varint(size)
        target = len(names) + size
        if target < 128:
            head = b"\x0a" + varint(target) + names
            known = self._targets.setdefault(target, [])
            _add(known, (head, len(head), message.namespace, message.name))

    def _may_make(self) -> bool:
        """Whoever writes differently is not to have the same head made for each of his replies."""
        self._made += 1
        return self._made <= _MADE_MAX


def split_effects(body: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield tag, start and end of each effect of a FromFunction that holds a result in one piece and nothing else.

    Raise ValueError or IndexError for anything else, and for what is too long to be short.
    """
    size = len(body)
    length, at = short(body, 2)
    if body[:2] != b"\xa2\x06" or at + length != size:
        raise ValueError("not one result")
    while at < size:
        tag = body[at]
        length = body[at + 1]
        at += 2
        if length > 127:
            length, at = short(body, at - 1)
        end = at + length
        if end > size:
            raise ValueError("an effect is cut off")
        yield tag, at, end
        at = end


def _add(known: list[T], entry: T) -> None:
    if len(known) < _HEADS_MAX and entry not in known:
        known.append(entry)


def short(body: bytes, at: int) -> tuple[int, int]:
    """Return the length of at most two bytes that begins there, and where it ends; raise ValueError for a longer one."""
    length = body[at]
    if length < 128:
        return length, at + 1
    more = body[at + 1]
    if more > 127:
        raise ValueError("a length of more than two bytes")
    return length & 127 | more << 7, at + 2


def _text(tag: bytes, text: str) -> bytes:
    return field(tag, text.encode()) if text else b""
