"""Reads requests: without a parser as runtimes write them, with one as anybody may.

    a2 06 <length>  target  state*  invocation*

    target       0a <length> 0a .. namespace 12 .. name 1a <length>                                    │ id
    state        12 <length> 0a .. state name [ 12 <length> 0a .. typename 10 01 1a <length>           │ value ]
    invocation   1a <length> [ 0a .. caller ] 12 <length> 0a .. typename 10 01 1a <length>             │ value

What stands in front of the line depends on names and lengths alone. That is made here from what a parser found, and
remembered by the length of the whole: what has that length and begins with these bytes cannot mean anything else, for they
say where the rest ends.
"""

from typing import NamedTuple, TypeVar

from google.protobuf.message import DecodeError

from statefun._wire import Address, ToFunction, TypedValue
from statefun.address import SdkAddress
from statefun.calls.encoding import delimited, varint

T = TypeVar("T")
Body = bytes | bytearray | memoryview
# A typename, and the bytes of a value; None where there is none.
Value = tuple[str, bytes | None]

_TARGET = _CALLER = 0x0A
_STATE, _INVOCATION = 0x12, 0x1A
# Of one length; those who are behind these are as dear as without any.
_HEADS_MAX = 4
_MADE_MAX = 20_000
# One is made for every request and message: the class, called, takes three times as long.
_new = tuple.__new__


class Invocation(NamedTuple):
    """One message to the target; `original` is there if it may hold more than is said here."""

    typename: str
    data: bytes | None
    caller: SdkAddress | None = None
    original: ToFunction.Invocation | None = None


class Request(NamedTuple):
    """An invocation batch."""

    namespace: str
    name: str
    typename: str
    id: str
    states: dict[str, Value]
    invocations: list[Invocation]


class _Unusual(Exception):
    """It is for the parser."""


class RequestReader:
    """Reads requests; it knows more and more of how they begin."""

    def __init__(self) -> None:
        # By lengths: of an address, a state, an invocation without its caller.
        self._addresses: dict[int, list[tuple[bytes, int, str, str, str]]] = {}
        self._states: dict[int, list[tuple[bytes, int, str, str]]] = {}
        self._arguments: dict[int, list[tuple[bytes, int, str]]] = {}
        self._made = 0

    def read(self, body: Body) -> Request:
        """Return what is asked; raise TypeError, DecodeError or ValueError if it is no request."""
        if not isinstance(body, bytes):
            if not isinstance(body, (bytearray, memoryview)):
                raise TypeError(f"the request body must be bytes, not {type(body).__name__}")
            body = bytes(body)
        try:
            return self._read(body)
        except (_Unusual, IndexError, ValueError):
            return self._parsed(body)

    def _read(self, body: bytes) -> Request:
        size = len(body)
        length, at = body[2], 3
        if length > 127:
            length, at = _length(body, 2)
        if body[:2] != b"\xa2\x06" or at + length != size or body[at] != _TARGET:
            raise _Unusual
        length, start = body[at + 1], at + 2
        if length > 127:
            length, start = _length(body, at + 1)
        at = start + length
        namespace, name, id_, typename = self._address(body, start, at)
        states: dict[str, Value] = {}
        invocations: list[Invocation] = []
        while at < size:
            tag = body[at]
            length = body[at + 1]
            start = at + 2
            if length > 127:
                length, start = _length(body, at + 1)
            at = start + length
            if tag == _INVOCATION:
                invocations.append(self._invocation(body, start, at))
            elif tag == _STATE:
                state, value = self._state(body, start, at)
                states[state] = value
            else:
                raise _Unusual
        if at != size:
            raise _Unusual
        return _new(Request, (namespace, name, typename, id_, states, invocations))

    def _address(self, body: bytes, start: int, end: int) -> tuple[str, str, str, str]:
        for head, size, namespace, name, typename in self._addresses.get(end - start, ()):
            if body.startswith(head, start):
                return namespace, name, body[start + size : end].decode(), typename
        raise _Unusual

    def _state(self, body: bytes, start: int, end: int) -> tuple[str, Value]:
        for head, size, name, typename in self._states.get(end - start, ()):
            if body.startswith(head, start):
                return name, (typename, body[start + size : end] if typename else None)
        raise _Unusual

    def _invocation(self, body: bytes, start: int, end: int) -> Invocation:
        caller = None
        if body[start] == _CALLER:
            length, begin = _length(body, start + 1)
            start = begin + length
            caller = SdkAddress(*self._address(body, begin, start))
        for head, size, typename in self._arguments.get(end - start, ()):
            if body.startswith(head, start):
                return _new(Invocation, (typename, body[start + size : end], caller, None))
        raise _Unusual

    # ── with a parser ──

    def _parsed(self, body: bytes) -> Request:
        try:
            to_function = ToFunction.FromString(body)
        except DecodeError as error:
            raise DecodeError(f"the request body is not a ToFunction: {error}") from error
        if not to_function.HasField("invocation"):
            raise ValueError("the request holds no invocation batch; was its body lost on the way?")
        batch = to_function.invocation
        target = batch.target
        namespace, name = target.namespace, target.type
        request = Request(
            namespace,
            name,
            f"{namespace}/{name}",
            target.id,
            {each.state_name: _value(each.state_value) for each in batch.state},
            [_parsed_invocation(each) for each in batch.invocations],
        )
        if self._made < _MADE_MAX:
            self._learn(request)
        return request

    def _learn(self, request: Request) -> None:
        """Remember how what came begins; not for ever, for whoever writes it differently."""
        self._learn_address(request.namespace, request.name, request.id)
        for name, (typename, data) in request.states.items():
            self._learn_state(name, typename, data)
        for invocation in request.invocations:
            if invocation.data is not None:
                value = _value_head(invocation.typename, invocation.data)
                size = len(invocation.data)
                head = b"\x12" + varint(len(value) + size) + value
                entry = (head, len(head), invocation.typename)
                self._add(self._arguments, len(head) + size, entry)
            caller = invocation.caller
            if caller is not None:
                self._learn_address(caller.namespace, caller.name, caller.id)

    def _learn_address(self, namespace: str, name: str, id_: str) -> None:
        size = len(id_.encode())
        if namespace and name and size:
            typename = f"{namespace}/{name}"
            head = _names(namespace, name) + b"\x1a" + varint(size)
            self._add(
                self._addresses, len(head) + size, (head, len(head), namespace, name, typename)
            )

    def _learn_state(self, name: str, typename: str, data: bytes | None) -> None:
        head = delimited(b"\x0a", name.encode())
        if data is not None and typename:
            value = _value_head(typename, data)
            head += b"\x12" + varint(len(value) + len(data)) + value
            self._add(self._states, len(head) + len(data), (head, len(head), name, typename))
        elif data is None and not typename:
            self._add(self._states, len(head), (head, len(head), name, ""))

    def _add(self, known: dict[int, list[T]], length: int, entry: T) -> None:
        self._made += 1
        entries = known.setdefault(length, [])
        if len(entries) < _HEADS_MAX and entry not in entries:
            entries.append(entry)


def _parsed_invocation(invocation: ToFunction.Invocation) -> Invocation:
    typename, data = _value(invocation.argument)
    caller = _caller(invocation.caller) if invocation.HasField("caller") else None
    return Invocation(typename, data, caller, invocation)


def _value(value: TypedValue) -> Value:
    return value.typename, value.value if value.has_value else None


def _caller(caller: Address) -> SdkAddress | None:
    namespace, name, id_ = caller.namespace, caller.type, caller.id
    if not (namespace or name or id_):
        # Some runtimes write an address without content for a message from an ingress.
        return None
    return SdkAddress(namespace, name, id_, f"{namespace}/{name}")


def _names(namespace: str, name: str) -> bytes:
    return delimited(b"\x0a", namespace.encode()) + delimited(b"\x12", name.encode())


def _value_head(typename: str, data: bytes) -> bytes:
    """Return how a TypedValue begins that has a value, in front of its bytes."""
    name = delimited(b"\x0a", typename.encode()) if typename else b""
    return name + (b"\x10\x01\x1a" + varint(len(data)) if data else b"\x10\x01")


def _length(body: bytes, at: int) -> tuple[int, int]:
    """Return the length that begins there, if it is of one or two bytes, and where it ends."""
    length = body[at]
    if length < 128:
        return length, at + 1
    more = body[at + 1]
    if more > 127:
        raise _Unusual
    return length & 127 | more << 7, at + 2
