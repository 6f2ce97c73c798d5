"""Typenames and addresses: how functions, values, ingresses and egresses are called."""

from dataclasses import dataclass
from typing import NewType
from zlib import crc32

from statefun_runtime.core.printable import ID_MAX, printable

KeyGroup = NewType("KeyGroup", int)


@dataclass(frozen=True, slots=True, order=True)
class TypeName:
    """`namespace/name`: the name of a function type, a value type, an ingress or an egress."""

    namespace: str
    name: str

    @classmethod
    def parse(cls, text: str) -> "TypeName":
        """Read `namespace/name` by the rules of StateFun's runtime; raise ValueError otherwise.

        One slash divides the text; trailing slashes are dropped first, and the namespace may be empty.
        """
        pieces = text.split("/")
        while pieces and not pieces[-1]:
            pieces.pop()
        if len(pieces) != 2:
            raise ValueError(f"{text!r} is not of the form 'namespace/name'")
        return cls(pieces[0], pieces[1])

    @property
    def is_proper(self) -> bool:
        """Whether the text of the typename can be read again, and stand in the key of a row."""
        whole = self.namespace + self.name
        return "/" not in whole and "\0" not in whole

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True, order=True)
class Address:
    """The identity of one stateful function: its type, and an id within the type."""

    type: TypeName
    id: str

    def __str__(self) -> str:
        """Return the address for people to read: an id is anybody's text, and may be long."""
        return f"{printable(str(self.type), ID_MAX)}/{printable(self.id, ID_MAX)}"


def key_group(function_id: str, key_group_count: int) -> KeyGroup:
    """Return the key group that owns a function id.

    Only the id is hashed: functions of different types that share an id share a partition.
    Stored state lies where this hash says, so it can never be changed.
    """
    assert key_group_count > 0
    return KeyGroup(crc32(function_id.encode()) % key_group_count)
