"""What goes from worker to worker: frames, each a barrier or many messages.

    b <epoch> <1: the one before is complete, 0: it is not>      a barrier
    m { <length> header  <length> id  <length> body }…     messages, in the order in which they were sent

    header      id               body
    f <type>    the target's     an invocation, encoded at its source
    k <type>    the target's     <length> key <length> digest, and the invocation: it is delivered unless seen
    e <egress>  none             <length> typename, and the value: a record for an egress whose port is elsewhere

A header is written once per function type and compared as bytes.
"""

from collections.abc import Iterator

from statefun_runtime.core.model.address import TypeName
from statefun_runtime.core.model.messages import join_parts, read_varint, split_parts, varint

MESSAGES, BARRIER = b"m", b"b"
FUNCTION, KEYED, EGRESS = b"f", b"k", b"e"

Message = tuple[bytes, bytes, bytes, int]


def header(kind: bytes, name: TypeName) -> bytes:
    """Return a header with its length in front."""
    content = kind + str(name).encode()
    return varint(len(content)) + content


def read_header(content: bytes) -> tuple[bytes, TypeName]:
    """Return kind and name of a header, which comes without its length."""
    return content[:1], TypeName.parse(content[1:].decode())


def keyed(key: str, digest: bytes, invocation: bytes) -> bytes:
    """Return the body of a record with an idempotency key."""
    return join_parts((key.encode(), digest), invocation)


def read_keyed(body: bytes) -> tuple[str, bytes, bytes]:
    """Return key, digest and invocation."""
    (key, digest), invocation = split_parts(body, 2)
    return key.decode(), digest, invocation


def egress_record(typename: str, value: bytes) -> bytes:
    """Return the body of a record for an egress."""
    return join_parts((typename.encode(),), value)


def read_egress_record(body: bytes) -> tuple[str, bytes]:
    """Return typename and value."""
    (typename,), value = split_parts(body, 1)
    return typename.decode(), value


def barrier(epoch: int, *, is_last_complete: bool) -> bytes:
    """Return the frame of a barrier, which may come before the leader's word on the epoch before it."""
    return BARRIER + varint(epoch) + varint(is_last_complete)


def read_barrier(frame: bytes) -> tuple[int, bool]:
    """Return its epoch, and whether the one before it is complete."""
    epoch, offset = read_varint(frame, 1)
    return epoch, frame[offset:] == b"\1"


def split_messages(data: bytes, offset: int = 0) -> Iterator[Message]:
    """Yield header, id and body of every message, and where it begins; raise ValueError if they are cut off."""
    end = len(data)
    while offset < end:
        start = offset
        size, begin = read_varint(data, offset)
        header_end = begin + size
        size, id_begin = read_varint(data, header_end)
        id_end = id_begin + size
        size, body_begin = read_varint(data, id_end)
        offset = body_begin + size
        if offset > end:
            raise ValueError("a message is cut off")
        yield data[begin:header_end], data[id_begin:id_end], data[body_begin:offset], start
