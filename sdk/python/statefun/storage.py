"""The state of one function instance, as its function sees it."""

from collections.abc import Callable, Mapping
from typing import Any, Never

from statefun.calls.requests import Value
from statefun.types import to_bytes
from statefun.value_spec import ValueSpec

# Stands for no entry, where None is one.
_UNWRITTEN: Any = object()
TOO_LATE = "the batch is over, and what is asked for now would be lost; await what goes on"


class Storage:
    """One attribute for each ValueSpec: get it, set it, `del` it.

    A state without a value is None. Setting serializes at once, so a later change inside the
    object is not seen; neither is a change inside an object that was got.
    """

    # The names are mangled to _Storage__…; no state can have such a name, for it is not in lower case.
    __slots__ = ("__received", "__specs", "__typename", "__written")

    __received: Mapping[str, Value]
    __specs: Mapping[str, ValueSpec]
    __typename: str
    __written: dict[str, bytes | None]

    def __init__(
        self,
        typename: str,
        specs: Mapping[str, ValueSpec],
        received: Mapping[str, Value],
        written: dict[str, bytes | None],
    ) -> None:
        """Start from what a request brought; note in `written` what was set, or deleted as None.

        `received` holds every name in `specs`.
        """
        _put_typename(self, typename)
        _put_specs(self, specs)
        _put_received(self, received)
        _put_written(self, written)

    def __getattr__(self, name: str) -> Any:
        spec = self.__specs.get(name)
        if spec is None:
            self.__refuse(name)
        data = self.__written.get(name, _UNWRITTEN)
        if data is _UNWRITTEN:
            typename, data = self.__received[name]
            if data is not None and typename != spec.type.typename:
                self.__refuse_stored(spec, typename)
        if data is None:
            return None
        try:
            return spec.type.serializer().deserialize(data)
        except Exception as error:
            error.add_note(f"while reading {self.__describe(spec)}")
            raise

    def __setattr__(self, name: str, value: Any) -> None:
        spec = self.__specs.get(name)
        if spec is None:
            self.__refuse(name)
        if value is None:
            raise ValueError(
                f"{self.__describe(spec)} cannot be set to None. "
                f"To delete a value, please use del: del context.storage.{name}"
            )
        try:
            self.__written[name] = to_bytes(value, spec.type)
        except Exception as error:
            error.add_note(f"while setting {self.__describe(spec)}")
            raise

    def __delattr__(self, name: str) -> None:
        if name not in self.__specs:
            self.__refuse(name)
        self.__written[name] = None

    def __dir__(self) -> list[str]:
        return sorted(self.__specs)

    def __refuse_stored(self, spec: ValueSpec, typename: str) -> Never:
        raise TypeError(
            f"{self.__describe(spec)} was stored as {typename or 'no type'}; "
            "give its ValueSpec that type, or choose another name for the new one"
        )

    def __describe(self, spec: ValueSpec) -> str:
        return f"state {spec.name!r} ({spec.type.typename}) of function {self.__typename!r}"

    def __refuse(self, name: str) -> Never:
        raise AttributeError(
            f"{name!r} is not a registered ValueSpec for the function {self.__typename!r}"
        )


class _ClosedStorage(Storage):
    """The state of a batch whose response is made: it can be read."""

    __slots__ = ()

    def __setattr__(self, name: str, value: Any) -> None:
        raise RuntimeError(TOO_LATE)

    def __delattr__(self, name: str) -> None:
        raise RuntimeError(TOO_LATE)


def close(storage: Storage) -> None:
    """Let nothing be set any more: the response is made."""
    object.__setattr__(storage, "__class__", _ClosedStorage)


def _setter(slot: str) -> Callable[[Storage, object], None]:
    """Return what sets a slot, past __setattr__, which is for states."""
    setter: Callable[[Storage, object], None] = vars(Storage)[f"_Storage__{slot}"].__set__
    return setter


_put_typename, _put_specs = _setter("typename"), _setter("specs")
_put_received, _put_written = _setter("received"), _setter("written")
