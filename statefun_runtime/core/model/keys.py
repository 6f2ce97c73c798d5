"""Where rows lie: keys begin with the key group, so that ranges can be cut out of files anew.

<key group, 2 bytes> s <typename> 00 <id>                 the values of an address
<key group, 2 bytes> b <typename> 00 <id>                 the head of its backlog, in deltas only
<key group, 2 bytes> c <typename> 00 <id> 00 <sequence>   a chunk of its backlog that is spilled
<key group, 2 bytes> i <typename> 00 <id> 00 <sequence>   how much is in that chunk, for those who do not read it
<key group, 2 bytes> k <typename> 00 <id> 00 <key>        an idempotency key of the address
<key group, 2 bytes> p <typename> 00 <id>                 that the address is parked, since when and why
<key group, 2 bytes> t <due ms, 8 bytes> <sequence, 8>    a delayed message, in its sender's key group
<key group, 2 bytes> x <size, 4> <sender id> <token>       the key of the delayed message with that cancellation token
<key group, 2 bytes> n                                    how many delayed messages there are, if any
<key group 0>        e <topic> 00 <epoch, 8> <index, 8>    a record of the HTTP egress, where its port is
"""

from statefun_runtime.core.model.address import Address, KeyGroup, TypeName, key_group

STATE, BACKLOG, TIMER, ONCE, PARKED = b"s", b"b", b"t", b"k", b"p"
TOKEN, TALLY = b"x", b"n"
CHUNK, CHUNK_INDEX = b"c", b"i"
HTTP_EGRESS = b"e"
# There they were of no key group, and could not move.
HTTP_EGRESS_OF_VERSION_2 = b"\xff\xffe"
# Its owner has the application's ports.
HOME = KeyGroup(0)


def group_prefix(group: KeyGroup) -> bytes:
    """Return the first bytes of every key of a key group."""
    return group.to_bytes(2, "big")


def state_key(function_type: TypeName, function_id: str, *, key_group_count: int) -> bytes:
    """Return the key of an address's values."""
    return _address_key(STATE, function_type, function_id, key_group_count)


def is_head(key: bytes) -> bool:
    """Return whether a row is the head of a backlog."""
    return key[2:3] == BACKLOG


def backlog_key_of(state_key: bytes) -> bytes:
    """Return the key of the backlog's head of the address whose values lie under `state_key`."""
    return state_key[:2] + BACKLOG + state_key[3:]


def parked_key_of(state_key: bytes) -> bytes:
    """Return the key of the row that says that the address whose values lie under `state_key` is parked."""
    return state_key[:2] + PARKED + state_key[3:]


def chunk_key_of(state_key: bytes, sequence: int) -> bytes:
    """Return the key of a spilled chunk of the address whose values lie under `state_key`."""
    return b"".join((state_key[:2], CHUNK, state_key[3:], b"\0", sequence.to_bytes(8, "big")))


def chunk_index_key_of(chunk_key: bytes) -> bytes:
    """Return the key of the row that says how much is in a chunk."""
    return chunk_key[:2] + CHUNK_INDEX + chunk_key[3:]


def chunk_index_prefix(state_key: bytes) -> bytes:
    """Return the first bytes of the keys of those rows for all chunks of an address."""
    return b"".join((state_key[:2], CHUNK_INDEX, state_key[3:], b"\0"))


def once_key_of(state_key: bytes, key: str) -> bytes:
    """Return the key of an idempotency key's row of the address whose values lie under `state_key`."""
    return b"".join((state_key[:2], ONCE, state_key[3:], b"\0", key.encode()))


def egress_prefix(topic: str) -> bytes:
    """Return the first bytes of the keys of a topic of the HTTP egress."""
    return b"".join((group_prefix(HOME), HTTP_EGRESS, topic.encode(), b"\0"))


def egress_key(prefix: bytes, epoch: int, index: int) -> bytes:
    """Return the key of a record of a topic whose keys begin so; they are ordered like the records."""
    return prefix + epoch.to_bytes(8, "big") + index.to_bytes(8, "big")


def parse_chunk_key(key: bytes) -> tuple[Address, int]:
    """Return the address and sequence of a chunk's key, or of its index row's."""
    assert key[2:3] in (CHUNK, CHUNK_INDEX)
    return parse_address_key(key[:2] + BACKLOG + key[3:-9]), int.from_bytes(key[-8:], "big")


def type_prefix(function_type: TypeName) -> bytes:
    """Return what follows the kind in the keys of all addresses of a function type."""
    return str(function_type).encode() + b"\0"


def _address_key(
    kind: bytes, function_type: TypeName, function_id: str, key_group_count: int
) -> bytes:
    group = key_group(function_id, key_group_count)
    return b"".join(
        (group_prefix(group), kind, str(function_type).encode(), b"\0", function_id.encode())
    )


def parse_address_key(key: bytes) -> Address:
    """Return the address of a state, backlog or parked key."""
    assert key[2:3] in (STATE, BACKLOG, PARKED)
    typename, _, function_id = key[3:].partition(b"\0")
    namespace, _, name = typename.decode().rpartition("/")
    return Address(TypeName(namespace, name), function_id.decode())


def timer_key(sender_id: str, due_ms: int, sequence: int, *, key_group_count: int) -> bytes:
    """Return the key of a delayed message."""
    return timer_key_in(group_prefix(key_group(sender_id, key_group_count)), due_ms, sequence)


def timer_key_in(group: bytes, due_ms: int, sequence: int) -> bytes:
    """Return the key of a delayed message whose sender's key group has that prefix."""
    return group + TIMER + due_ms.to_bytes(8, "big") + sequence.to_bytes(8, "big")


def token_key(group: bytes, sender_id: str, token: str) -> bytes:
    """Return the key of a cancellation token's row; both texts may hold any character."""
    sender = sender_id.encode()
    return b"".join((group, TOKEN, len(sender).to_bytes(4, "big"), sender, token.encode()))


def tally_key(group: bytes) -> bytes:
    """Return the key of the row that counts a key group's delayed messages."""
    return group + TALLY
