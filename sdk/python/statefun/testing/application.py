"""An application under test."""

from collections.abc import Generator, Iterable
from datetime import timedelta
from os import PathLike
from types import TracebackType
from typing import TYPE_CHECKING, Any

from statefun.functions import StatefulFunctions
from statefun.handler import RequestReplyHandler
from statefun.message import Message
from statefun.testing.records import EgressRecord
from statefun.types import BoolType, DoubleType, IntType, LongType, StringType, Type, to_bytes

if TYPE_CHECKING:
    from statefun_runtime.testing.application import LocalApplication

_INT_MAX = 1 << 31
# Whatever is under way arrives in no time; retries take some.
_A_MOMENT = timedelta(milliseconds=200)


class Advanced:
    """What `advance` returns: time has passed already, and awaiting it is a matter of taste."""

    def __await__(self) -> Generator[None, None, None]:
        yield from ()


class Application:
    """Functions as an application, on the worker's own engine, until `close`.

    `module` is the path of a module.yaml: its endpoints say which function types there are and what
    `onFailure` means, its egresses what there is to write to. Without one every function type of
    `functions` is served, and `egresses` are names of egresses.

    A function that raises ends `advance` with its exception. With `has_failure_policy=True` it is
    tried again as a worker does, for as long as the call budget lasts, and then what `onFailure` says.
    """

    def __init__(
        self,
        functions: StatefulFunctions,
        *,
        module: str | PathLike[str] | None = None,
        egresses: Iterable[str] = (),
        has_failure_policy: bool = False,
    ) -> None:
        self._functions = functions
        self._local = _local(functions, module, egresses, has_failure_policy=has_failure_policy)

    def send(
        self,
        typename: str,
        id: str,
        value: object,
        value_type: Type[Any] | None = None,
    ) -> None:
        """Send a message from outside to an address.

        Without a type a str, bool, int or float is sent as SDKs send it; bytes and others need one.
        """
        if isinstance(value, Message):
            raise TypeError(f"send the value for {typename}/{id} itself, not a Message")
        tpe = value_type or _type_of(value, f"{typename}/{id}")
        self._local.send(_name(typename), id, tpe.typename, to_bytes(value, tpe))

    def advance(
        self,
        duration: timedelta | None = None,
        *,
        days: float = 0,
        hours: float = 0,
        minutes: float = 0,
        seconds: float = 0,
        milliseconds: float = 0,
    ) -> Advanced:
        """Let virtual time pass, and everything happen that is due in it; without arguments a moment.

        Raise what a function raised meanwhile. It need not be awaited.
        """
        parts = timedelta(
            days=days, hours=hours, minutes=minutes, seconds=seconds, milliseconds=milliseconds
        )
        total = (duration or timedelta()) + parts
        self._local.advance((total or _A_MOMENT).total_seconds())
        return Advanced()

    def state(self, typename: str, id: str) -> dict[str, Any]:
        """Return the values of an address by name; a state that has none is missing.

        Values are read as the function's ValueSpecs say; one that it does not declare any more is bytes.
        """
        specs = self._functions.for_typename(typename).specs
        found = {}
        for name, stored in self._local.state(_name(typename), id).items():
            spec = specs.get(name)
            found[name] = (
                stored.value if spec is None else spec.type.serializer().deserialize(stored.value)
            )
        return found

    def egress(self, typename: str) -> list[EgressRecord]:
        """Return what has arrived outside of an egress so far, each record once, oldest first.

        A record arrives when the checkpoint of what it came from is complete: looking has one taken.
        """
        records = self._local.egress(_name(typename))
        return [EgressRecord(record.typename, record.value) for record in records]

    def restart(self) -> None:
        """Kill the worker where it stands, and start it again from its last complete checkpoint.

        One is taken once a minute, and by looking at an egress: what came after it is done again.
        """
        self._local.restart()

    def fail_next(self, typename: str, times: int = 1) -> None:
        """The next requests to a function type are answered with status 500, and do not reach it."""
        self._plan(typename, "FAIL", times)

    def lose_reply(self, typename: str, times: int = 1) -> None:
        """The next requests to a function type reach it, and what it answers does not come back."""
        self._plan(typename, "LOSE_REPLY", times)

    def cut_next(self, typename: str, times: int = 1) -> None:
        """The next requests to a function type end with their connection before they reach it."""
        self._plan(typename, "CUT", times)

    def _plan(self, typename: str, fault: str, times: int) -> None:
        from statefun_runtime.testing.functions import Fault

        self._functions.for_typename(typename)
        self._local.plan(_name(typename), Fault[fault], times)

    def parked(self) -> list[str]:
        """Return the addresses that are parked, as typename/id: their message is never taken."""
        return [f"{one['function']}/{one['id']}" for one in self._local.parked()]

    @property
    def calls(self) -> int:
        """How many requests have reached functions; one may carry several messages of an address."""
        return self._local.calls

    def close(self) -> None:
        """End the worker and its thread."""
        self._local.close()

    def __enter__(self) -> "Application":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _local(
    functions: StatefulFunctions,
    module: str | PathLike[str] | None,
    egresses: Iterable[str],
    *,
    has_failure_policy: bool,
) -> "LocalApplication":
    try:
        from statefun_runtime.testing.application import LocalApplication, bare_module, read_module
    except ImportError as error:
        raise ImportError(
            "statefun.testing runs functions on the worker's own engine: pip install statefun-runtime"
        ) from error
    egresses = list(egresses)
    if module is not None and egresses:
        raise ValueError("give either a module, which declares its egresses, or names of egresses")
    spec = (
        bare_module(map(_name, functions.typenames), map(_name, egresses))
        if module is None
        else read_module(str(module))
    )
    handler = RequestReplyHandler(functions)
    return LocalApplication(spec, handler.handle_async, has_failure_policy=has_failure_policy)


def _name(typename: str) -> Any:
    from statefun_runtime.core.model.address import TypeName

    return TypeName.parse(typename)


def _type_of(value: object, target: str) -> Type[Any]:
    match value:
        case bool():
            return BoolType
        case int():
            return IntType if -_INT_MAX <= value < _INT_MAX else LongType
        case float():
            return DoubleType
        case str():
            return StringType
    raise TypeError(
        f"the message to {target} needs a value_type: {type(value).__name__} has no type of its own"
    )
