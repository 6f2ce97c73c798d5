"""What carries a typed value: as it came, or as the message of protobuf that it is for whoever asks for that."""

from statefun._wire import TypedValue
from statefun.calls.encoding import value_head


class Carrier:
    """Has a typed value, whose bytes are there already, or in a TypedValue."""

    __slots__ = ("_data", "_typed_value", "_typename")

    _typed_value: TypedValue | None
    _typename: str
    _data: bytes | None

    def carry(self, typename: str, data: bytes | None) -> None:
        """Have these bytes as the value, or none of that type."""
        self._typed_value = None
        self._typename = typename
        self._data = data

    @property
    def typed_value(self) -> TypedValue:
        """The value as a message of protobuf's; what is changed of it leaves as it is in the end."""
        if self._typed_value is None:
            has_value = self._data is not None
            self._typed_value = TypedValue(
                typename=self._typename, has_value=has_value, value=self._data or b""
            )
        return self._typed_value

    @typed_value.setter
    def typed_value(self, value: TypedValue) -> None:
        self._typed_value = value

    def value_typename(self) -> str:
        value = self._typed_value
        return self._typename if value is None else value.typename

    def raw_value(self) -> bytes | None:
        value = self._typed_value
        if value is None:
            return self._data
        return value.value if value.has_value else None

    def encoded_value(self) -> bytes:
        """Return the value as it is on the wire."""
        if self._typed_value is not None:
            return self._typed_value.SerializeToString()
        if self._data is None:
            return self.typed_value.SerializeToString()
        return value_head(self._typename, len(self._data)) + self._data
